import { decodeVectorCursor } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { only, range } from '../../test/pick.ts';
import { type Poller, register, told } from '../../test/poller.ts';

async function publish(world: TestGateway, from: number, to: number, channel = 'news'): Promise<void> {
  const publisher = await world.client('publisher');
  for (const number of range(from, to))
    publisher.post({ type: 'channel.publish', channel, data: number, event_id: `e${number}` });
  await world.clock.settle();
  await publisher.hangUp();
}

async function open(): Promise<{ world: TestGateway; poller: Poller }> {
  const world = openGateway();
  return { world, poller: await register(world, 'tablet') };
}

describe('a subscription without a socket', () => {
  it.each([
    ['where it says', { since: 1 }, ['2', '3', '4']],
    ['at the start', { since: 0 }, ['1', '2', '3', '4']],
    ['at the head', {}, ['4']],
  ])('P-7 begins %s, with delivery or without', async (_where, more, expected) => {
    const { world, poller } = await open();
    await publish(world, 1, 3);
    await poller.subscribe('news', more);
    await publish(world, 4, 4);
    expect(told(await poller.poll())).toEqual(expected);
    const other = await register(world, 'phone');
    await other.subscribe('news', { ...more, delivery: false });
    await publish(world, 5, 5);
    expect(told(await other.poll())).toEqual([
      ...expected.filter((each) => each !== '4' || 'since' in more),
      '5',
    ]);
  });

  it('P-7 says where it stands', async () => {
    const { world, poller } = await open();
    await publish(world, 1, 3);
    const { epoch } = (await world.gateway.channels.history('news')) as { epoch: string };
    const ask = (more: object): Promise<unknown> => poller.ask('subscribe', { channel: 'news', ...more });
    const at = (cursor: number): object => ({ ok: true, channel: 'news', cursor, epoch });
    expect(await ask({ delivery: false })).toEqual(at(3));
    expect(await ask({ delivery: false, since: 1 })).toEqual(at(1));
    expect(await ask({ delivery: false })).toEqual(at(1));
    expect(await ask({ since: 2 })).toEqual(at(2));
    expect(await ask({ since: 0 })).toEqual(at(2));
    expect(await ask({})).toEqual({ ok: true, channel: 'news' });
  });

  it('P-7 does not move by being asked for once more', async () => {
    const { world, poller } = await open();
    for (const delivery of [true, false]) await poller.subscribe(`news/${delivery}`, { delivery });
    for (const channel of ['news/true', 'news/false']) await publish(world, 1, 2, channel);
    for (const delivery of [true, false]) await poller.subscribe(`news/${delivery}`, { delivery });
    expect(told(await poller.poll()).toSorted()).toEqual(['1', '1', '2', '2']);
  });

  it('P-7 begins anew when it was left', async () => {
    const { world, poller } = await open();
    await poller.subscribe('news', { delivery: false });
    await publish(world, 1, 2);
    const { cursor } = await poller.poll();
    await poller.ask('unsubscribe', { channel: 'news' });
    const { cursor: left } = await poller.poll(cursor);
    expect(decodeVectorCursor(left)?.size).toBe(0);
    await poller.subscribe('news', { delivery: false, since: 0 });
    expect(told(await poller.poll(left))).toEqual(['1', '2']);
  });

  it('P-8 gets its own messages where it asked for them', async () => {
    const { poller } = await open();
    await poller.subscribe('news');
    await poller.subscribe('sport', { echo: true });
    for (const channel of ['news', 'sport'])
      expect(await poller.ask('publish', { channel, data: { a: 1 }, event_id: 'e1' })).toEqual({
        ok: true,
        sequence: 1,
      });
    expect(only((await poller.poll()).messages)).toMatchObject({
      type: 'channel_message',
      channel: 'sport',
      data: { a: 1 },
      event_id: 'e1',
      source: 'tablet',
    });
  });

  it('P-2 publishes under an event id once', async () => {
    const { poller } = await open();
    const post = (event_id: string): Promise<unknown> =>
      poller.ask('publish', { channel: 'news', data: null, event_id });
    expect([await post('a'), await post('b'), await post('a')]).toEqual([
      { ok: true, sequence: 1 },
      { ok: true, sequence: 2 },
      { ok: true, sequence: 1 },
    ]);
  });
});

describe('a subscription without delivery', () => {
  it('P-14 is moved by nothing but the cursor, and marks nothing', async () => {
    const { world, poller } = await open();
    await poller.subscribe('news', { delivery: false });
    await publish(world, 1, 2);
    const first = await poller.poll();
    expect(told(first)).toEqual(['1', '2']);
    expect(await poller.ack('e1')).toBe(false);
    expect(told(await poller.poll())).toEqual(['1', '2']);
    await publish(world, 3, 3);
    const third = await poller.poll(first.cursor);
    expect(told(third)).toEqual(['3']);
    expect(told(await poller.poll(third.cursor))).toEqual([]);
    expect(told(await poller.poll(first.cursor))).toEqual(['3']);
    expect(await world.store.records.list('consumer/', { limit: 1 })).toEqual([]);
  });

  it('P-13 comes in batches, too', async () => {
    const { world, poller } = await open();
    await poller.subscribe('news', { delivery: false });
    await publish(world, 1, 120);
    const first = await poller.poll();
    const second = await poller.poll(first.cursor);
    expect([first, second].map(({ messages }) => messages.length)).toEqual([100, 20]);
  });
});

describe('an answer that was lost', () => {
  it.each([true, false])('P-14 brings the same again: delivery %s', async (delivery) => {
    const { world, poller } = await open();
    await poller.subscribe('news', { delivery });
    const { cursor } = await poller.poll();
    await publish(world, 1, 3);
    const lost = await poller.poll(cursor);
    const again = await poller.poll(cursor);
    expect(again.messages.map((message) => 'data' in message && message.data)).toEqual([1, 2, 3]);
    expect(told(again)).toEqual(delivery ? ['1+', '2+', '3+'] : ['1', '2', '3']);
    expect(again.cursor).toBe(lost.cursor);
    expect(told(await poller.poll(again.cursor))).toEqual([]);
  });

  it.each([
    ['trimmed', true],
    ['trimmed', false],
    ['epoch', true],
    ['epoch', false],
  ])('P-9, P-14 tells of a position that was lost again: %s, delivery %s', async (reason, delivery) => {
    const { world, poller } = await open();
    await poller.subscribe('news', { delivery });
    await publish(world, 1, 2);
    const { cursor } = await poller.poll();
    await world.clock.advance(20_000); // nobody watches it any more
    if (reason === 'epoch') await world.store.logs.keep('channel:news', world.clock.now());
    await publish(world, 3, 6);
    if (reason === 'trimmed') await world.store.logs.trim('channel:news', 5);
    const expected = reason === 'epoch' ? ['reset 2-0', '1', '2', '3', '4'] : ['reset 2-4', '5', '6'];
    const lost = await poller.poll(cursor);
    expect(told(lost)).toEqual(expected);
    const again = await poller.poll(cursor);
    expect(told(again).map((each) => each.replace('+', ''))).toEqual(expected);
    expect(told(await poller.poll(again.cursor))).toEqual([]);
  });

  it.each([true, false])('P-14 is no harm whenever its client goes away: delivery %s', async (delivery) => {
    const { world, poller } = await open();
    await poller.subscribe('news', { delivery });
    await publish(world, 1, 3);
    for (let turns = 0; turns < 40; turns++) {
      const { asked } = poller.begin('');
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      asked.hangUp();
      await world.clock.settle();
    }
    const { messages } = await poller.poll('');
    expect(messages.map((message) => 'data' in message && message.data)).toEqual([1, 2, 3]);
  });
});
