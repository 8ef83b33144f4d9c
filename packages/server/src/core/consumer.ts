import type { Reset, ResetReason } from '@continuo/protocol';

/**
 * What a consumer of a channel has been given and has answered. Cost grows with consumers, not with messages: a mark,
 * and the ranges of what is not acked.
 */

/** Offsets from `from` to `to`, both included. */
export type Range = readonly [from: number, to: number];

export interface ConsumerState {
  readonly epoch: string;
  /** The highest offset that may have been handed out. */
  readonly delivered: number;
  /** What is not acked up to `delivered`: ascending, apart from each other. Everything else up to there is done with. */
  readonly unacked: readonly Range[];
  /** A lost position that its owner may not have been told of yet: told again until that is certain. */
  readonly reset: LostRange | null;
}

/** Messages after `from` up to `to` are gone. */
export interface LostRange {
  readonly reason: ResetReason;
  readonly from: number;
  readonly to: number;
}

/** The stored form. */
export interface ConsumerRecord extends ConsumerState {
  /** The attachment that it belongs to: one at a time, the newest. */
  readonly holder: string;
  /** Whether its holder has left in good order: then `delivered` is exact, else more may have been handed out. */
  readonly clean: boolean;
}

/** The position up to which everything is acked: what a lost consumer goes on from. */
export function committedOf(state: ConsumerState): number {
  const [first] = state.unacked;
  return first ? first[0] - 1 : state.delivered;
}

/**
 * A consumer as it comes back. Whoever held it may have handed out up to `maxInFlight` more than it stored, but not
 * more than the log had: all of that counts as handed out, so it may be marked too often, never too seldom.
 */
export function recoverConsumer(record: ConsumerRecord, head: number, maxInFlight: number): ConsumerState {
  const { epoch, delivered, unacked, reset, clean } = record;
  const reach = clean ? delivered : Math.max(delivered, Math.min(delivered + maxInFlight, head));
  return markDelivered({ epoch, delivered, unacked, reset }, delivered + 1, reach);
}

/** Offsets `from` to `to` are handed out; what lies between the mark and `from` was not meant for this consumer. */
export function markDelivered(state: ConsumerState, from: number, to: number): ConsumerState {
  const first = Math.max(from, state.delivered + 1);
  if (to < first) return to > state.delivered ? { ...state, delivered: to } : state;
  const last = state.unacked.at(-1);
  const unacked: Range[] =
    last && last[1] + 1 === first
      ? [...state.unacked.slice(0, -1), [last[0], to]]
      : [...state.unacked, [first, to]];
  return { ...state, delivered: to, unacked };
}

export function isUnacked(state: ConsumerState, offset: number): boolean {
  return state.unacked.some(([from, to]) => offset >= from && offset <= to);
}

/** One offset is done with. What lies before it stays as it is: the committed position never passes a hole. */
export function ack(state: ConsumerState, offset: number): ConsumerState {
  const unacked = state.unacked.flatMap(([from, to]): Range[] => {
    if (offset < from || offset > to) return [[from, to]];
    const left: Range[] = offset > from ? [[from, offset - 1]] : [];
    return offset < to ? [...left, [offset + 1, to]] : left;
  });
  return { ...state, unacked };
}

/** What `other` knows to be acked is acked: the same consumer, as somebody else changed it meanwhile. */
export function adoptAcks(state: ConsumerState, other: ConsumerState): ConsumerState {
  if (other.epoch !== state.epoch) return state;
  const open: readonly Range[] = [...other.unacked, [other.delivered + 1, Number.POSITIVE_INFINITY]];
  const unacked = state.unacked.flatMap(([from, to]) =>
    open.flatMap(([first, last]): Range[] =>
      first <= to && last >= from ? [[Math.max(from, first), Math.min(to, last)]] : [],
    ),
  );
  return { ...state, unacked };
}

/** The position was lost: nothing up to `lost.to` can be had any more. */
export function moveConsumer(state: ConsumerState, lost: Reset): ConsumerState {
  const { reason, to } = lost;
  const reset: LostRange = { reason, from: state.reset?.from ?? lost.from.offset, to: to.offset };
  if (reason !== 'trimmed') return { epoch: to.epoch, delivered: to.offset, unacked: [], reset };
  const unacked = state.unacked.flatMap(([from, last]): Range[] =>
    last <= to.offset ? [] : [[Math.max(from, to.offset + 1), last]],
  );
  return { ...state, delivered: Math.max(state.delivered, to.offset), unacked, reset };
}
