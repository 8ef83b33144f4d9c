import { type Cursor, WireError } from '@continuo/protocol';
import type { Clock, Head, Logs, Random, Records, Report } from '../ports.ts';
import { type Attachment, createAttachment } from './attachment.ts';
import {
  ack,
  adoptAcks,
  type ConsumerRecord,
  type ConsumerState,
  isUnacked,
  recoverConsumer,
} from './consumer.ts';

/** How often a record is tried for while others change it. */
const TRIES = 10;
const CONTENDED = 'Others hold this consumer just now. Try again.';

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
  onRoom?(): void;
  /** A newer attachment has the consumer now: this one is over. */
  onTakenOver?(): void;
}

export interface Consumers {
  attach(options: AttachOptions): Promise<Attachment>;
  /** An ack from anywhere, attached or not. True when it is stored. */
  ack(key: string, log: string, eventId: string): Promise<boolean>;
}

/** At least once: a message is handed out until its ack is stored, on whatever server its consumer comes back. */
export function createConsumers(options: ConsumersOptions): Consumers {
  const { logs, records, clock, random, report, maxInFlight = 1_000, ttlMs = 86_400_000 } = options;
  const live = new Map<string, Attachment>();
  /** The newest attach of each key: one after the other, or they would keep each other from it. */
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
    for (let tries = 0; tries < TRIES; tries++) {
      const known = await load(key);
      const fresh: ConsumerState = {
        epoch: since?.epoch ?? head.epoch,
        delivered: since?.offset ?? head.offset,
        unacked: [],
        reset: null,
      };
      // How far the log reaches is asked after the record: a head from before may lie below what was handed out since.
      const [now] = known ? await logs.heads([log]) : [];
      // Of an epoch that is gone nobody knows how far it came, and a server may still hand out what it remembers of it.
      const reach = now && now.epoch === known?.record.epoch ? now.offset : Number.POSITIVE_INFINITY;
      const state = known ? recoverConsumer(known.record, reach, maxInFlight) : fresh;
      const version = await put(key, { ...state, holder, clean: false }, known?.version ?? 0);
      if (version !== null) return { state, version };
    }
    throw new WireError('unavailable', CONTENDED);
  }

  /** Where in the log a message waits for its ack; `null` when it does not. */
  async function locate(state: ConsumerState, log: string, eventId: string): Promise<number | null> {
    const found = await logs.find(log, eventId);
    return found?.epoch === state.epoch && isUnacked(state, found.offset) ? found.offset : null;
  }

  async function attach(options: AttachOptions): Promise<Attachment> {
    const { key, log, received, seenReset, temporary = false, onRoom, onTakenOver } = options;
    live.get(key)?.takeOver();
    const holder = random.id();
    const taken = await take(options, holder);
    let { version } = taken;

    async function store(record: Omit<ConsumerRecord, 'holder'>): Promise<boolean> {
      if (temporary && record.clean) return records.remove(key, version);
      let stored = await put(key, { ...record, holder }, version);
      if (stored === null) {
        // Either it is another's, or an earlier put was stored and its answer lost.
        const now = await load(key);
        if (now?.record.holder === holder) {
          // Its owner may have acked something elsewhere.
          attachment.adopt(now.record);
          const whole = { ...adoptAcks(record, now.record), clean: record.clean, holder };
          stored = await put(key, whole, now.version);
        }
      }
      version = stored ?? version;
      return stored !== null;
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
      clock,
      report,
      store,
      locate: (state, eventId) => locate(state, log, eventId),
      onRoom: () => onRoom?.(),
      onTakenOver: () => onTakenOver?.(),
      onOver() {
        stopKeeping();
        if (live.get(key) === attachment) live.delete(key);
      },
    });
    live.set(key, attachment);
    keepLater();
    return attachment;
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
      for (let tries = 0; tries < TRIES; tries++) {
        const known = await load(key);
        const offset = known && (await locate(known.record, log, eventId));
        if (!known || offset === null) return false;
        const acked = { ...known.record, ...ack(known.record, offset) };
        if ((await put(key, acked, known.version)) === null) continue;
        await attaching.get(key)?.catch(() => {}); // whoever asked for it was told
        live.get(key)?.adopt(acked);
        return true;
      }
      throw new WireError('unavailable', CONTENDED);
    },
  };
}
