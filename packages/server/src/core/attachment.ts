import type { Cursor, Entry, Reset } from '@continuo/protocol';
import type { Clock, Report } from '../ports.ts';
import {
  ack,
  adoptAcks,
  type ConsumerRecord,
  type ConsumerState,
  committedOf,
  isUnacked,
  markDelivered,
  moveConsumer,
} from './consumer.ts';

/** The one live hold on a consumer: what a feed needs to deliver to it at least once. */
export interface Attachment {
  /** Where the feed begins. */
  readonly after: { readonly epoch: string; readonly offset: number };
  /** Entries up to here may have been handed out before: they are marked. */
  readonly until: number;
  /** A reset to tell before anything else: whoever had the consumer before may not have got it. */
  readonly reset: Reset | null;
  /** For entries up to `until`: true where there is nothing left to deliver. */
  skip(entry: Entry): boolean;
  room(): number;
  /** Its feed moved: what was not sent on the way is not for this consumer. */
  onMoved(sent: readonly Entry[], from: number, to: number): void;
  onReset(reset: Reset): void;
  /** True when the ack is stored; false when nothing with that id waits for one. */
  ack(eventId: string): Promise<boolean>;
  /** Whether it handed this id out and waits for its ack. */
  isInFlight(eventId: string): boolean;
  /** Stores how far it came. False when another had the consumer already: then what it handed out does not count. */
  detach(): Promise<boolean>;
  /** Ends without a word: whoever had the consumer before may still be handing out, so nothing exact can be said. */
  abandon(): void;
  /** Stores the record though nothing happened: it must outlive a quiet day. */
  keep(): void;
  /** Somebody else changed the record: what is acked there is acked. */
  adopt(record: ConsumerState): void;
  /** Another has the consumer now. */
  takeOver(): void;
}

export interface AttachmentOptions {
  readonly log: string;
  readonly state: ConsumerState;
  /** A position its owner has confirmed to have received, though not acked: nothing up to there comes again now. */
  readonly received: Cursor | undefined;
  /** The newest reset that its owner is known to have been told of. */
  readonly seenReset: Cursor | undefined;
  readonly maxInFlight: number;
  readonly clock: Clock;
  readonly report: Report;
  /** Stores the record if nobody else has taken it; false when somebody has. */
  store(record: Omit<ConsumerRecord, 'holder'>): Promise<boolean>;
  /** Where in the log a message waits that was handed out before this attachment. */
  locate(state: ConsumerState, eventId: string): Promise<number | null>;
  onRoom(): void;
  onTakenOver(): void;
  onOver(): void;
}

/** How long a mark that could not be stored waits until it is tried again, in ms. */
const RETRY_MS = 500;

export function createAttachment(options: AttachmentOptions): Attachment {
  const { log, received, seenReset, maxInFlight, clock, report, onRoom } = options;
  let { state } = options;
  if (seenReset?.epoch === state.epoch && seenReset.offset === state.reset?.to)
    state = { ...state, reset: null };
  if (received?.epoch === state.epoch) state = markDelivered(state, state.delivered + 1, received.offset);
  const confirmed = received?.epoch === state.epoch ? received.offset : 0;
  const after = { epoch: state.epoch, offset: Math.max(committedOf(state), confirmed) };
  const until = state.delivered;
  const { reset } = state;
  /** The mark as it is stored: what is handed out stays within `maxInFlight` of it. */
  let storedMark = state.delivered;
  /** Nothing above this was handed out before: an ack from there shows that everything sent here before it arrived. */
  let newAbove = state.delivered;
  const inFlight = new Map<string, number>();
  let over = false;

  function finish(): void {
    over = true;
    options.onOver();
  }

  function takeOver(): void {
    if (over) return;
    finish();
    options.onTakenOver();
  }

  async function store(clean: boolean): Promise<boolean> {
    const { delivered } = state;
    if (!(await options.store({ ...state, clean }))) {
      takeOver();
      return false;
    }
    storedMark = Math.max(storedMark, delivered);
    return true;
  }

  let scheduled: Promise<void> | null = null;
  let running: Promise<unknown> = Promise.resolve();

  /** Gathers: what is asked within a tick, or while a put is under way, is one put. */
  function persist(): Promise<void> {
    scheduled ??= (async () => {
      await new Promise<void>((resolve) => clock.soon(resolve));
      await running.catch(() => {}); // whoever asked for it was told
      scheduled = null;
      if (over) return;
      running = store(false);
      await running;
    })();
    return scheduled;
  }

  function persistLater(): void {
    const wasFull = room() <= 0;
    persist().then(
      () => {
        if (wasFull && !over) onRoom();
      },
      (error: unknown) => {
        report(`storing how far a consumer of ${log} came`, error);
        clock.schedule(clock.now() + RETRY_MS, () => {
          if (!over) persistLater();
        });
      },
    );
  }

  /** Nothing of this range waits for an ack. */
  function pass(from: number, to: number): void {
    for (let offset = from; offset <= Math.min(to, state.delivered); offset++) state = ack(state, offset);
    if (to > state.delivered) state = markDelivered(state, to + 1, to);
  }

  function room(): number {
    return over ? 0 : Math.min(maxInFlight - inFlight.size, storedMark + maxInFlight - state.delivered);
  }

  return {
    after,
    until,
    reset: reset && {
      log,
      reason: reset.reason,
      from: { offset: reset.from },
      to: { epoch: state.epoch, offset: reset.to },
    },
    skip: (entry) => !isUnacked(state, entry.offset),
    room,
    onMoved(sent, from, to) {
      let passed = from;
      for (const { id, offset } of sent) {
        pass(passed + 1, offset - 1);
        inFlight.set(id, offset);
        state = markDelivered(state, offset, offset);
        passed = offset;
      }
      pass(passed + 1, to);
      if (state.delivered >= storedMark + maxInFlight / 2) persistLater();
    },
    onReset(lost) {
      state = moveConsumer(state, lost);
      if (lost.reason !== 'trimmed') storedMark = state.delivered;
      newAbove = state.delivered;
      for (const [id, offset] of inFlight) if (!isUnacked(state, offset)) inFlight.delete(id);
      persistLater();
    },
    isInFlight: (eventId) => inFlight.has(eventId),
    async ack(eventId) {
      const offset = inFlight.get(eventId) ?? (await options.locate(state, eventId));
      if (offset === null || over) return false;
      const wasFull = room() <= 0;
      inFlight.delete(eventId);
      state = ack(state, offset);
      if (offset > newAbove) state = { ...state, reset: null };
      try {
        await persist();
      } catch (error) {
        if (!over) inFlight.set(eventId, offset); // it can be acked again
        throw error;
      }
      if (wasFull && !over) onRoom();
      return !over;
    },
    async detach() {
      if (over) return false;
      finish();
      await running.catch(() => {}); // whoever asked for it was told
      return store(true);
    },
    abandon() {
      if (!over) finish();
    },
    keep: persistLater,
    adopt(record) {
      state = adoptAcks(state, record);
      for (const [id, offset] of inFlight) if (!isUnacked(state, offset)) inFlight.delete(id);
    },
    takeOver,
  };
}
