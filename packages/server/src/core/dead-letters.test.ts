import type { Entry } from '@continuo/protocol';
import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { type ChannelWorld, type ChannelWorldOptions, createChannelWorld } from '../../test/channel-world.ts';
import { range } from '../../test/pick.ts';
import { entryOf } from '../../test/reading.ts';
import { StoreError } from '../ports.ts';
import { type Burial, createDeadLetters, type DeadLetters, type Reopen } from './dead-letters.ts';

const HOUR_MS = 3_600_000;
const ALL = { all: true } as const;

interface World extends ChannelWorld {
  readonly dead: DeadLetters;
  /** `<consumer> <offset>` of everything that was made due again. */
  readonly reopened: string[];
  /** Messages the channel has no more. */
  readonly gone: Set<number>;
  readonly buried: () => number;
  /** The messages `from` to `to`, dead for a consumer. */
  bury(from: number, to?: number, more?: Partial<Burial>): Promise<void>;
  eventIds(owner?: string): Promise<string[]>;
}

function createWorld(options: ChannelWorldOptions & { readonly reopen?: Reopen } = {}): World {
  const world = createChannelWorld(options);
  const { clock, counted, journal } = world;
  const reopened: string[] = [];
  const gone = new Set<number>();
  let buried = 0;
  const dead = createDeadLetters({
    logs: counted.store.logs,
    journal,
    clock,
    random: createSeededRandom(3),
    report: (problem) => void world.problems.push(problem),
    onBuried: () => void buried++,
    async reopen(key, log, { epoch, offset }) {
      if (gone.has(offset)) return false;
      reopened.push(`${key} ${log} ${epoch} ${offset}`);
      return (await options.reopen?.(key, log, { epoch, offset })) ?? true;
    },
  });
  return {
    ...world,
    dead,
    reopened,
    gone,
    buried: () => buried,
    async bury(from, to = from, more = {}) {
      for (const offset of range(from, to)) {
        const owner = more.owner ?? 'ann';
        await dead.bury({
          channel: 'news',
          entry: messageOf(offset),
          owner,
          clientId: 'device',
          consumerKey: `consumer/${owner}/device/news`,
          attempts: 4,
          reason: 'retries',
          handedAt: 1_000,
          ...more,
        });
      }
      await clock.settle();
    },
    async eventIds(owner) {
      const { messages } = await dead.list('news', { limit: 1_000 }, owner === undefined ? ALL : { owner });
      return messages.map(({ event_id }) => event_id);
    },
  };
}

function messageOf(offset: number, data: unknown = null): Entry {
  return entryOf(offset, { log: 'channel:news', type: 'message', source: 'me/cli', data });
}

describe('a message that a consumer could not handle', () => {
  it('P-18 is listed as it was, with what became of it', async () => {
    const { clock, dead, bury } = createWorld();
    await bury(7, 7, { entry: messageOf(7, { text: 'hello' }), attempts: 4, reason: 'expired' });
    const page = await dead.list('news', {}, ALL);
    expect(page).toMatchObject({ cursor: 1, more: false, oldest_cursor: 1, recovered: true });
    expect(page.messages).toEqual([
      {
        channel: 'news',
        data: { text: 'hello' },
        event_id: 'e7',
        timestamp: 1,
        source: 'cli',
        target: null,
        sequence: 7,
        client_id: 'device',
        attempts: 4,
        reason: 'expired',
        died_at: clock.now() / 1_000,
      },
    ]);
  });

  it('is buried and counted once, however often it is said', async () => {
    const { bury, eventIds, buried } = createWorld();
    await bury(1);
    await bury(1);
    expect(await eventIds()).toEqual(['e1']);
    expect(buried()).toBe(1);
    await bury(1, 1, { handedAt: 2_000 });
    await bury(1, 1, { owner: 'bob' });
    expect(buried()).toBe(3);
  });

  it('L-10 is seen by the owner of the consumer alone, and by who may see all', async () => {
    const { bury, eventIds } = createWorld();
    await bury(1, 2);
    await bury(3, 3, { owner: 'bob' });
    expect(await eventIds('ann')).toEqual(['e1', 'e2']);
    expect(await eventIds('bob')).toEqual(['e3']);
    expect(await eventIds('eve')).toEqual([]);
    expect(await eventIds()).toEqual(['e1', 'e2', 'e3']);
  });

  it('is kept for seven days after the last one of its channel', async () => {
    const { clock, store, bury, eventIds } = createWorld();
    await bury(1);
    await clock.advance(6 * 24 * HOUR_MS);
    await bury(2);
    await clock.advance(6 * 24 * HOUR_MS);
    expect(await eventIds()).toEqual(['e1', 'e2']);
    await clock.advance(2 * 24 * HOUR_MS);
    expect(await store.logs.heads(['dead:news'])).toEqual([null]);
    expect(await eventIds()).toEqual([]);
  });

  it('is one of as many as the channel keeps', async () => {
    const { clock, bury, eventIds } = createWorld({ base: { maxEntries: 10 } });
    await bury(1, 10);
    expect(await eventIds()).toHaveLength(10);
    await bury(11, 25);
    await clock.advance(1_000);
    expect(await eventIds()).toEqual(range(16, 25).map((offset) => `e${offset}`));
  });

  it('that is as large as a message may be is kept without its data, which is said', async () => {
    const { bury, dead, problems, buried } = createWorld();
    const entry = messageOf(1, 'x'.repeat(1024 * 1024 - 8 * 1024 - 2));
    await bury(1, 1, { entry });
    expect((await dead.list('news', {}, ALL)).messages).toMatchObject([{ event_id: 'e1', data: null }]);
    expect(problems).toEqual(['a dead letter of dead:news is kept without its data']);
    expect(buried()).toBe(1);
    expect(await dead.redrive('news', undefined, ALL)).toBe(1);
  });

  it('is not buried where the store cannot be reached', async () => {
    const { bury, buried } = createWorld({
      through: (store) => ({
        ...store,
        logs: {
          ...store.logs,
          append: async () => {
            throw new StoreError('unavailable', 'the disk is gone');
          },
        },
      }),
    });
    await expect(bury(1)).rejects.toThrow('the disk is gone');
    expect(buried()).toBe(0);
  });
});

describe('the list of dead letters', () => {
  it('comes page by page, each of what its asker may see', async () => {
    const { dead, bury } = createWorld();
    for (const offset of range(1, 10)) await bury(offset, offset, { owner: offset % 2 ? 'ann' : 'bob' });
    const first = await dead.list('news', { limit: 2 }, { owner: 'bob' });
    expect(first.messages.map(({ sequence }) => sequence)).toEqual([2, 4]);
    expect(first).toMatchObject({ cursor: 4, more: true });
    const since = first.cursor;
    const second = await dead.list('news', { since, epoch: first.epoch, limit: 3 }, { owner: 'bob' });
    expect(second.messages.map(({ sequence }) => sequence)).toEqual([6, 8, 10]);
    expect(second).toMatchObject({ cursor: 10, more: false, recovered: true });
  });

  it('is 512 KiB at once at most, and at least one', async () => {
    const { dead, bury } = createWorld();
    for (const offset of range(1, 6))
      await bury(offset, offset, { entry: messageOf(offset, 'x'.repeat(100_000)) });
    await bury(7, 7, { entry: messageOf(7, 'x'.repeat(900_000)) });
    const first = await dead.list('news', {}, ALL);
    expect(first.messages.map(({ sequence }) => sequence)).toEqual(range(1, 5));
    expect(first).toMatchObject({ cursor: 5, more: true });
    const last = await dead.list('news', { since: 6 }, ALL);
    expect(last.messages.map(({ sequence }) => sequence)).toEqual([7]);
    expect(last.more).toBe(false);
  });

  it('P-9 begins at the oldest where the position is lost, and says so', async () => {
    const { clock, dead, bury } = createWorld({ base: { maxEntries: 3 } });
    await bury(1, 9);
    await clock.advance(1_000);
    const page = await dead.list('news', { since: 2 }, ALL);
    expect(page).toMatchObject({ recovered: false, oldest_cursor: 7 });
    expect(page.messages.map(({ sequence }) => sequence)).toEqual([7, 8, 9]);
    expect(await dead.list('news', { since: 6 }, ALL)).toMatchObject({ recovered: true });
  });

  it('of a channel without any is empty', async () => {
    const { dead } = createWorld();
    expect(await dead.list('news', {}, ALL)).toMatchObject({ messages: [], more: false, recovered: true });
  });

  it('is read once, and from then on what is new', async () => {
    const { bury, eventIds, counted } = createWorld();
    await bury(1, 500, { owner: 'bob' });
    await eventIds('ann');
    counted.reset();
    await bury(501);
    expect(await eventIds('ann')).toEqual(['e501']);
    expect(counted.calls('read')).toHaveLength(2); // what is new, and the letter itself
  });

  it('is read anew where the log was lost', async () => {
    const { clock, store, bury, eventIds } = createWorld();
    await bury(1, 3);
    await eventIds();
    await store.logs.keep('dead:news', clock.now());
    expect(await eventIds()).toEqual([]);
    await bury(9);
    expect(await eventIds()).toEqual(['e9']);
  });
});

describe('redriving dead letters', () => {
  it('P-19 makes them due again where they came from, and lists them no more', async () => {
    const { dead, bury, eventIds, reopened } = createWorld();
    await bury(1, 2);
    await bury(2, 2, { owner: 'bob' });
    expect(await dead.redrive('news', undefined, ALL)).toBe(3);
    expect(reopened.toSorted()).toEqual([
      'consumer/ann/device/news channel:news e 1',
      'consumer/ann/device/news channel:news e 2',
      'consumer/bob/device/news channel:news e 2',
    ]);
    expect(await eventIds()).toEqual([]);
    expect(await dead.redrive('news', undefined, ALL)).toBe(0);
  });

  it('L-10 is for those the asker may see', async () => {
    const { dead, bury, eventIds } = createWorld();
    await bury(1);
    await bury(1, 1, { owner: 'bob' });
    expect(await dead.redrive('news', ['e1'], { owner: 'bob' })).toBe(1);
    expect(await eventIds('ann')).toEqual(['e1']);
    expect(await eventIds('bob')).toEqual([]);
  });

  it('is for the ids that are named', async () => {
    const { dead, bury, eventIds } = createWorld();
    await bury(1, 5);
    expect(await dead.redrive('news', ['e2', 'e4', 'nobody'], ALL)).toBe(2);
    expect(await eventIds()).toEqual(['e1', 'e3', 'e5']);
    expect(await dead.redrive('news', [], ALL)).toBe(0);
    expect(await dead.redrive('sport', undefined, ALL)).toBe(0);
  });

  it('P-19 leaves those whose channel has the message no more', async () => {
    const { dead, bury, eventIds, gone } = createWorld();
    await bury(1, 3);
    gone.add(2);
    expect(await dead.redrive('news', undefined, ALL)).toBe(2);
    expect(await eventIds()).toEqual(['e2']);
  });

  it('may be followed by another death of the same message', async () => {
    const { dead, bury, eventIds } = createWorld();
    await bury(1);
    await dead.redrive('news', undefined, ALL);
    await bury(1, 1, { handedAt: 2_000 });
    expect(await eventIds()).toEqual(['e1']);
    expect(await dead.redrive('news', undefined, ALL)).toBe(1);
  });

  it('asked for twice at once is done once', async () => {
    const { dead, bury, reopened } = createWorld();
    await bury(1, 250);
    const counts = await Promise.all([
      dead.redrive('news', undefined, ALL),
      dead.redrive('news', undefined, ALL),
    ]);
    expect(counts).toEqual([250, 0]);
    expect(reopened).toHaveLength(250);
  });

  it('that breaks off lists what was not made due again, and nothing else', async () => {
    let left = 120;
    const { dead, bury, eventIds } = createWorld({
      async reopen() {
        if (left-- === 0) throw new StoreError('unavailable', 'the disk is gone');
        return true;
      },
    });
    await bury(1, 200);
    await expect(dead.redrive('news', undefined, ALL)).rejects.toThrow('the disk is gone');
    expect(await eventIds()).toEqual(range(121, 200).map((offset) => `e${offset}`));
  });
});
