import { describe, expect, it } from 'vitest';
import { createChannelWorld } from '../../test/channel-world.ts';
import { interceptStore } from '../../test/intercept.ts';
import { range } from '../../test/pick.ts';

const sequences = ({ messages }: { messages: readonly { sequence: number }[] }): number[] =>
  messages.map(({ sequence }) => sequence);

describe('the history of a channel', () => {
  it('P-29 is its messages as they are stored, the oldest first', async () => {
    const { clock, channels } = createChannelWorld();
    await channels.publish('news', { data: { text: 'one' }, source: 'me/cli', eventId: 'e1' });
    const { epoch } = await channels.open('news');
    expect(await channels.history('news')).toEqual({
      messages: [
        {
          channel: 'news',
          data: { text: 'one' },
          event_id: 'e1',
          timestamp: clock.now() / 1_000,
          source: 'cli',
          target: null,
          sequence: 1,
        },
      ],
      cursor: 1,
      more: false,
      epoch,
      oldest_cursor: 1,
      recovered: true,
    });
  });

  it('P-29 comes in pages of a hundred, or as many as are asked for', async () => {
    const { channels, publish } = createChannelWorld();
    await publish('news', 150);
    const first = await channels.history('news');
    expect(sequences(first)).toEqual(range(1, 100));
    expect(first).toMatchObject({ cursor: 100, more: true });
    const second = await channels.history('news', { since: first.cursor, epoch: first.epoch });
    expect(sequences(second)).toEqual(range(101, 150));
    expect(second).toMatchObject({ cursor: 150, more: false, recovered: true });
    expect(await channels.history('news', { since: 150 })).toMatchObject({ messages: [], cursor: 150 });
    expect(sequences(await channels.history('news', { since: 3, limit: 2 }))).toEqual([4, 5]);
  });

  it('P-29 is a thousand messages at once at most', async () => {
    const { channels, publish } = createChannelWorld();
    await publish('news', 1_001);
    const page = await channels.history('news', { limit: 100_000 });
    expect(page.messages).toHaveLength(1_000);
    expect(page.more).toBe(true);
  });

  it('P-29 is 512 KiB at once at most, and at least one message', async () => {
    const { channels, publish } = createChannelWorld();
    await publish('news', 10, 'x'.repeat(100_000));
    await publish('news', 1, 'x'.repeat(900_000));
    const first = await channels.history('news');
    expect(sequences(first)).toEqual(range(1, 5));
    expect(first).toMatchObject({ cursor: 5, more: true });
    expect(Buffer.byteLength(JSON.stringify(first))).toBeLessThan(512 * 1024);
    expect(sequences(await channels.history('news', { since: 10 }))).toEqual([11]);
    const small = createChannelWorld();
    for (const number of range(1, 1_000)) {
      const eventId = `${'long'.repeat(100)}${number}`;
      await small.channels.publish('news', { data: 1, eventId, source: `me/${'cli'.repeat(100)}` });
    }
    const page = await small.channels.history('news', { limit: 1_000 });
    expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(513 * 1024);
    expect(page.more).toBe(true);
  });

  it('P-9 begins at the oldest where the position is lost, and says so', async () => {
    const { clock, channels, publish } = createChannelWorld({ base: { maxEntries: 10 } });
    await publish('news', 30);
    await clock.advance(1_000);
    const { epoch } = await channels.open('news');
    const lost = { recovered: false, oldest_cursor: 21, epoch };
    for (const query of [{ since: 5 }, { since: 19, epoch }, { since: 31 }, { since: 25, epoch: 'other' }]) {
      const page = await channels.history('news', query);
      expect(page, JSON.stringify(query)).toMatchObject(lost);
      expect(sequences(page)).toEqual(range(21, 30));
    }
    for (const query of [{}, { since: 20 }, { since: 20, epoch }]) {
      expect(await channels.history('news', query)).toMatchObject({ ...lost, recovered: true });
    }
  });

  it('of a channel that is not there is empty, and makes none', async () => {
    const { channels, counted } = createChannelWorld();
    const empty = { messages: [], cursor: 0, more: false, epoch: '', oldest_cursor: 1, recovered: true };
    expect(await channels.history('news')).toEqual(empty);
    expect(await channels.history('news', { since: 3 })).toEqual({ ...empty, recovered: false });
    expect(await channels.history('news', { epoch: 'gone' })).toEqual({ ...empty, recovered: false });
    expect(counted.calls('append')).toEqual([]);
  });

  it('is read again where the channel was trimmed between two looks', async () => {
    let trimmed = false;
    const world = createChannelWorld({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.name === 'read' && !trimmed) {
            trimmed = true;
            await store.logs.trim('channel:news', 8);
          }
          return go();
        }),
    });
    await world.publish('news', 10);
    const page = await world.channels.history('news', { since: 2 });
    expect(sequences(page)).toEqual([8, 9, 10]);
    expect(page).toMatchObject({ recovered: false, oldest_cursor: 8 });
  });
});
