import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { range } from '../../test/pick.ts';
import { type Poller, register, told } from '../../test/poller.ts';

async function open(messages: number): Promise<{ world: TestGateway; poller: Poller; cursor: string }> {
  const world = openGateway();
  const poller = await register(world, 'tablet');
  await poller.subscribe('news');
  for (const number of range(1, messages))
    await world.post('/api/channels/news/messages', { data: number, event_id: `e${number}` });
  let { cursor } = await poller.poll();
  for (let got = 100; got < messages; got += 100) ({ cursor } = await poller.poll(cursor));
  return { world, poller, cursor };
}

describe('a message that is nacked without a socket', () => {
  it('P-17 comes with the next poll, marked, whatever its cursor', async () => {
    const { poller, cursor } = await open(3);
    expect(await poller.ask('nack', { event_id: 'e2', channel: 'news' })).toEqual({ ok: true });
    const batch = await poller.poll(cursor);
    expect(told(batch)).toEqual(['2+']);
    expect(batch.messages).toMatchObject([{ attempt: 2 }]);
    expect(await poller.ask('nack', { event_id: 'e2' })).toEqual({ ok: true });
    expect((await poller.poll(batch.cursor)).messages).toMatchObject([{ sequence: 2, attempt: 3 }]);
  });

  it('P-17 comes to the poll that is parked, here and on another server', async () => {
    const { world, poller, cursor } = await open(3);
    const elsewhere = poller.at(openGateway({ beside: world }));
    for (const [by, event_id, expected] of [
      [poller, 'e1', ['1+']],
      [elsewhere, 'e3', ['3+']],
    ] as const) {
      const parked = poller.begin(cursor);
      await world.clock.settle();
      expect(parked.asked.answered).toBe(false);
      expect(await by.ask('nack', { event_id, channel: 'news' })).toEqual({ ok: true });
      await world.clock.settle();
      expect(told(await parked.batch())).toEqual(expected);
    }
  });

  it('P-13, P-17 comes with a poll that may not wait', async () => {
    const { world, poller, cursor } = await open(3);
    await poller.ask('nack', { event_id: 'e2', channel: 'news' });
    const { batch } = poller.begin(cursor, 0);
    await world.clock.settle();
    expect(told(await batch())).toEqual(['2+']);
  });

  it('P-13, P-17 comes with a hundred others at most', async () => {
    const { world, poller, cursor } = await open(150);
    for (const number of range(1, 150)) await poller.ask('nack', { event_id: `e${number}`, channel: 'news' });
    const seen: number[] = [];
    let at = cursor;
    for (let polls = 0; polls < 4; polls++) {
      const batch = await poller.poll(at);
      expect(batch.messages.length).toBeLessThanOrEqual(100);
      seen.push(...batch.messages.map((message) => ('sequence' in message ? message.sequence : 0)));
      at = batch.cursor;
    }
    expect(seen.toSorted((a, b) => a - b)).toEqual(range(1, 150));
    expect(world.problems).toEqual([]);
  });

  it('P-17 is not nacked when it was acked, or never came', async () => {
    const { poller } = await open(3);
    await poller.ack('e1');
    expect(await poller.ask('nack', { event_id: 'e1' })).toEqual({ ok: false });
    expect(await poller.ask('nack', { event_id: 'e9' })).toEqual({ ok: false });
    expect(await poller.ask('nack', { event_id: 'e2', channel: 'sport' })).toEqual({ ok: false });
  });

  it('P-18 is given up after three retries, and the others go on', async () => {
    const { poller, cursor } = await open(2);
    let at = cursor;
    for (const attempt of [2, 3, 4]) {
      await poller.ask('nack', { event_id: 'e1' });
      const batch = await poller.poll(at);
      expect(batch.messages).toMatchObject([{ sequence: 1, attempt }]);
      at = batch.cursor;
    }
    await poller.ask('nack', { event_id: 'e1' });
    expect(told(await poller.poll(at))).toEqual([]);
    expect(told(await poller.poll())).toEqual(['2+']);
  });
});

describe('a message that nobody acks', () => {
  it('P-16 comes again to a poll, when its time is over', async () => {
    const { world, poller, cursor } = await open(2);
    await poller.ack('e2');
    const first = await poller.poll(cursor);
    await world.clock.advance(27_000);
    const second = await poller.poll(first.cursor);
    const parked = poller.begin(second.cursor);
    await world.clock.settle();
    expect([told(first), told(second), parked.asked.answered]).toEqual([[], [], false]);
    await world.clock.advance(3_000);
    expect(told(await parked.batch())).toEqual(['1+']);
  });

  it('P-16, P-40 comes again on a stream, and its id does not go back', async () => {
    const { world, poller, cursor } = await open(2);
    await poller.ack('e2');
    const headers = { 'last-event-id': cursor };
    const stream = await world
      .ask('GET', `/api/push/sse?poll_token=${poller.token}`, { headers })
      .pushStream();
    const { lastId } = stream;
    await world.clock.advance(32_000);
    expect(told(stream)).toEqual(['1+']);
    expect(stream.lastId).toBe(lastId);
    await world.clock.advance(62_000);
    expect(stream.messages).toMatchObject([{ attempt: 2 }, { attempt: 3 }]);
    await poller.ask('nack', { event_id: 'e1' });
    await world.clock.settle();
    expect(stream.messages).toHaveLength(3);
    await poller.ack('e1');
    await world.clock.advance(1_000_000);
    expect(stream.messages).toHaveLength(3);
  });
});
