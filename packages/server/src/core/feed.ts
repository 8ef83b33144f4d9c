import type { Cursor, Entry, Reset } from '@continuo/protocol';
import type { Clock, Head, Logs, Peer, ReadLimit, Report } from '../ports.ts';
import { createSlot, type Dialect, joinSlots, type Slot } from './dialect.ts';
import type { Batch, LiveReader, Tail, Tails } from './tail.ts';

/** What one step of a replay takes at most, from the store or from the ring. */
const STEP: ReadLimit = { entries: 500, bytes: 128 * 1024 };
/** Above this many unsent bytes a feed stops reading for its peer. */
export const WATERMARK_BYTES: number = 512 * 1024;
/** How long a feed that failed waits until it tries again, in ms. */
const RETRY_MS = 500;

export interface FeedOptions {
  readonly log: string;
  /** Where the log stood a moment ago. */
  readonly head: Head;
  /** The first entry sent is the one after it. */
  readonly after: Cursor;
  readonly peer: Peer;
  readonly dialect: Dialect;
  /** Entries up to `until` are old: they go in a dialect of their own, and `done` is called once when they went. */
  readonly replay?: { readonly until: number; readonly dialect: Dialect; done?(): void };
  /** What one step of a replay takes, where what becomes of it is much smaller. Default 500 entries, 128 KiB. */
  readonly step?: ReadLimit;
  /** Entries of this source are not sent. */
  readonly withoutSource?: string;
  /** Old entries for which it is true are not sent. */
  skip?(entry: Entry): boolean;
  /** How many more entries may be sent now; after 0, `resume()` says that there is room again. */
  room?(): number;
  /** The position moved from one offset to another: these entries were handed to the peer, others on the way were not. */
  onMoved?(sent: readonly Entry[], from: number, to: number): void;
  /** The position was lost: show it, and say where to go on; `null` closes the feed. */
  onReset(reset: Reset): Promise<Cursor | null> | Cursor | null;
  /** Called once, when it first waits at the log's head. */
  onLive?(): void;
  /** Called whenever it begins to wait at the log's head. */
  onHead?(): void;
  /** The log has ended and all of it was handed to the peer. */
  onEnd?(): void;
}

interface FeedDeps {
  readonly tails: Tails;
  readonly logs: Logs;
  readonly clock: Clock;
  readonly report: Report;
}

/**
 * Delivers a log to one peer from a position on: in order, each entry once per feed; what is lost with the peer is sent
 * again to the feed that takes up its position. A peer that does not drain is not read for: the feed holds a position,
 * not a buffer. Callbacks are never called before the constructor has returned.
 */
export class Feed implements LiveReader {
  /** The last entry handed to the peer. While it is live this is where it became so, and the tail's offset counts. */
  #epoch: string;
  #offset: number;
  #live = false;
  #running = false;
  #again = false;
  #closed = false;
  #replayed = false;
  #wasLive = false;
  readonly #tail: Tail;
  readonly #options: FeedOptions;
  #onDrained: (() => void) | null = null;
  readonly #deps: FeedDeps;

  constructor(options: FeedOptions, deps: FeedDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#epoch = options.after.epoch ?? options.head.epoch;
    this.#offset = options.after.offset;
    this.#tail = deps.tails.acquire(options.log, options.head);
    this.resume();
  }

  get position(): { epoch: string; offset: number } {
    const offset = this.#live ? Math.max(this.#offset, this.#tail.offset) : this.#offset;
    return { epoch: this.#epoch, offset };
  }

  /** Whether it waits at the log's head. */
  get live(): boolean {
    return this.#live;
  }

  /** Looks again: there is room, or the peer has drained. */
  resume(): void {
    this.#again = true;
    if (this.#running || this.#live || this.#closed) return;
    this.#running = true;
    this.#catchUp().catch((error: unknown) => this.#retryLater(error));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leaveLive(this.position.offset);
    this.#deps.tails.release(this.#tail);
  }

  deliver(batch: Batch): void {
    const { peer, dialect, withoutSource, onMoved } = this.#options;
    try {
      if (!this.#hasRoom(batch.slots.length)) {
        this.#leaveLive(batch.first - 1);
        this.#waitForRoom();
      } else if (
        this.#offset >= batch.first ||
        (withoutSource !== undefined && batch.hasSource(withoutSource))
      ) {
        this.#send(
          batch.slots.filter((slot) => slot.entry.offset > this.#offset),
          dialect,
          false,
        );
      } else {
        peer.send(batch.bytes(dialect));
        onMoved?.(
          batch.slots.map((slot) => slot.entry),
          batch.first - 1,
          this.#tail.offset,
        );
      }
    } catch (error) {
      this.#leaveLive(batch.first - 1);
      this.#retryLater(error);
    }
  }

  ended(): void {
    this.#options.onEnd?.();
  }

  uprooted(position: { epoch: string; offset: number }): void {
    this.#leaveLive(position.epoch === this.#epoch ? position.offset : this.#offset);
    this.resume();
  }

  /** From here on it goes by its own position, at least `offset`. */
  #leaveLive(offset: number): void {
    this.#live = false;
    this.#tail.live.delete(this);
    this.#offset = Math.max(this.#offset, offset);
  }

  #enterLive(): void {
    this.#live = true;
    this.#tail.live.add(this);
    if (!this.#wasLive) {
      this.#wasLive = true;
      this.#options.onLive?.();
    }
    if (this.#tail.ended && this.#offset >= this.#tail.offset) this.#options.onEnd?.();
    if (this.#live) this.#options.onHead?.();
  }

  #retryLater(error: unknown): void {
    const { clock, report } = this.#deps;
    report(`feeding ${this.#options.log}`, error);
    clock.schedule(clock.now() + RETRY_MS, () => this.resume());
  }

  #hasRoom(entries: number): boolean {
    const { peer, room } = this.#options;
    return peer.bufferedBytes < WATERMARK_BYTES && (room === undefined || room() >= entries);
  }

  /** Without room for one more, whoever makes room calls `resume`: the peer when it has drained, or the owner of `room`. */
  #waitForRoom(): void {
    const { peer } = this.#options;
    if (peer.bufferedBytes >= WATERMARK_BYTES) this.#resumeWhenDrained();
    else if (this.#hasRoom(1)) this.resume();
  }

  #resumeWhenDrained(): void {
    this.#onDrained ??= () => this.resume();
    this.#options.peer.onceDrained(this.#onDrained);
  }

  async #catchUp(): Promise<void> {
    try {
      await Promise.resolve(); // so that nobody is called before the constructor has returned
      while (this.#again) {
        this.#again = false;
        while (!this.#closed && !this.#live) {
          if (this.#offset >= (this.#options.replay?.until ?? 0)) this.#finishReplay();
          if (this.#closed) return;
          if (!this.#hasRoom(1)) {
            this.#waitForRoom();
            break;
          }
          const atHead = this.#epoch === this.#tail.epoch && this.#offset === this.#tail.offset;
          if (atHead && this.#replayed) this.#enterLive();
          else await this.#step();
        }
      }
    } finally {
      this.#running = false; // in the same step as the last look at #again, or a call between the two would be lost
    }
  }

  /** Sends some entries after the position: from the ring where it has them, else from the store. */
  async #step(): Promise<void> {
    const { step = STEP } = this.#options;
    const ring = this.#epoch === this.#tail.epoch ? this.#tail.slotsAfter(this.#offset, step.entries) : null;
    if (ring) return this.#sendStep(ring, step.bytes);

    const page = await this.#deps.logs.read(this.#options.log, this.position, step);
    if (this.#closed) return;
    if (page.kind === 'reset') {
      if (page.reset.reason === 'epoch') this.#finishReplay(); // `until` belongs to the epoch that is gone
      const to = await this.#options.onReset(page.reset);
      if (to === null) return this.close();
      this.#epoch = to.epoch ?? page.reset.to.epoch;
      this.#offset = to.offset;
      return;
    }
    if (page.entries.length > 0) {
      const dataBytes = page.bytes / page.entries.length;
      return this.#sendStep(
        page.entries.map((entry) => createSlot(entry, dataBytes)),
        null,
      );
    }
    // The store has no more than this reader, and the tail, which is behind it, will come to where it stands. What the
    // tail delivers up to there is not for this reader.
    if (this.#epoch === this.#tail.epoch && this.#offset < this.#tail.offset) return;
    this.#finishReplay();
    if (this.#closed) return;
    this.#enterLive();
    this.#tail.wake();
  }

  /** `ringBytes`: what may be sent of slots of the ring, whose number alone bounds them; a page of the store has its size. */
  #sendStep(slots: readonly Slot[], ringBytes: number | null): void {
    const { replay, dialect, room } = this.#options;
    const until = this.#replayed ? 0 : (replay?.until ?? 0);
    const old = this.#offset < until;
    const most = Math.min(slots.length, room?.() ?? slots.length, old ? until - this.#offset : slots.length);
    let count = ringBytes === null ? most : 0;
    for (let bytes = 0; ringBytes !== null && count < most && bytes < ringBytes; count++)
      bytes += slots[count]?.bytes ?? 0;
    this.#send(slots.slice(0, count), old ? (replay?.dialect ?? dialect) : dialect, old, ringBytes !== null);
  }

  #finishReplay(): void {
    if (this.#replayed) return;
    this.#replayed = true;
    this.#options.replay?.done?.();
  }

  #send(slots: readonly Slot[], dialect: Dialect, old: boolean, ring = false): void {
    const { peer, withoutSource, skip, onMoved } = this.#options;
    const last = slots.at(-1)?.entry.offset;
    if (last === undefined) return;
    const wanted = slots.filter(
      ({ entry }) =>
        (withoutSource === undefined || entry.source !== withoutSource) && !(old && skip?.(entry)),
    );
    if (wanted.length > 0) {
      const shared = ring && wanted.length === slots.length;
      peer.send(shared ? this.#tail.joined(wanted, dialect) : joinSlots(wanted, dialect));
    }
    const from = (slots[0]?.entry.offset ?? last) - 1;
    this.#offset = last;
    onMoved?.(
      wanted.map((slot) => slot.entry),
      from,
      last,
    );
  }
}

export interface Feeds {
  open(options: FeedOptions): Feed;
}

export function createFeeds(deps: FeedDeps): Feeds {
  return { open: (options) => new Feed(options, deps) };
}
