import type { Cursor, Draft, Entry, Reset } from '@continuo/protocol';

/**
 * What the server is built on. Each interface carries its rules; the suites in `@continuo/testing` bear the same
 * ids, and every implementation passes them.
 */

/** Time. The edge gives the real one, tests a fake one; nothing in core knows another. */
export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /** Calls `run` once at `at` (unix ms), or as soon as possible when that is past. Returns the way to stop it. */
  schedule(at: number, run: () => void): () => void;
  /** Calls `run` once after what is under way now: the end of this tick. */
  soon(run: () => void): void;
}

/** Chance. */
export interface Random {
  /** 0 <= x < 1. */
  next(): number;
  /** 22 letters and digits, unguessable on a real server. */
  id(): string;
}

/** How text becomes bytes on one kind of connection, so that one encoding serves every reader. */
export interface Wire {
  readonly name: string;
  frame(text: string): Uint8Array;
  /** The bytes of several frames in one write. */
  join(frames: readonly Uint8Array[]): Uint8Array;
}

/** What a door sees of one connection: a socket, an SSE response, a parked poll. */
export interface Peer {
  readonly id: string;
  readonly wire: Wire;
  /** Bytes accepted but not yet taken by the network. */
  readonly bufferedBytes: number;
  /** Order is kept. After a close it does nothing. */
  send(frame: Uint8Array): void;
  /** Calls `run` once when `bufferedBytes` has become small, never in the same tick; the same function twice counts once. */
  onceDrained(run: () => void): void;
  /** Idempotent. */
  close(code: number, reason: string): void;
}

export interface ReadLimit {
  readonly entries: number;
  /** Of data; the first entry comes even when it alone is larger. */
  readonly bytes: number;
}

export interface Page {
  readonly kind: 'page';
  readonly entries: readonly Entry[];
  /** Of their data. */
  readonly bytes: number;
  /** The position after the last of `entries`. */
  readonly next: { readonly epoch: string; readonly offset: number };
  /** Whether there was more at that moment. */
  readonly more: boolean;
  /** Whether the log has ended and `next` is its end. */
  readonly ended: boolean;
}

export interface LostPosition {
  readonly kind: 'reset';
  readonly reset: Reset;
}

export interface Head {
  readonly epoch: string;
  /** Offset of the newest entry; 0 when there never was one. */
  readonly offset: number;
  /** Offset of the oldest kept entry; `offset` + 1 when none is kept. */
  readonly oldest: number;
  /** Bytes of the data kept. */
  readonly bytes: number;
  readonly ended: boolean;
  /** The highest fence token an append bore; 0 for none. */
  readonly fence: number;
}

/** The run that writes, with its lease's token. With `epoch`, it writes to that epoch of the log and to no other. */
export interface Fence {
  readonly run: string;
  readonly token: number;
  readonly epoch?: string;
}

export interface AppendOptions {
  /** Its entries get `run` and `runIndex`. */
  readonly fence?: Fence;
  /** Nothing can be appended to the log afterwards. */
  readonly end?: boolean;
}

export interface Appended {
  /** The offset of each draft: its own, or that of the entry which had its id before. */
  readonly offsets: readonly number[];
  /** How many of the drafts were new. */
  readonly stored: number;
  readonly head: Head;
}

/**
 * Append-only logs.
 *
 * ST-1 Offsets of a log start at 1, rise by one and are assigned in the step that appends; appends of any number of
 *      callers leave no hole and no double, and those of one caller are in the order of its calls.
 * ST-2 An append that resolved is visible to every later read, on every server.
 * ST-3 The same id twice in one log stores one entry and returns the first position, as long as that entry is kept.
 * ST-4 Drafts of one append are stored together or not at all. An append of none creates the log and raises the fence.
 * ST-5 An append whose token is below the log's fence, or whose epoch is gone, is refused with `fenced` and stores
 *      nothing; a higher token raises the fence for good.
 * ST-6 Reading at an unknown epoch, below what was trimmed, or beyond the head gives a reset, never silence. Positions
 *      are exclusive; a log that does not exist reads as empty at the epoch ''.
 * ST-7 Pages obey both limits, except that they have at least one entry when there is one.
 * ST-8 After an append with `end` every append of something new is refused with `ended`; ids it holds still resolve.
 * ST-9 `trim(log, before)` forgets entries below `before`, never the head: offsets go on.
 * ST-10 `keep(log, until)`: at `until` (unix ms) the log is gone; if it comes back, it has another epoch.
 * ST-11 Data comes back as JSON makes it. Above `maxDataBytes` an append is refused with `too_large`.
 * ST-12 Entries of a fenced append bear the run and its index: from 0, no holes, in order, also across tokens.
 * ST-14 `find` says where the entry with an id is, as long as it is kept, without reading it.
 * ST-13 `heads` answers in the order asked, `null` for a log that does not exist.
 */
export interface Logs {
  append(log: string, drafts: readonly Draft[], options?: AppendOptions): Promise<Appended>;
  read(log: string, after: Cursor, limit: ReadLimit): Promise<Page | LostPosition>;
  heads(logs: readonly string[]): Promise<readonly (Head | null)[]>;
  trim(log: string, before: number): Promise<void>;
  keep(log: string, until: number): Promise<void>;
  find(log: string, id: string): Promise<{ readonly epoch: string; readonly offset: number } | null>;
}

export interface Stored {
  readonly key: string;
  /** Any JSON value. */
  readonly value: unknown;
  /** Rises with every put of this key. */
  readonly version: number;
}

export interface PutOptions {
  /** Only if the record has this version; 0: only if there is none. */
  readonly ifVersion?: number;
  /** Unix ms from which the record is gone. Without it, it stays. */
  readonly expiresAt?: number;
}

/**
 * Small keyed values.
 *
 * REC-1 `put` returns the new version, or `null` (and stores nothing) when `ifVersion` does not match; of several at
 *       once with the same `ifVersion`, one wins.
 * REC-2 A version is never used twice for a key, also not after it was removed or expired.
 * REC-3 An expired record is as if it had been removed.
 * REC-4 `list` gives the records whose keys start with the prefix, in the keys' order (they are ASCII), after `after`,
 *       at most `limit`.
 * REC-5 `remove` with `ifVersion` removes that version only, and says whether it did.
 */
export interface Records {
  get(key: string): Promise<Stored | null>;
  put(key: string, value: unknown, options?: PutOptions): Promise<number | null>;
  remove(key: string, ifVersion?: number): Promise<boolean>;
  list(
    prefix: string,
    options: { readonly after?: string; readonly limit: number },
  ): Promise<readonly Stored[]>;
}

/**
 * A hint that a log has grown. Correctness never needs it.
 *
 * BUS-1 A wake may be lost, doubled or late.
 * BUS-2 A wake reaches the watchers of its log in this process and in the others on the same store, and none after
 *       it stopped watching. It may bear the offset that the log has reached.
 * BUS-3 `wake` never throws, never waits, and calls nobody before it returns.
 */
export interface Bus {
  wake(log: string, offset: number): void;
  watch(log: string, onWake: (offset?: number) => void): () => void;
}

export interface Store {
  /** For /info: `memory`, `sqlite`. */
  readonly name: string;
  readonly logs: Logs;
  readonly records: Records;
  /** The bus that belongs to this store. */
  readonly bus: Bus;
  /** Waits for what was accepted. Idempotent. */
  close(): Promise<void>;
}

export type StoreErrorCode = 'fenced' | 'ended' | 'too_large' | 'unavailable';

/** A refusal of the store. `unavailable`: nothing is known of what was asked; the other codes: nothing was stored. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.code = code;
  }
}

/** A response that goes on: an SSE stream. */
export interface EventStream {
  readonly peer: Peer;
  readonly response: Response;
  /** Calls `run` once when the client has gone or the stream was closed. */
  onClosed(run: () => void): void;
}

/** Opens the response of a request as a stream, with these headers, on whatever serves it. */
export type OpenStream = (
  request: Request,
  env: unknown,
  headers: Readonly<Record<string, string>>,
) => EventStream;

/** Something went wrong that no peer is told: it is for the log of the process. */
export type Report = (problem: string, error: unknown) => void;
