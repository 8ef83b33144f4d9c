import type { Draft, Entry, Reset } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock, LINE_WIRE } from '@continuo/testing';
import type { Dialect } from '../src/core/dialect.ts';
import { createFeeds, type Feed, type FeedOptions } from '../src/core/feed.ts';
import { createTails, type Tails } from '../src/core/tail.ts';
import type { Head, Store } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { type CountedStore, countCalls } from './intercept.ts';
import { createScriptedPeer, type ScriptedPeer } from './peer.ts';

/** Logs, their tails and feeds, without a door: who reads what, and at what cost. */

/** A dialect that says its own name, and counts how often it was asked and how often frames were joined for it. */
export interface CountedDialect extends Dialect {
  readonly encoded: number;
  readonly joined: number;
}

export function createDialect(key: string): CountedDialect {
  let encoded = 0;
  let joined = 0;
  return {
    key,
    wire: {
      ...LINE_WIRE,
      join(frames) {
        joined++;
        return LINE_WIRE.join(frames);
      },
    },
    text(entry) {
      encoded++;
      return `${key} ${entry.offset} ${entry.id}`;
    },
    get encoded() {
      return encoded;
    },
    get joined() {
      return joined;
    },
  };
}

export interface Reader {
  readonly feed: Feed;
  readonly peer: ScriptedPeer;
  /** `key offset id` of every entry it got, in order. */
  readonly lines: readonly string[];
  /** The offsets of those. */
  readonly offsets: readonly number[];
  readonly resets: readonly Reset[];
  /** How often it was told that the log has ended. */
  readonly ends: number;
}

export interface ReadingOptions {
  readonly through?: (store: Store) => Store;
  readonly ringBytes?: number;
  readonly logRingBytes?: number;
  /** False: no wake ever arrives. */
  readonly wakes?: boolean;
}

export interface Reading {
  readonly clock: FakeClock;
  readonly counted: CountedStore;
  readonly store: Store;
  readonly tails: Tails;
  readonly problems: string[];
  /** Entries `e<offset>` at the end of a log, in one append, and a wake. */
  append(log: string, count: number, more?: Partial<Draft> & { readonly end?: boolean }): Promise<void>;
  head(log: string): Promise<Head>;
  /** A reader after an offset, at once. */
  open(log: string, after: number, more?: Partial<FeedOptions>): Promise<Reader>;
  /** The log is gone; what comes back has another epoch. */
  lose(log: string): Promise<void>;
}

export const LIVE: Dialect = createDialect('live');

export function createReading(options: ReadingOptions = {}): Reading {
  const { through = (store) => store, wakes = true, ...limits } = options;
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const counted = countCalls(through(store));
  const problems: string[] = [];
  const report = (problem: string, error: unknown): void =>
    void problems.push(`${problem}: ${String(error)}`);
  const { logs } = counted.store;
  const deps = { logs, clock, report };
  const tails = createTails({ ...deps, bus: store.bus, ...limits });
  const feeds = createFeeds({ ...deps, tails });

  async function head(log: string): Promise<Head> {
    return (await store.logs.heads([log]))[0] ?? (await store.logs.append(log, [])).head;
  }

  return {
    clock,
    counted,
    store,
    tails,
    problems,
    head,
    async append(log, count, { end = false, ...more } = {}) {
      const { offset } = await head(log);
      const drafts = Array.from({ length: count }, (_, index) => ({
        id: `e${offset + 1 + index}`,
        type: 'test',
        data: null,
        ...more,
      }));
      const appended = await store.logs.append(log, drafts, { end });
      if (wakes) store.bus.wake(log, appended.head.offset);
    },
    async open(log, after, more = {}) {
      const standing = await head(log);
      const resets: Reset[] = [];
      let ends = 0;
      const peer = createScriptedPeer(clock);
      const feed = feeds.open({
        log,
        head: standing,
        after: { epoch: standing.epoch, offset: after },
        peer,
        dialect: LIVE,
        ...more,
        ...withResets(resets, more.onReset),
        onEnd() {
          ends++;
          more.onEnd?.();
        },
      });
      return {
        feed,
        peer,
        get lines() {
          return peer.texts;
        },
        get offsets() {
          return peer.texts.map((line) => Number(line.split(' ')[1]));
        },
        resets,
        get ends() {
          return ends;
        },
      };
    },
    lose: (log) => store.logs.keep(log, clock.now()),
  };
}

function withResets(
  resets: Reset[],
  then: FeedOptions['onReset'] = (reset) => reset.to,
): Pick<FeedOptions, 'onReset'> {
  return {
    onReset(reset) {
      resets.push(reset);
      return then(reset);
    },
  };
}

/** An entry as a store would give it. */
export function entryOf(offset: number, more: Partial<Entry> = {}): Entry {
  return {
    log: 'channel:a',
    epoch: 'e',
    offset,
    id: `e${offset}`,
    at: 1_000,
    type: 'test',
    data: null,
    ...more,
  };
}
