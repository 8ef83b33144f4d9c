import type { Cursor, Entry, Reset } from '@continuo/protocol';
import type { Clock, Head, Logs, LostPosition, Page, Peer, ReadLimit, Report } from '../ports.ts';
import { type Dialect, joinEntries, joinSlots, type Slot } from './dialect.ts';
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
  /**
   * What one step of a replay takes, where what becomes of it is much smaller. Default 500 entries, 128 KiB. Without
   * `room` the next page is read while one is encoded.
   */
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

/** A page that is being read before the feed is at its place. */
interface Ahead {
  readonly epoch: string;
  readonly offset: number;
  readonly page: Promise<Page | LostPosition>;
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
  #ahead: Ahead | null = null;
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
    this.#ahead = null;
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
    this.#ahead = null;
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
    this.#ahead = null;
    report(`feeding ${this.#options.log}`, error);
    clock.schedule(clock.now() + RETRY_MS, () => this.resume());
  }

  #hasRoom(entries: number): boolean {
    const { peer, room } = this.#options;
    return peer.bufferedBytes < WATERMARK_BYTES && (room === undefined || room() >= entries);
  }

  /** Without room for one more, whoever makes room calls `resume`: the peer when it has drained, or the owner of `room`. */
  #waitForRoom(): void {
    this.#ahead = null; // what waits holds no page
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
    const ahead = this.#takeAhead();
    const ring = this.#epoch === this.#tail.epoch ? this.#tail.slotsAfter(this.#offset, step.entries) : null;
    if (ring) return this.#sendRing(ring, step.bytes);

    const page = await (ahead ?? this.#read(this.position));
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
      if (page.more) await this.#readAhead(page.next);
      return this.#closed ? undefined : this.#sendPage(page.entries);
    }
    // The store has no more than this reader, and the tail, which is behind it, will come to where it stands. What the
    // tail delivers up to there is not for this reader.
    if (this.#epoch === this.#tail.epoch && this.#offset < this.#tail.offset) return;
    this.#finishReplay();
    if (this.#closed) return;
    this.#enterLive();
    this.#tail.wake();
  }

  #read(after: Cursor): Promise<Page | LostPosition> {
    return this.#deps.logs.read(this.#options.log, after, this.#options.step ?? STEP);
  }

  /** Begins to read the page after a position. It is no more than a guess that it will be wanted. */
  async #readAhead(after: { epoch: string; offset: number }): Promise<void> {
    const { step, room } = this.#options;
    if (!step || room) return;
    const page = this.#read(after);
    page.catch(() => {}); // the step that needs it fails of it
    this.#ahead = { ...after, page };
    // What is asked of a store within a tick is asked at its end: what comes after this takes long.
    await new Promise<void>((next) => this.#deps.clock.soon(next));
  }

  /** What was read ahead, if that is where the feed is. */
  #takeAhead(): Ahead['page'] | null {
    const ahead = this.#ahead;
    this.#ahead = null;
    return ahead?.epoch === this.#epoch && ahead.offset === this.#offset ? ahead.page : null;
  }

  /** Of entries that come next: how many are sent now, and how. */
  #plan(available: number): { readonly count: number; readonly dialect: Dialect; readonly old: boolean } {
    const { replay, dialect, room } = this.#options;
    const until = this.#replayed ? 0 : (replay?.until ?? 0);
    const old = this.#offset < until;
    const count = Math.min(available, room?.() ?? available, old ? until - this.#offset : available);
    return { count, dialect: old ? (replay?.dialect ?? dialect) : dialect, old };
  }

  /** `maxBytes`: slots of the ring are bounded by their number alone. */
  #sendRing(slots: readonly Slot[], maxBytes: number): void {
    const { count: most, dialect, old } = this.#plan(slots.length);
    let count = 0;
    for (let bytes = 0; count < most && bytes < maxBytes; count++) bytes += slots[count]?.bytes ?? 0;
    this.#send(slots.slice(0, count), dialect, old, true);
  }

  /** Frames of a page are nobody else's: they are not kept. */
  #sendPage(entries: readonly Entry[]): void {
    const { count, dialect, old } = this.#plan(entries.length);
    const sent = entries.slice(0, count);
    const wanted = sent.filter((entry) => this.#wants(entry, old));
    if (wanted.length > 0) this.#options.peer.send(joinEntries(wanted, dialect));
    this.#move(wanted, sent);
  }

  #finishReplay(): void {
    if (this.#replayed) return;
    this.#replayed = true;
    this.#options.replay?.done?.();
  }

  #send(slots: readonly Slot[], dialect: Dialect, old: boolean, ring = false): void {
    const wanted = slots.filter(({ entry }) => this.#wants(entry, old));
    if (wanted.length > 0) {
      const shared = ring && wanted.length === slots.length;
      this.#options.peer.send(shared ? this.#tail.joined(wanted, dialect) : joinSlots(wanted, dialect));
    }
    this.#move(
      wanted.map((slot) => slot.entry),
      slots.map((slot) => slot.entry),
    );
  }

  #wants(entry: Entry, old: boolean): boolean {
    const { withoutSource, skip } = this.#options;
    return (withoutSource === undefined || entry.source !== withoutSource) && !(old && skip?.(entry));
  }

  /** Moves over `passed`, of which `sent` were handed to the peer. */
  #move(sent: readonly Entry[], passed: readonly Entry[]): void {
    const [first] = passed;
    const last = passed.at(-1);
    if (!first || !last) return;
    this.#offset = last.offset;
    this.#options.onMoved?.(sent, first.offset - 1, last.offset);
  }
}

export interface Feeds {
  open(options: FeedOptions): Feed;
}

export function createFeeds(deps: FeedDeps): Feeds {
  return { open: (options) => new Feed(options, deps) };
}
