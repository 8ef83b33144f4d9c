import type { Reset, ResetReason } from '@continuo/protocol';

/**
 * What a consumer of a channel has been given and has answered. Cost grows with consumers, not with messages: a mark,
 * and the ranges of what is not acked.
 */

/** Offsets from `from` to `to`, both included. */
export type Range = readonly [from: number, to: number];

/** Everything up to an offset, and above the mark before it, was handed out at `at` (unix ms). */
export type Handed = readonly [upTo: number, at: number];

/** A message that failed, or is to come again: it goes by this list, no longer by the feed. */
export interface Retry {
  readonly offset: number;
  /** Deliveries that were nacked or not acked in time. */
  readonly failures: number;
  /** When it was last handed out, in unix ms; 0: it is to be handed out now. */
  readonly at: number;
}

export interface ConsumerState {
  readonly epoch: string;
  /** The highest offset that may have been handed out. */
  readonly delivered: number;
  /** What is not acked up to `delivered`: ascending, apart from each other. Everything else up to there is done with. */
  readonly unacked: readonly Range[];
  /** When what waits for an ack was handed out, ascending: marks of this attachment, or that its owner confirmed. */
  readonly handed: readonly Handed[];
  /** What failed, or is to come again. */
  readonly retries: readonly Retry[];
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
  /** Messages that somebody else wants to be delivered again: its holder takes them over with its next put. */
  readonly reopened?: readonly number[];
}

export function createConsumerState(epoch: string, offset: number): ConsumerState {
  return { epoch, delivered: offset, unacked: [], handed: [], retries: [], reset: null };
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
  const { epoch, delivered, unacked, handed, retries, reset, clean, reopened = [] } = record;
  const reach = clean ? delivered : Math.max(delivered, Math.min(delivered + maxInFlight, head));
  const state = markDelivered({ epoch, delivered, unacked, handed, retries, reset }, delivered + 1, reach);
  return reopened.reduce(reopen, state);
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

/** Offsets `from` to `to` are done with. What lies before them stays as it is: the committed position never passes a hole. */
export function ack(state: ConsumerState, from: number, to: number = from): ConsumerState {
  const unacked = state.unacked.flatMap(([first, last]): Range[] => {
    if (to < first || from > last) return [[first, last]];
    const left: Range[] = from > first ? [[first, from - 1]] : [];
    return to < last ? [...left, [to + 1, last]] : left;
  });
  const retries = state.retries.filter(({ offset }) => offset < from || offset > to);
  return { ...state, unacked, retries, handed: waiting(state.handed, unacked) };
}

/** Without what concerns nothing that waits. */
function pruned(state: ConsumerState): ConsumerState {
  const retries = state.retries.filter(({ offset }) => isUnacked(state, offset));
  return { ...state, retries, handed: waiting(state.handed, state.unacked) };
}

/** The marks from the first range that waits on. */
function waiting(handed: readonly Handed[], [first]: readonly Range[]): readonly Handed[] {
  const mark = first ? handed.findIndex(([upTo]) => upTo >= first[0]) : -1;
  return mark < 0 ? [] : handed.slice(mark);
}

/** What `other` knows to be acked is acked, what it nacked or wants to come again comes again: the same consumer, as somebody else changed it meanwhile. */
export function adoptAcks(state: ConsumerState, other: ConsumerRecord): ConsumerState {
  if (other.epoch !== state.epoch) return state;
  const open: readonly Range[] = [...other.unacked, [other.delivered + 1, Number.POSITIVE_INFINITY]];
  const unacked = state.unacked.flatMap(([from, to]) =>
    open.flatMap(([first, last]): Range[] =>
      first <= to && last >= from ? [[Math.max(from, first), Math.min(to, last)]] : [],
    ),
  );
  const failuresOf = (offset: number): number =>
    state.retries.find((retry) => retry.offset === offset)?.failures ?? 0;
  const nacked = (other.retries ?? []).filter(({ offset, failures }) => failures > failuresOf(offset));
  const adopted = nacked.reduce<ConsumerState>(setRetry, { ...state, unacked });
  return (other.reopened ?? []).reduce(reopen, pruned(adopted));
}

/** The position was lost: nothing up to `lost.to` can be had any more. */
export function moveConsumer(state: ConsumerState, lost: Reset): ConsumerState {
  const { reason, to } = lost;
  const reset: LostRange = { reason, from: state.reset?.from ?? lost.from.offset, to: to.offset };
  if (reason !== 'trimmed') return { ...createConsumerState(to.epoch, to.offset), reset };
  const unacked = state.unacked.flatMap(([from, last]): Range[] =>
    last <= to.offset ? [] : [[Math.max(from, to.offset + 1), last]],
  );
  return pruned({ ...state, delivered: Math.max(state.delivered, to.offset), unacked, reset });
}

export function isApart({ retries }: ConsumerState, offset: number): boolean {
  return retries.some((retry) => retry.offset === offset);
}

/** From here on this message goes by the retries. */
export function setRetry(state: ConsumerState, retry: Retry): ConsumerState {
  const others = state.retries.filter(({ offset }) => offset !== retry.offset);
  return { ...state, retries: [...others, retry] };
}

/** A message that was done with is to be delivered again, its failures forgotten. Nothing for what was not handed out. */
export function reopen(state: ConsumerState, offset: number): ConsumerState {
  if (offset > state.delivered) return state;
  const unacked: Range[] = isUnacked(state, offset)
    ? [...state.unacked]
    : [...state.unacked, [offset, offset] as const].toSorted(([a], [b]) => a - b);
  return setRetry({ ...state, unacked: joined(unacked) }, { offset, failures: 0, at: 0 });
}

function joined(ranges: readonly Range[]): Range[] {
  const apart: Range[] = [];
  for (const [from, to] of ranges) {
    const last = apart.at(-1);
    if (last && last[1] + 1 >= from) apart[apart.length - 1] = [last[0], Math.max(last[1], to)];
    else apart.push([from, to]);
  }
  return apart;
}
