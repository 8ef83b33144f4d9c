import type { Cursor, Entry, Reset } from '@continuo/protocol';
import type { Clock, Report } from '../ports.ts';
import {
  ack,
  adoptAcks,
  type ConsumerRecord,
  type ConsumerState,
  isApart,
  isUnacked,
  markDelivered,
  moveConsumer,
  reopen,
  setRetry,
} from './consumer.ts';
import { createRedeliverer, type DeathReason, type RedelivererOptions } from './redeliverer.ts';
import { dueOf, feedFrom, handedAt, handOut, nackOf, startAgain } from './redelivery.ts';

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
  /** Has the message delivered again at once, or given up where it failed too often. True when that is stored. */
  nack(eventId: string): Promise<boolean>;
  /** A message that was given up is delivered again. True when that is stored; false when it cannot be had any more. */
  reopen(epoch: string, offset: number): Promise<boolean>;
  /** Whether it handed this id out and waits for its ack. */
  isInFlight(eventId: string): boolean;
  /** Rises with every delivery of this server: when this id was handed out; `null` where it is not in flight here. */
  inFlightSince(eventId: string): number | null;
  /** Whether something is to come again, or to be given up, now. */
  isDue(): boolean;
  /** Stores how far it came. False when another had the consumer already: then what it handed out does not count. */
  detach(): Promise<boolean>;
  /** Ends without a word: whoever had the consumer before may still be handing out, so nothing exact can be said. */
  abandon(): void;
  /** Stores the record though nothing happened: it must outlive a quiet day. */
  keep(): void;
  /** Somebody else changed the record: what is acked there is acked. Returns what it now is. */
  adopt(record: ConsumerRecord): ConsumerState;
  /** Another has the consumer now. */
  takeOver(): void;
}

export interface AttachmentOptions
  extends Pick<RedelivererOptions, 'log' | 'terms' | 'ttlMs' | 'sync' | 'read'> {
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
  /** Sends a message once more. False: the peer takes nothing just now. */
  redeliver(entry: Entry, attempt: number): boolean;
  /** Keeps what is given up, before it is done with here. `at` tells one death of a message from the next. */
  bury(
    entry: Entry,
    death: { readonly reason: DeathReason; readonly attempts: number; readonly at: number },
  ): Promise<void>;
  /** Messages that were to come again are gone. */
  onLost(reset: Reset): void;
  onRoom(): void;
  onTakenOver(): void;
  onOver(): void;
}

/** Of all attachments of this process: what was handed out earlier has the lower number. */
let deliveries = 0;

/** How long a mark that could not be stored waits until it is tried again, in ms. */
const RETRY_MS = 500;

export function createAttachment(options: AttachmentOptions): Attachment {
  const { log, terms, received, seenReset, maxInFlight, clock, report, onRoom } = options;
  let { state } = options;
  if (seenReset?.epoch === state.epoch && seenReset.offset === state.reset?.to)
    state = { ...state, reset: null };
  // What was handed out is within the mark: whoever says that more has arrived does not know.
  const confirmed = received?.epoch === state.epoch ? Math.min(received.offset, state.delivered) : 0;
  state = startAgain(state, confirmed, terms);
  if (confirmed > 0) state = handOut(state, confirmed, handedAt(clock.now(), terms));
  const after = { epoch: state.epoch, offset: Math.max(feedFrom(state), confirmed) };
  const until = state.delivered;
  const { reset } = state;
  /** The mark as it is stored: what is handed out stays within `maxInFlight` of it. */
  let storedMark = state.delivered;
  /** Nothing above this was handed out before: an ack from there shows that everything sent here before it arrived. */
  let newAbove = state.delivered;
  const inFlight = new Map<string, { readonly offset: number; readonly since: number }>();
  /** What was handed out before this attachment, arrived, and waits for its ack: it takes room like what is in flight. */
  const arrived = new Set<number>();
  for (const [from, to] of state.unacked)
    for (let offset = from; offset <= Math.min(to, confirmed); offset++) arrived.add(offset);
  /** Reopened, and not stored as such yet: no record of another shows it. */
  const wanted = new Set<number>();
  let over = false;

  const redeliverer = createRedeliverer({
    ...options,
    state: () => state,
    isOver: () => over,
    send(entry, retry) {
      if (!options.redeliver(entry, Math.max(2, retry.failures + 1))) return false;
      arrived.delete(entry.offset);
      inFlight.set(entry.id, { offset: entry.offset, since: ++deliveries });
      state = setRetry(state, retry);
      persistLater();
      return true;
    },
    async bury(entry, reason, { offset, failures, at: handed }) {
      // What is to be given up is stored as such first: a server that dies in between buries it again, under one id.
      const at = handed || clock.now();
      state = setRetry(state, { offset, failures: Math.max(failures, terms.maxRetries + 1), at });
      await persist();
      if (over) return;
      await options.bury(entry, { reason, attempts: failures, at });
      const isWantedAgain = state.retries.some((retry) => retry.offset === offset && retry.at !== at);
      if (!isWantedAgain) await done(offset, entry.id);
    },
    onLost(reset) {
      lose(reset);
      options.onLost(reset);
    },
  });

  function finish(): void {
    over = true;
    redeliverer.stop();
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
    if (to < from) return;
    const known = Math.min(to, state.delivered);
    const apart = state.retries
      .map(({ offset }) => offset)
      .filter((offset) => offset >= from && offset <= known);
    let start = from;
    for (const offset of [...apart.toSorted((a, b) => a - b), known + 1]) {
      if (offset > start) state = ack(state, start, offset - 1);
      start = offset + 1;
    }
    if (to > state.delivered) state = markDelivered(state, to + 1, to);
  }

  function lose(lost: Reset): void {
    state = moveConsumer(state, lost);
    if (lost.reason !== 'trimmed') storedMark = state.delivered;
    newAbove = state.delivered;
    forgetAcked();
    persistLater();
  }

  function forgetAcked(): void {
    for (const [id, { offset }] of inFlight) if (!isUnacked(state, offset)) inFlight.delete(id);
    for (const offset of arrived) if (!isUnacked(state, offset)) arrived.delete(offset);
  }

  /** It waits no longer. Resolves when that is stored. */
  async function done(offset: number, eventId: string): Promise<void> {
    const wasFull = room() <= 0;
    const handed = inFlight.get(eventId);
    inFlight.delete(eventId);
    arrived.delete(offset);
    wanted.delete(offset);
    state = ack(state, offset);
    try {
      await persist();
    } catch (error) {
      if (!over) inFlight.set(eventId, handed ?? { offset, since: ++deliveries }); // it can be acked again
      throw error;
    }
    if (wasFull && !over) onRoom();
  }

  async function offsetOf(eventId: string): Promise<number | null> {
    const offset = inFlight.get(eventId)?.offset ?? (await options.locate(state, eventId));
    return over ? null : offset;
  }

  function room(): number {
    const waiting = inFlight.size + arrived.size;
    return over ? 0 : Math.min(maxInFlight - waiting, storedMark + maxInFlight - state.delivered);
  }

  redeliverer.arm();
  return {
    after,
    until,
    reset: reset && {
      log,
      reason: reset.reason,
      from: { offset: reset.from },
      to: { epoch: state.epoch, offset: reset.to },
    },
    skip: (entry) => !isUnacked(state, entry.offset) || isApart(state, entry.offset),
    room,
    onMoved(sent, from, to) {
      let passed = from;
      let start = from + 1;
      for (const { id, offset } of sent) {
        if (offset > passed + 1) {
          state = markDelivered(state, start, passed);
          pass(passed + 1, offset - 1);
          start = offset;
        }
        inFlight.set(id, { offset, since: ++deliveries });
        passed = offset;
      }
      state = markDelivered(state, start, passed);
      pass(passed + 1, to);
      if (sent.length > 0) {
        state = handOut(state, passed, handedAt(clock.now(), terms));
        redeliverer.arm();
      }
      if (state.delivered >= storedMark + maxInFlight / 2) persistLater();
    },
    onReset: lose,
    isInFlight: (eventId) => inFlight.has(eventId),
    inFlightSince: (eventId) => inFlight.get(eventId)?.since ?? null,
    isDue: () => !over && dueOf(state, terms, clock.now()).length > 0,
    async ack(eventId) {
      const offset = await offsetOf(eventId);
      if (offset === null) return false;
      if (offset > newAbove) state = { ...state, reset: null };
      await done(offset, eventId);
      return !over;
    },
    async nack(eventId) {
      const offset = await offsetOf(eventId);
      if (offset === null || !isUnacked(state, offset)) return false;
      state = nackOf(state, offset, { terms, now: clock.now() });
      await persist();
      redeliverer.look();
      return !over;
    },
    async reopen(epoch, offset) {
      if (over || epoch !== state.epoch || offset > state.delivered) return false;
      wanted.add(offset);
      state = reopen(state, offset);
      try {
        await persist();
      } finally {
        wanted.delete(offset);
      }
      redeliverer.look();
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
      state = [...wanted].reduce(reopen, adoptAcks(state, record));
      forgetAcked();
      redeliverer.arm();
      return state;
    },
    takeOver,
  };
}
