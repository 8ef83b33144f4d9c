import type { Cursor, Entry, Reset } from '@continuo/protocol';
import {
  type Clock,
  type Head,
  type Logs,
  type Random,
  type Records,
  type Report,
  StoreError,
} from '../ports.ts';
import {
  ack,
  type ConsumerRecord,
  type ConsumerState,
  committedOf,
  isUnacked,
  markDelivered,
  moveConsumer,
  recoverConsumer,
} from './consumer.ts';

/** How often an attach tries to win the record from others who write it. */
const ATTACH_TRIES = 10;
/** Entries looked through at once for an event id. */
const LOCATE_PAGE = { entries: 500, bytes: 4 * 1024 * 1024 };

export interface ConsumersOptions {
  readonly logs: Logs;
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  /** Messages handed out and not acked, above which delivery pauses. Default 1,000. */
  readonly maxInFlight?: number;
  /** How long an idle consumer is kept, in ms. Default 24 h. */
  readonly ttlMs?: number;
}

export interface AttachOptions {
  /** The key of its record. */
  readonly key: string;
  readonly log: string;
  readonly head: Head;
  /** Where a consumer that is not known yet begins; without it, at the head. */
  readonly since?: Cursor | undefined;
  /** A position its owner has confirmed to have received, though not acked: nothing up to there comes again now. */
  readonly received?: Cursor | undefined;
  /** The newest reset that its owner is known to have been told of. */
  readonly seenReset?: Cursor | undefined;
  /** Forget it when it detaches. */
  readonly temporary?: boolean;
  /** There is room again for more. */
  onRoom(): void;
  /** A newer attachment has the consumer now: this one is over. */
  onTakenOver(): void;
}

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
  onSent(entries: readonly Entry[]): void;
  onReset(reset: Reset): void;
  /** True when the ack is stored; false when nothing with that id waits for one. */
  ack(eventId: string): Promise<boolean>;
  /** Whether it handed this id out and waits for its ack. */
  isInFlight(eventId: string): boolean;
  /** Stores how far it came. Idempotent. */
  detach(): Promise<void>;
}

export interface Consumers {
  attach(options: AttachOptions): Promise<Attachment>;
  /** An ack from anywhere, attached or not. */
  ack(key: string, log: string, eventId: string): Promise<boolean>;
}

/** At least once: a message is handed out until its ack is stored, on whatever server its consumer comes back. */
export function createConsumers(options: ConsumersOptions): Consumers {
  const { logs, records, clock, random, report, maxInFlight = 1_000, ttlMs = 86_400_000 } = options;
  const live = new Map<string, Attachment & { takeOver(): void }>();
  /** The newest attach of each key that is under way: one after the other, or they would keep each other from it. */
  const attaching = new Map<string, Promise<unknown>>();

  async function load(key: string): Promise<{ version: number; record: ConsumerRecord } | null> {
    const stored = await records.get(key);
    return stored && { version: stored.version, record: stored.value as ConsumerRecord };
  }

  function put(key: string, record: ConsumerRecord, ifVersion: number): Promise<number | null> {
    return records.put(key, record, { ifVersion, expiresAt: clock.now() + ttlMs });
  }

  /** Takes the record for `holder`, from whoever has it. */
  async function take(
    options: AttachOptions,
    holder: string,
  ): Promise<{ state: ConsumerState; version: number }> {
    const { key, log, head, since } = options;
    for (let tries = 0; tries < ATTACH_TRIES; tries++) {
      const known = await load(key);
      const fresh: ConsumerState = {
        epoch: since?.epoch ?? head.epoch,
        delivered: since?.offset ?? head.offset,
        unacked: [],
        reset: null,
      };
      // How far the log reaches is asked after the record: a head from before may lie below what was handed out since.
      const [reach] = known ? await logs.heads([log]) : [];
      const state = known ? recoverConsumer(known.record, reach?.offset ?? 0, maxInFlight) : fresh;
      const version = await put(key, { ...state, holder, clean: false }, known?.version ?? 0);
      if (version !== null) return { state, version };
    }
    throw new StoreError(
      'unavailable',
      `${key}: others changed it ${ATTACH_TRIES} times while it was being attached`,
    );
  }

  /** Where in the log the message waits; `null` when it does not. */
  async function locate(state: ConsumerState, log: string, eventId: string): Promise<number | null> {
    let position = { epoch: state.epoch, offset: committedOf(state) };
    while (position.offset < state.delivered) {
      const page = await logs.read(log, position, LOCATE_PAGE);
      if (page.kind === 'reset' || page.entries.length === 0) return null;
      const found = page.entries.find((entry) => entry.id === eventId);
      if (found) return isUnacked(state, found.offset) ? found.offset : null;
      position = page.next;
    }
    return null;
  }

  async function attach(options: AttachOptions): Promise<Attachment> {
    const { key, log, received, seenReset, temporary = false, onRoom, onTakenOver } = options;
    live.get(key)?.takeOver();
    const holder = random.id();
    const taken = await take(options, holder);
    let { state, version } = taken;
    /** The mark as it is stored: what is handed out stays within `maxInFlight` of it. */
    let storedMark = state.delivered;
    const inFlight = new Map<string, number>();
    let over = false;

    /** What is above was never handed out before this attachment: its ack shows that all before it has arrived. */
    let newAbove = state.delivered;
    if (seenReset?.epoch === state.epoch && seenReset.offset === state.reset?.to)
      state = { ...state, reset: null };
    const { reset } = state;

    const committed = committedOf(state);
    const goesOn = received !== undefined && received.epoch === state.epoch;
    const after = { epoch: state.epoch, offset: Math.max(committed, goesOn ? received.offset : 0) };
    const until = state.delivered;

    function takeOver(): void {
      if (over) return;
      over = true;
      if (live.get(key) === self) live.delete(key);
      onTakenOver();
    }

    async function store(clean: boolean): Promise<void> {
      const { delivered } = state;
      const record: ConsumerRecord = { ...state, holder, clean };
      let stored = await put(key, record, version);
      if (stored === null) {
        // Either it is another's, or an earlier put was stored and its answer lost.
        const now = await load(key);
        stored = now?.record.holder === holder ? await put(key, record, now.version) : null;
      }
      if (stored === null) return takeOver();
      version = stored;
      storedMark = Math.max(storedMark, delivered);
    }

    let scheduled: Promise<void> | null = null;
    let running: Promise<void> = Promise.resolve();
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

    const self = {
      after,
      until,
      reset: reset && {
        log,
        reason: reset.reason,
        from: { offset: reset.from },
        to: { epoch: state.epoch, offset: reset.to },
      },
      skip: (entry: Entry) => !isUnacked(state, entry.offset),
      room: () =>
        over ? 0 : Math.min(maxInFlight - inFlight.size, storedMark + maxInFlight - state.delivered),
      onSent(entries: readonly Entry[]) {
        for (const { id, offset } of entries) {
          inFlight.set(id, offset);
          if (offset > state.delivered) state = markDelivered(state, offset, offset);
        }
        if (state.delivered < storedMark + maxInFlight / 2) return;
        const wasFull = self.room() <= 0;
        persist().then(
          () => {
            if (wasFull && !over) onRoom();
          },
          (error: unknown) => report(`storing how far ${key} was delivered`, error),
        );
      },
      onReset(lost: Reset) {
        state = moveConsumer(state, lost);
        if (lost.reason !== 'trimmed') storedMark = state.delivered;
        newAbove = state.delivered;
        for (const [id, offset] of inFlight) if (!isUnacked(state, offset)) inFlight.delete(id);
        persist().catch((error: unknown) => report(`storing where ${key} goes on`, error));
      },
      isInFlight: (eventId: string) => inFlight.has(eventId),
      async ack(eventId: string) {
        const offset = inFlight.get(eventId) ?? (await locate(state, log, eventId));
        if (offset === null || over) return false;
        const wasFull = self.room() <= 0;
        inFlight.delete(eventId);
        state = ack(state, offset);
        if (offset > newAbove) state = { ...state, reset: null };
        await persist();
        if (wasFull && !over) onRoom();
        return !over;
      },
      async detach() {
        if (over) return;
        over = true;
        if (live.get(key) === self) live.delete(key);
        await running.catch(() => {});
        if (temporary) await records.remove(key);
        else await store(true);
      },
      takeOver,
    };
    live.set(key, self);
    return self;
  }

  return {
    async attach(options) {
      const { key } = options;
      const before = attaching.get(key) ?? Promise.resolve();
      const attached = before.then(
        () => attach(options),
        () => attach(options),
      );
      attaching.set(key, attached);
      try {
        return await attached;
      } finally {
        if (attaching.get(key) === attached) attaching.delete(key);
      }
    },

    async ack(key, log, eventId) {
      const attached = live.get(key);
      if (attached) return attached.ack(eventId);
      for (let tries = 0; tries < ATTACH_TRIES; tries++) {
        const known = await load(key);
        const offset = known && (await locate(known.record, log, eventId));
        if (!known || offset === null) return false;
        if ((await put(key, { ...known.record, ...ack(known.record, offset) }, known.version)) !== null)
          return true;
      }
      return false;
    },
  };
}
