import { describe, expect, it } from 'vitest';
import { createChannelWorld } from '../../test/channel-world.ts';
import { interceptStore } from '../../test/intercept.ts';
import { range } from '../../test/pick.ts';
import { StoreError } from '../ports.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe('a channel', () => {
  it('P-7 is made by whoever opens it first, and stays the same', async () => {
    const { channels } = createChannelWorld();
    const head = await channels.open('news');
    expect(head).toMatchObject({ offset: 0, oldest: 1 });
    expect((await channels.open('news')).epoch).toBe(head.epoch);
  });

  it('P-2 holds a message once, under the sequence it got first', async () => {
    const { channels } = createChannelWorld();
    const message = { data: 1, source: 'me/cli', eventId: 'e1' };
    expect(await channels.publish('news', message)).toEqual({ eventId: 'e1', sequence: 1 });
    expect((await channels.publish('news', { data: 2, source: 'me/cli' })).sequence).toBe(2);
    expect(await channels.publish('news', { ...message, data: 'other' })).toEqual({
      eventId: 'e1',
      sequence: 1,
    });
    expect(await channels.publish('sport', message)).toEqual({ eventId: 'e1', sequence: 1 });
    expect((await channels.open('news')).offset).toBe(2);
  });

  it('gives an id to what comes without one', async () => {
    const { channels } = createChannelWorld();
    const published = await Promise.all(
      range(1, 5).map((data) => channels.publish('news', { data, source: 'me/cli' })),
    );
    expect(new Set(published.map(({ eventId }) => eventId)).size).toBe(5);
  });

  it('costs one request a message, and one an opening, once it is known here', async () => {
    const { channels, counted, publish } = createChannelWorld();
    await channels.open('news');
    counted.reset();
    await publish('news', 10);
    await channels.open('news');
    expect(counted.calls('append')).toHaveLength(10);
    expect(counted.calls('heads')).toHaveLength(1);
    for (const name of ['keep', 'get', 'put', 'trim', 'read'] as const)
      expect(counted.calls(name)).toEqual([]);
  });

  it('needs no timer before it is used, and none when it is gone', async () => {
    const { clock, publish } = createChannelWorld({ base: { maxAgeMs: MINUTE_MS } });
    const before = clock.timers;
    await publish('news', 1);
    expect(clock.timers).toBe(before + 1);
    await clock.advance(3 * MINUTE_MS);
    expect(clock.timers).toBe(before);
  });

  it('is published to though its time could not be moved on, which is said, and tried again', async () => {
    let broken = true;
    const { channels, store, problems, publish } = createChannelWorld({
      through: (data) =>
        interceptStore(data, async (call, go) => {
          if (broken && call.name === 'keep') throw new StoreError('unavailable', 'the disk is gone');
          return go();
        }),
    });
    await publish('news', 1);
    expect(problems).toEqual([expect.stringContaining('keeping channel news')]);
    broken = false;
    await publish('news', 1);
    expect((await channels.open('news')).offset).toBe(2);
    expect(await store.records.get('channel/news')).not.toBeNull();
  });
});

describe('what a channel keeps', () => {
  it('P-30 is as many messages as it should, exactly, when it has been quiet for a second', async () => {
    const { clock, channels, publish } = createChannelWorld({ base: { maxEntries: 20 } });
    await publish('news', 100);
    expect((await channels.open('news')).oldest).toBeLessThanOrEqual(81);
    await clock.advance(1_000);
    expect(await channels.open('news')).toMatchObject({ oldest: 81, offset: 100 });
  });

  it('is what its pattern says: the longest that matches, with the fields of shorter ones', async () => {
    const { channels } = createChannelWorld({
      base: { maxEntries: 7, delivery: true },
      patterns: {
        'a.b*': { maxBytes: 3 },
        '*': { maxAgeMs: 5_000, delivery: false },
        'a.*': { maxBytes: 2, delivery: true },
        'a.b': { presence: false },
        'a.bc*': { maxEntries: 9 },
      },
    });
    expect(channels.settingsOf('a.b')).toEqual({
      maxEntries: 7,
      maxBytes: 3,
      maxAgeMs: 5_000,
      delivery: true,
      presence: false,
    });
    expect(channels.settingsOf('a.bcd')).toMatchObject({ maxEntries: 9, maxBytes: 3, presence: true });
    expect(channels.settingsOf('b')).toMatchObject({ maxBytes: 64 << 20, delivery: false });
    expect(channels.retentionOf('a.x')).toMatchObject({ maxEntries: 7, maxBytes: 2 });
  });

  it('P-30 is not what is older than its age: that goes within a tenth of it', async () => {
    const { clock, channels, publish, counted } = createChannelWorld({ base: { maxAgeMs: MINUTE_MS } });
    for (let second = 0; second < 60; second++) {
      await publish('news', 10);
      await clock.advance(1_000);
    }
    expect((await channels.open('news')).oldest).toBe(1);
    counted.reset();
    await clock.advance(36_000);
    const { oldest, offset } = await channels.open('news');
    expect(offset).toBe(600);
    // 96 s after the first second: 36 s of them are too old, and at most 6 s more have not been seen to be.
    expect(oldest).toBeGreaterThan(300);
    expect(oldest).toBeLessThanOrEqual(361);
    expect(counted.calls('read').length).toBeLessThan(7 * 12);
  });

  it('is nothing where all of it is too old, and its numbers go on', async () => {
    const { clock, channels, publish, watched } = createChannelWorld({ base: { maxAgeMs: 10_000 } });
    await publish('news', 3);
    watched.add('channel:news');
    await clock.advance(12_000);
    expect(await channels.open('news')).toMatchObject({ oldest: 4, offset: 3, bytes: 0 });
    expect(await channels.publish('news', { data: 1 })).toMatchObject({ sequence: 4 });
  });

  it('P-30 is there for a day after its last message, and gone two days later', async () => {
    const { clock, store, publish } = createChannelWorld();
    for (let hours = 0; hours < 100; hours += 20) {
      await clock.advance(20 * HOUR_MS);
      await publish('news', 1);
    }
    await clock.advance(24 * HOUR_MS);
    expect(await store.logs.heads(['channel:news'])).toMatchObject([{ offset: 5 }]);
    expect(await store.records.get('channel/news')).not.toBeNull();
    await clock.advance(24 * HOUR_MS);
    expect(await store.logs.heads(['channel:news'])).toEqual([null]);
    expect(await store.records.get('channel/news')).toBeNull();
  });

  it('P-3 is the same channel for as long as somebody watches, though nothing is said', async () => {
    const { clock, channels, store, watched } = createChannelWorld();
    const { epoch } = await channels.open('news');
    watched.add('channel:news');
    await clock.advance(30 * 24 * HOUR_MS);
    expect(await store.logs.heads(['channel:news'])).toMatchObject([{ epoch }]);
    watched.clear();
    await clock.advance(48 * HOUR_MS);
    expect(await store.logs.heads(['channel:news'])).toEqual([null]);
  });

  it('outlives a sweep that failed', async () => {
    let broken = false;
    const { clock, channels, store, watched, problems, publish } = createChannelWorld({
      base: { maxAgeMs: MINUTE_MS },
      through: (data) =>
        interceptStore(data, async (call, go) => {
          if (broken && call.name === 'keep') throw new StoreError('unavailable', 'the disk is gone');
          return go();
        }),
    });
    const heads = (): Promise<unknown> => store.logs.heads(['channel:watched', 'channel:used']);
    const { epoch } = await channels.open('watched');
    await channels.open('used');
    watched.add('channel:watched');
    await clock.advance(50_000);
    await publish('used', 1);
    broken = true;
    await clock.advance(5_000);
    broken = false;
    expect(problems[0]).toContain('looking after channel');
    await clock.advance(50_000);
    expect(await heads()).toMatchObject([{ epoch }, { offset: 1 }]);
    await clock.advance(10 * MINUTE_MS);
    expect(await heads()).toMatchObject([{ epoch }, null]);
  });

  it('is swept no more when the gateway has closed', async () => {
    const { clock, channels, publish } = createChannelWorld();
    const before = clock.timers;
    await publish('news', 1);
    channels.close();
    expect(clock.timers).toBe(before);
  });
});

describe('the channels that there are', () => {
  const all = (): boolean => true;

  it('P-27 are made once, by whoever is first', async () => {
    const { channels, store } = createChannelWorld();
    expect(await channels.create('news', { title: 'News' })).toBe(true);
    expect(await channels.create('news', { title: 'Other' })).toBe(false);
    expect((await store.records.get('channel/news'))?.value).toMatchObject({ metadata: { title: 'News' } });
    await channels.open('sport');
    expect(await channels.create('sport', {})).toBe(false);
  });

  it('P-27 keep what was said about them as long as they last', async () => {
    const { clock, channels, store, watched } = createChannelWorld();
    await channels.create('news', { title: 'News' });
    const made = (await store.records.get('channel/news'))?.value;
    watched.add('channel:news');
    await clock.advance(10 * 24 * HOUR_MS);
    expect((await store.records.get('channel/news'))?.value).toEqual(made);
  });

  it('have no more said about them than fits', async () => {
    const { channels, store } = createChannelWorld();
    const metadata = { text: 'x'.repeat(5_000) };
    await expect(channels.create('news', metadata)).rejects.toMatchObject({ code: 'too_large' });
    expect(await store.logs.heads(['channel:news'])).toEqual([null]);
  });

  it('P-28 are named in their order, page by page, those that may be read', async () => {
    const { channels } = createChannelWorld();
    for (const name of ['b/2', 'a', 'b/10', 'B', 'c:x', 'b']) await channels.open(name);
    expect(await channels.list({ mayRead: all })).toEqual({
      names: ['B', 'a', 'b', 'b/10', 'b/2', 'c:x'],
      more: false,
    });
    expect(await channels.list({ limit: 2, mayRead: all })).toEqual({ names: ['B', 'a'], more: true });
    expect(await channels.list({ after: 'a', limit: 4, mayRead: all })).toEqual({
      names: ['b', 'b/10', 'b/2', 'c:x'],
      more: false,
    });
    const mayRead = (name: string): boolean => name.startsWith('b/');
    expect(await channels.list({ limit: 1, mayRead })).toEqual({ names: ['b/10'], more: true });
    expect(await channels.list({ limit: 2, mayRead })).toEqual({ names: ['b/10', 'b/2'], more: false });
  });

  it('P-28 are a thousand in one answer at most', async () => {
    const { channels } = createChannelWorld();
    for (const number of range(1, 1_001)) await channels.open(`n${String(number).padStart(4, '0')}`);
    const first = await channels.list({ limit: 5_000, mayRead: all });
    expect(first.names).toHaveLength(1_000);
    expect(first.more).toBe(true);
    expect(await channels.list({ after: first.names.at(-1), mayRead: all })).toEqual({
      names: ['n1001'],
      more: false,
    });
    expect(await channels.list({ mayRead: (name) => name === 'n1001' })).toEqual({
      names: ['n1001'],
      more: false,
    });
  });
});
