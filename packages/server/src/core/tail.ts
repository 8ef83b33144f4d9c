import type { Bus, Clock, Head, Logs, Report } from '../ports.ts';
import { createSlot, type Dialect, joinSlots, type Slot } from './dialect.ts';

/** What one read of the store takes at most: a batch is never larger, so neither is the buffer it becomes. */
const READ_LIMIT = { entries: 1_000, bytes: 256 * 1024 };
/** How often every watched log's head is compared with the store: it heals lost wakes. Milliseconds. */
const HEADS_MS = 1_000;
/** How long a log nobody watches any more keeps its ring: readers come back after a drop. Milliseconds. */
const LINGER_MS = 10_000;
/** Joined buffers a tail remembers until it grows, in bytes. */
const JOINED_BYTES = 1024 * 1024;
/** A returning watcher that missed more entries than this gets a new, empty ring. */
const REOPEN_ENTRIES = 1_000;

export interface TailsOptions {
  readonly logs: Logs;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly report: Report;
  /** For the rings of all logs together. Default 64 MiB. */
  readonly ringBytes?: number;
  /** For the ring of one log. Default 8 MiB. */
  readonly logRingBytes?: number;
}

/** New entries of a log, as the readers at its head get them. */
export interface Batch {
  readonly slots: readonly Slot[];
  /** Offset of the first slot. */
  readonly first: number;
  /** All frames joined: made once per dialect. */
  bytes(dialect: Dialect): Uint8Array;
  hasSource(source: string): boolean;
}

/** A reader whose position is the tail's. */
export interface LiveReader {
  deliver(batch: Batch): void;
  /** The log has ended, and everything was delivered. */
  ended(): void;
  /** The log is not the one it was: read on from the position you have. */
  uprooted(position: { epoch: string; offset: number }): void;
}

export interface Tails {
  /** The log's tail, watched until `release`. `head` is where the log stood a moment ago. */
  acquire(log: string, head: Head): Tail;
  release(tail: Tail): void;
  /** How many readers the log has in this process. */
  watchers(log: string): number;
  /** Bytes held by all rings. */
  readonly ringBytes: number;
  readonly size: number;
  close(): void;
}

/**
 * The newest entries of one log in one process. It alone reads what is new, once for all its readers: after every wake
 * it reads after its position until there is no more.
 */
export class Tail {
  readonly log: string;
  readonly live: Set<LiveReader> = new Set();
  /** The position that all live readers share: everything up to it was delivered to them. */
  epoch: string;
  offset: number;
  ended: boolean;
  watchers = 0;
  idleSince = 0;
  ringBytes = 0;
  /** What the budget of all rings has counted of `ringBytes`. */
  countedBytes = 0;
  unwatch: () => void = () => {};
  #slots: Slot[] = [];
  #joined: Map<string, Uint8Array> | null = null;
  #joinedBytes = 0;
  #reading = false;
  #again = false;
  #closed = false;
  readonly #options: TailsOptions;
  readonly #onGrowth: (tail: Tail) => void;

  constructor(log: string, head: Head, options: TailsOptions, onGrowth: (tail: Tail) => void) {
    this.log = log;
    this.epoch = head.epoch;
    this.offset = head.offset;
    this.ended = head.ended;
    this.#options = options;
    this.#onGrowth = onGrowth;
  }

  /** Reads what is new: now or, while it is reading, once more afterwards. Nothing to do where it has `reached`. */
  wake(reached?: number): void {
    if (reached !== undefined && reached <= this.offset) return;
    this.#again = true;
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    // What fails now is read again when the heads timer finds this tail behind.
    this.#read().catch((error: unknown) => this.#options.report(`reading ${this.log}`, error));
  }

  /** At most `count` slots after `offset`; `null` when the ring has not the first of them. */
  slotsAfter(offset: number, count: number): readonly Slot[] | null {
    const from = offset - (this.offset - this.#slots.length);
    return from < 0 || from >= this.#slots.length ? null : this.#slots.slice(from, from + count);
  }

  /** Slots of the ring as one buffer: many readers come back to one position. */
  joined(slots: readonly Slot[], dialect: Dialect): Uint8Array {
    const key = `${slots[0]?.entry.offset}+${slots.length} ${dialect.key}`;
    let bytes = this.#joined?.get(key);
    if (bytes) return bytes;
    bytes = joinSlots(slots, dialect);
    if (this.#joinedBytes + bytes.byteLength <= JOINED_BYTES) {
      this.#joined ??= new Map();
      this.#joined.set(key, bytes);
      this.#joinedBytes += bytes.byteLength;
    }
    return bytes;
  }

  /** Starts over at the head, without a ring. */
  restart(head: Head | null): void {
    const before = { epoch: this.epoch, offset: this.offset };
    this.epoch = head?.epoch ?? '';
    this.offset = head?.offset ?? 0;
    this.ended = head?.ended ?? false;
    this.dropRing();
    for (const reader of [...this.live]) reader.uprooted(before);
  }

  dropRing(): void {
    this.#slots = [];
    this.#dropJoined();
    this.ringBytes = 0;
  }

  close(): void {
    this.#closed = true;
    this.unwatch();
    this.dropRing();
  }

  #dropJoined(): void {
    this.#joined = null;
    this.#joinedBytes = 0;
  }

  async #read(): Promise<void> {
    try {
      while (this.#again && !this.#closed) {
        this.#again = false;
        await this.#readOnce();
      }
    } finally {
      this.#reading = false; // in the same step as the last look at #again, or a wake between the two would be lost
    }
  }

  async #readOnce(): Promise<void> {
    const { logs } = this.#options;
    const page = await logs.read(this.log, { epoch: this.epoch, offset: this.offset }, READ_LIMIT);
    if (this.#closed) return;
    if (page.kind === 'reset') {
      const [head] = await logs.heads([this.log]);
      if (!this.#closed) this.restart(head ?? null);
      return;
    }
    if (page.more) this.#again = true;
    if (page.entries.length > 0) {
      const dataBytes = page.bytes / page.entries.length;
      this.#take(page.entries.map((entry) => createSlot(entry, dataBytes)));
    }
    if (page.ended && !this.ended) {
      this.ended = true;
      for (const reader of [...this.live]) reader.ended();
    }
  }

  #take(slots: readonly Slot[]): void {
    const first = this.offset + 1;
    this.#slots.push(...slots);
    this.offset += slots.length;
    this.#dropJoined();

    const joined = new Map<string, Uint8Array>();
    let sources: Set<string | undefined> | undefined;
    const batch: Batch = {
      slots,
      first,
      bytes(dialect) {
        let bytes = joined.get(dialect.key);
        if (!bytes) {
          bytes = joinSlots(slots, dialect);
          joined.set(dialect.key, bytes);
        }
        return bytes;
      },
      hasSource(source) {
        sources ??= new Set(slots.map((slot) => slot.entry.source));
        return sources.has(source);
      },
    };
    for (const reader of this.live) reader.deliver(batch);

    for (const slot of slots) {
      slot.counted = slot.bytes;
      this.ringBytes += slot.counted;
    }
    this.#trimRing(this.#options.logRingBytes ?? 8 * 1024 * 1024);
    this.#onGrowth(this);
  }

  #trimRing(maxBytes: number): void {
    let count = 0;
    while (this.ringBytes > maxBytes && count < this.#slots.length)
      this.ringBytes -= this.#slots[count++]?.counted ?? 0;
    if (count > 0) this.#slots.splice(0, count);
  }
}

/** One tail per watched log, one ring budget and one timer for all of them. */
export function createTails(options: TailsOptions): Tails {
  const { logs, bus, clock, report, ringBytes: maxRingBytes = 64 * 1024 * 1024 } = options;
  /** Least recently grown first. */
  const tails = new Map<string, Tail>();
  let ringBytes = 0;
  let stopTimer = (): void => {};

  function recount(tail: Tail): void {
    ringBytes += tail.ringBytes - tail.countedBytes;
    tail.countedBytes = tail.ringBytes;
  }

  function onGrowth(tail: Tail): void {
    recount(tail);
    tails.delete(tail.log);
    tails.set(tail.log, tail);
    for (const oldest of tails.values()) {
      if (ringBytes <= maxRingBytes) break;
      oldest.dropRing();
      recount(oldest);
    }
  }

  function remove(tail: Tail): void {
    tails.delete(tail.log);
    tail.close();
    recount(tail);
  }

  function checkHeads(): void {
    const now = clock.now();
    const watched: Tail[] = [];
    for (const tail of tails.values()) {
      if (tail.watchers > 0) watched.push(tail);
      else if (now - tail.idleSince >= LINGER_MS) remove(tail);
    }
    stopTimer = clock.schedule(now + HEADS_MS, checkHeads);
    if (watched.length === 0) return;
    logs.heads(watched.map((tail) => tail.log)).then(
      (heads) => {
        for (const [index, tail] of watched.entries()) {
          const head = heads[index];
          if (
            (head?.epoch ?? '') !== tail.epoch ||
            (head?.offset ?? 0) !== tail.offset ||
            head?.ended !== tail.ended
          ) {
            tail.wake();
          }
        }
      },
      (error: unknown) => report('reading the heads of the watched logs', error),
    );
  }
  stopTimer = clock.schedule(clock.now() + HEADS_MS, checkHeads);

  return {
    acquire(log, head) {
      let tail = tails.get(log);
      if (!tail) {
        tail = new Tail(log, head, options, onGrowth);
        tails.set(log, tail);
      }
      if (tail.watchers++ === 0) {
        const waking = tail;
        tail.unwatch = bus.watch(log, (reached) => waking.wake(reached));
        if (tail.epoch !== head.epoch || head.offset - tail.offset > REOPEN_ENTRIES) tail.restart(head);
        tail.wake();
      }
      return tail;
    },
    release(tail) {
      if (--tail.watchers > 0) return;
      tail.unwatch();
      tail.unwatch = () => {};
      tail.idleSince = clock.now();
    },
    watchers: (log) => tails.get(log)?.watchers ?? 0,
    get ringBytes() {
      return ringBytes;
    },
    get size() {
      return tails.size;
    },
    close() {
      stopTimer();
      for (const tail of [...tails.values()]) remove(tail);
    },
  };
}
