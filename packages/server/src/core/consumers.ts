import { type Cursor, type Entry, type Reset, WireError } from '@continuo/protocol';
import type { Clock, Head, Logs, Random, Records, Report } from '../ports.ts';
import { type Attachment, createAttachment } from './attachment.ts';
import {
  ack,
  type ConsumerRecord,
  type ConsumerState,
  committedOf,
  createConsumerState,
  isUnacked,
  moveConsumer,
  recoverConsumer,
} from './consumer.ts';
import { findYounger } from './expired.ts';
import type { Notice, Notices } from './notices.ts';
import type { DeathReason } from './redeliverer.ts';
import { nackOf, RETRY_TERMS, type RetryTerms } from './redelivery.ts';
import { createTurns } from './turns.ts';

/** How often a record is tried for while others change it. */
const TRIES = 50;
const CONTENDED = 'Others hold this consumer just now. Try again.';

export interface ConsumersOptions {
  readonly logs: Logs;
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  /** Messages handed out and not acked, above which delivery pauses. Default 1,000. */
  readonly maxInFlight?: number;
  /** How long an idle consumer is kept, and a message that it has not acked, in ms. Default 24 h. */
  readonly ttlMs?: number;
  readonly retry?: RetryTerms;
  /** How servers learn at once of what others do. */
  readonly notices?: Notices;
  /** Keeps a message that is given up. The same death twice is one. */
  bury?(death: Death): Promise<void>;
  /** Called for every message that is delivered again because it was nacked, or not acked in time. */
  onRedelivered?(): void;
}

/** A message that a consumer could not handle. */
export interface Death {
  /** The key of the consumer's record. */
  readonly key: string;
  readonly entry: Entry;
  readonly reason: DeathReason;
  /** How often it was delivered. */
  readonly attempts: number;
  /** Tells one death of a message from the next, after it was delivered again. */
  readonly at: number;
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
  /** Sends a message once more, marked. False: the peer takes nothing just now. */
  redeliver?(entry: Entry, attempt: number): boolean;
  /** Messages that were to come again are gone: tell it. */
  onLost?(reset: Reset): void;
  /** There is room again for more. */
  onRoom?(): void;
  /** A newer attachment has the consumer now: this one is over. */
  onTakenOver?(): void;
}

export interface Consumers {
  attach(options: AttachOptions): Promise<Attachment>;
  /** Up to where everything is acked; `null` for a consumer that is not known. */
  committed(key: string): Promise<{ readonly epoch: string; readonly offset: number } | null>;
  /** An ack from anywhere, attached or not. True when it is stored. */
  ack(key: string, log: string, eventId: string): Promise<boolean>;
  /** Has a message delivered again at once, or given up where it failed too often. True when that is stored. */
  nack(key: string, log: string, eventId: string): Promise<boolean>;
  /** Has a message that was given up delivered again. False when the channel no longer has it, or nobody the consumer. */
  reopen(key: string, log: string, at: { readonly epoch: string; readonly offset: number }): Promise<boolean>;
  /** Another server has changed a consumer. */
  told(notice: Notice): void;
}

/** A consumer that is held on this server. */
interface Held {
  readonly holder: string;
  readonly attachment: Attachment;
  /** Takes over what others did to its record. False: another has it now. */
  sync(): Promise<boolean>;
}

/** At least once: a message is handed out until its ack is stored, on whatever server its consumer comes back. */
export function createConsumers(options: ConsumersOptions): Consumers {
  const { logs, records, clock, random, report, maxInFlight = 1_000, ttlMs = 86_400_000 } = options;
  const { retry: terms = RETRY_TERMS } = options;
  const { notices, bury, onRedelivered } = options;
  /** Tells the holders of this server from those of others. */
  let me: string | null = null;
  const live = new Map<string, Held>();
  /** What takes or changes a record here happens in turn, or one would keep another from it. */
  const inTurn = createTurns();

  async function load(key: string): Promise<{ version: number; record: ConsumerRecord } | null> {
    const stored = await records.get(key);
    return stored && { version: stored.version, record: stored.value as ConsumerRecord };
  }

  function put(key: string, record: ConsumerRecord, ifVersion: number): Promise<number | null> {
    return records.put(key, record, { ifVersion, expiresAt: clock.now() + ttlMs });
  }

  /** Whoever holds it on another server learns at once that it was changed. */
  function tellHolder(key: string, { holder, clean }: ConsumerRecord): void {
    if (!clean && !holder.startsWith(me ?? '-')) notices?.tell({ key, holder });
  }

  /** One entry; the reset where it can no longer be had. */
  async function readOne(log: string, epoch: string, offset: number): Promise<Entry | Reset> {
    const page = await logs.read(log, { epoch, offset: offset - 1 }, { entries: 1, bytes: 1 });
    if (page.kind === 'reset') return page.reset;
    const [entry] = page.entries;
    if (!entry) throw new Error(`${log} has nothing at ${offset}`);
    return entry;
  }

  /** What is older than its time is gone for a consumer that comes back, and it is told so. */
  async function expire(state: ConsumerState, log: string, head: Head): Promise<ConsumerState> {
    const { epoch } = state;
    const committed = committedOf(state);
    const oldest = Math.max(head.oldest, committed + 1);
    const young = await findYounger(logs, log, { head: { ...head, oldest }, since: clock.now() - ttlMs });
    if (young === null) return state;
    return moveConsumer(state, {
      log,
      reason: 'trimmed',
      from: { epoch, offset: committed },
      to: { epoch, offset: young - 1 },
    });
  }

  /** Whoever says that it has what the log never had is told that it is not so. */
  function toldAhead(state: ConsumerState, received: Cursor, head: number): ConsumerState {
    if (received.epoch !== state.epoch || received.offset <= head || state.reset) return state;
    return { ...state, reset: { reason: 'ahead', from: received.offset, to: committedOf(state) } };
  }

  /** Takes the record for `holder`, from whoever has it. */
  async function take(
    options: AttachOptions,
    holder: string,
  ): Promise<{ state: ConsumerState; version: number }> {
    const { key, log, head, since, received } = options;
    for (let tries = 0; tries < TRIES; tries++) {
      const known = await load(key);
      const start = since ?? received;
      const fresh = createConsumerState(start?.epoch ?? head.epoch, start?.offset ?? head.offset);
      // How far the log reaches is asked after the record: a head from before may lie below what was handed out since.
      const [now] = known ? await logs.heads([log]) : [];
      // Of an epoch that is gone nobody knows how far it came, and a server may still hand out what it remembers of it.
      const reach = now && now.epoch === known?.record.epoch ? now.offset : Number.POSITIVE_INFINITY;
      const recovered = known ? recoverConsumer(known.record, reach, maxInFlight) : fresh;
      const young = now && Number.isFinite(reach) ? await expire(recovered, log, now) : recovered;
      const state = known && received ? toldAhead(young, received, reach) : young;
      const version = await put(key, { ...state, holder, clean: false }, known?.version ?? 0);
      if (version === null) continue;
      if (known) tellHolder(key, known.record);
      return { state, version };
    }
    throw new WireError('unavailable', CONTENDED);
  }

  /** Where in the log a message waits for its ack; `null` when it does not. */
  async function locate(state: ConsumerState, log: string, eventId: string): Promise<number | null> {
    const found = await logs.find(log, eventId);
    return found?.epoch === state.epoch && isUnacked(state, found.offset) ? found.offset : null;
  }

  /** Changes a consumer, by whoever holds it here, else in its record. `null`: there is nothing to change. */
  async function change(
    key: string,
    byHolder: (attachment: Attachment) => Promise<boolean>,
    inRecord: (record: ConsumerRecord) => Promise<ConsumerRecord | null>,
  ): Promise<boolean> {
    /** `null`: nobody holds it here, or no longer: then the record says what is so. */
    async function askHolder(): Promise<boolean | null> {
      const held = live.get(key);
      if (!held) return null;
      return (await byHolder(held.attachment)) || (live.get(key) === held ? false : null);
    }
    const answered = await askHolder();
    if (answered !== null) return answered;
    return inTurn(key, async () => {
      const asked = await askHolder();
      if (asked !== null) return asked;
      for (let tries = 0; tries < TRIES; tries++) {
        const known = await load(key);
        const changed = known && (await inRecord(known.record));
        if (!known || !changed) return false;
        if ((await put(key, changed, known.version)) === null) continue;
        tellHolder(key, changed);
        return true;
      }
      throw new WireError('unavailable', CONTENDED);
    });
  }

  async function attach(options: AttachOptions): Promise<Attachment> {
    const { key, log, received, seenReset, temporary = false, onRoom, onTakenOver } = options;
    notices?.listen();
    me ??= random.id();
    live.get(key)?.attachment.takeOver();
    const holder = `${me}.${random.id()}`;
    const taken = await take(options, holder);
    let { version } = taken;

    async function store(record: Omit<ConsumerRecord, 'holder'>): Promise<boolean> {
      if (temporary && record.clean) return records.remove(key, version);
      let mine: ConsumerRecord = { ...record, holder };
      for (let tries = 0; tries < TRIES; tries++) {
        const stored = await put(key, mine, version);
        if (stored !== null) {
          version = stored;
          return true;
        }
        // It is another's, or its owner acked something elsewhere, or an earlier put was stored and its answer lost.
        const now = await load(key);
        if (now?.record.holder !== holder) return false;
        ({ version } = now);
        mine = { ...attachment.adopt(now.record), clean: record.clean, holder };
      }
      throw new WireError('unavailable', CONTENDED);
    }

    async function sync(): Promise<boolean> {
      const now = await load(key);
      if (now?.record.holder === holder) {
        attachment.adopt(now.record);
        ({ version } = now);
        return true;
      }
      attachment.takeOver();
      return false;
    }

    let stopKeeping = (): void => {};
    function keepLater(): void {
      stopKeeping = clock.schedule(clock.now() + ttlMs / 4, () => {
        attachment.keep();
        keepLater();
      });
    }

    const attachment = createAttachment({
      log,
      state: taken.state,
      received,
      seenReset,
      maxInFlight,
      terms,
      ttlMs,
      clock,
      report,
      store,
      sync,
      read: (epoch, offset) => readOne(log, epoch, offset),
      redeliver(entry, attempt) {
        const isSent = options.redeliver?.(entry, attempt) ?? false;
        if (isSent) onRedelivered?.();
        return isSent;
      },
      bury: async (entry, death) => bury?.({ key, entry, ...death }),
      onLost: (reset) => options.onLost?.(reset),
      locate: (state, eventId) => locate(state, log, eventId),
      onRoom: () => onRoom?.(),
      onTakenOver: () => onTakenOver?.(),
      onOver() {
        stopKeeping();
        if (live.get(key)?.attachment === attachment) live.delete(key);
      },
    });
    live.set(key, { holder, attachment, sync });
    keepLater();
    return attachment;
  }

  return {
    attach: (options) => inTurn(options.key, () => attach(options)),

    async committed(key) {
      const known = await load(key);
      return known && { epoch: known.record.epoch, offset: committedOf(known.record) };
    },

    ack: (key, log, eventId) =>
      change(
        key,
        (attachment) => attachment.ack(eventId),
        async (record) => {
          const offset = await locate(record, log, eventId);
          return offset === null ? null : { ...record, ...ack(record, offset) };
        },
      ),

    nack: (key, log, eventId) =>
      change(
        key,
        (attachment) => attachment.nack(eventId),
        async (record) => {
          const offset = await locate(record, log, eventId);
          return offset === null
            ? null
            : { ...record, ...nackOf(record, offset, { terms, now: clock.now() }) };
        },
      ),

    async reopen(key, log, { epoch, offset }) {
      const [head] = await logs.heads([log]);
      if (head?.epoch !== epoch || offset < head.oldest) return false;
      return change(
        key,
        (attachment) => attachment.reopen(epoch, offset),
        async (record) => {
          if (record.epoch !== epoch || offset > record.delivered) return null;
          return { ...record, reopened: [...(record.reopened ?? []), offset] };
        },
      );
    },

    told({ key, holder }) {
      const held = live.get(key);
      if (held?.holder === holder)
        held.sync().catch((error: unknown) => report('looking at a consumer that was changed', error));
    },
  };
}
