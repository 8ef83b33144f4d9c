import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import type { Store } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { type Channels, createChannels } from './channels.ts';
import { createJournal } from './log.ts';

const HOUR_MS = 3_600_000;

function createWorld(): { clock: FakeClock; store: Store; channels: Channels } {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const journal = createJournal({ ...store, report: () => {}, retentionOf: () => channels.retention });
  const channels: Channels = createChannels({
    ...store,
    journal,
    clock,
    random: createSeededRandom(2),
    limits: { maxEntries: 20 },
  });
  return { clock, store, channels };
}

describe('a channel', () => {
  it('P-7 is made by whoever opens it first, and stays the same', async () => {
    const { channels } = createWorld();
    const head = await channels.open('news');
    expect(head).toMatchObject({ offset: 0, oldest: 1 });
    expect((await channels.open('news')).epoch).toBe(head.epoch);
  });

  it('P-2 holds a message once, under the sequence it got first', async () => {
    const { channels } = createWorld();
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
    const { channels } = createWorld();
    const published = await Promise.all(
      range(1, 5).map((data) => channels.publish('news', { data, source: 'me/cli' })),
    );
    expect(new Set(published.map(({ eventId }) => eventId)).size).toBe(5);
  });

  it('is trimmed', async () => {
    const { channels } = createWorld();
    for (const data of range(1, 100)) await channels.publish('news', { data, source: 'me/cli' });
    const { oldest, offset } = await channels.open('news');
    expect(offset).toBe(100);
    expect(offset - oldest + 1).toBeLessThanOrEqual(22);
  });

  it('is there for a day after its last message, and gone two days later', async () => {
    const { clock, store, channels } = createWorld();
    await channels.publish('news', { data: 1, source: 'me/cli' });
    for (let hours = 0; hours < 100; hours += 20) {
      await clock.advance(20 * HOUR_MS);
      await channels.publish('news', { data: hours, source: 'me/cli' });
    }
    await clock.advance(24 * HOUR_MS);
    expect(await store.logs.heads(['channel:news'])).toMatchObject([{ offset: 6 }]);
    await clock.advance(24 * HOUR_MS);
    expect(await store.logs.heads(['channel:news'])).toEqual([null]);
  });
});
