import { describe, expect, it, vi } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { only, range } from '../../test/pick.ts';
import type { TestSocket } from '../../test/socket.ts';

const SUBSCRIBE = { type: 'channel.subscribe', channel: 'news' };

/** `sequence` of every message, with a `+` where it may have been seen before. */
function messagesOf(client: TestSocket): string[] {
  return client.of('channel_message').map((message) => {
    expect(message.attempt > 1).toBe(message._redelivered === true);
    return `${message.sequence}${message._redelivered ? '+' : ''}`;
  });
}

async function publish(world: TestGateway, from: number, to: number): Promise<void> {
  const publisher = await world.client('publisher');
  for (const number of range(from, to)) {
    publisher.post({ type: 'channel.publish', channel: 'news', data: number, event_id: `e${number}` });
  }
  await world.clock.settle();
  await publisher.hangUp();
}

async function ack(client: TestSocket, ...numbers: readonly number[]): Promise<boolean[]> {
  const before = client.of('ack_received').length;
  for (const number of numbers)
    await client.send({ type: 'message_ack', event_id: `e${number}`, channel: 'news' });
  return client
    .of('ack_received')
    .slice(before)
    .map(({ ok }) => ok);
}

async function subscriber(world: TestGateway, more: object = {}): Promise<TestSocket> {
  const client = await world.client('device');
  await client.send({ ...SUBSCRIBE, ...more });
  return client;
}

describe('a consumer that comes back', () => {
  it('P-5 may ack what it got before it left, and does not get it again', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 2);
    await client.send({ type: 'channel.unsubscribe', channel: 'news' });
    expect(await ack(client, 1)).toEqual([true]);
    await client.send(SUBSCRIBE);
    expect(messagesOf(client)).toEqual(['1', '2', '2+']);
  });

  it('P-3, P-5, P-6 gets what it has not acked again, marked, and what is new, unmarked', async () => {
    const world = openGateway();
    const first = await subscriber(world);
    await publish(world, 1, 5);
    expect(messagesOf(first)).toEqual(['1', '2', '3', '4', '5']);
    expect(await ack(first, 2, 4)).toEqual([true, true]);
    await first.hangUp();
    await publish(world, 6, 7);

    const second = await subscriber(world);
    expect(second.last('channel.subscribed')).toMatchObject({ cursor: 0, recovered: true });
    expect(messagesOf(second)).toEqual(['1+', '3+', '5+', '6', '7']);
  });

  it('P-5 gets nothing that it has acked, ever', async () => {
    const world = openGateway();
    const first = await subscriber(world);
    await publish(world, 1, 3);
    expect(await ack(first, 1, 2, 3)).toEqual([true, true, true]);
    await first.hangUp();
    const second = await subscriber(world);
    expect(second.last('channel.subscribed').cursor).toBe(3);
    expect(messagesOf(second)).toEqual([]);
  });

  it('P-5 acks what another connection handed out', async () => {
    const world = openGateway();
    const first = await subscriber(world);
    await publish(world, 1, 2);
    await first.hangUp();
    const second = await subscriber(world);
    expect(await ack(second, 2)).toEqual([true]);
    await second.hangUp();
    expect(messagesOf(await subscriber(world))).toEqual(['1+']);
  });

  it('P-5 is told of an ack that stored nothing', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 1);
    expect(await ack(client, 1, 1, 9)).toEqual([true, false, false]);
    await client.send({ type: 'message_ack', event_id: 'e1', channel: 'elsewhere' });
    expect(client.last('ack_received').ok).toBe(false);
  });

  it('P-5 may ack without the channel what is in flight', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 2);
    await client.send({ type: 'message_ack', event_id: 'e2' });
    expect(client.last('ack_received')).toMatchObject({ event_id: 'e2', ok: true });
    await client.hangUp();
    expect(messagesOf(await subscriber(world))).toEqual(['1+']);
  });

  it('P-3 gets what came while it was away, on whatever server', async () => {
    const world = openGateway();
    const elsewhere = openGateway({ beside: world });
    const first = await subscriber(world);
    await publish(world, 1, 2);
    expect(await ack(first, 1)).toEqual([true]);
    await first.hangUp();
    await publish(elsewhere, 3, 4);
    expect(messagesOf(await subscriber(elsewhere))).toEqual(['2+', '3', '4']);
  });

  it('P-7 goes on from its own position, whatever `since` says', async () => {
    const world = openGateway();
    const first = await subscriber(world);
    await publish(world, 1, 3);
    await ack(first, 1);
    await first.hangUp();
    const second = await subscriber(world, { since: 0 });
    expect(messagesOf(second)).toEqual(['2+', '3+']);
  });

  it('P-3 loses nothing when it comes and goes all the time', async () => {
    const world = openGateway();
    const seen = new Set<number>();
    for (const round of range(1, 30)) {
      const client = await subscriber(world, { since: 0 });
      client.post({ type: 'ping' });
      await publish(world, round * 10 - 9, round * 10);
      for (const message of client.of('channel_message')) {
        seen.add(message.sequence);
        if (message.sequence % 3 === 0) await ack(client, message.sequence);
      }
      await client.hangUp();
    }
    expect(seen.size).toBe(300);
    const pending = messagesOf(await subscriber(world)).map(Number.parseFloat);
    expect(pending).toEqual(range(1, 300).filter((number) => number % 3 !== 0));
  });

  it('P-1 is another one when the server had made its id up: then it is forgotten', async () => {
    const world = openGateway();
    const client = await world.socket('/ws');
    await client.send(SUBSCRIBE);
    await publish(world, 1, 1);
    expect(await world.store.records.list('consumer/', { limit: 10 })).toHaveLength(1);
    await client.hangUp();
    expect(await world.store.records.list('consumer/', { limit: 10 })).toEqual([]);
  });

  it('P-8 is not held back by its own messages', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    for (const number of range(1, 50)) {
      await client.send({ type: 'channel.publish', channel: 'news', data: number, event_id: `e${number}` });
    }
    await client.hangUp();
    await publish(world, 51, 51);
    const back = await subscriber(world);
    expect(back.last('channel.subscribed').cursor).toBe(50);
    expect(messagesOf(back)).toEqual(['51']);
  });

  it('P-4 gets messages in order, but for those that come again', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 400);
    expect(messagesOf(client)).toEqual(range(1, 400).map(String));
    await client.hangUp();
    await publish(world, 401, 800);
    expect(messagesOf(await subscriber(world))).toEqual([
      ...range(1, 400).map((number) => `${number}+`),
      ...range(401, 800).map(String),
    ]);
  });

  it('P-3, P-10 is not forgotten while it is there, however quiet the channel', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 1);
    expect(await ack(client, 1)).toEqual([true]);
    await world.clock.advance(26 * 3_600_000);
    expect(client.closed).toBeNull();
    await publish(world, 2, 2);
    await world.clock.advance(1_500);
    expect(client.of('channel_message').map(({ event_id }) => event_id)).toEqual(['e1', 'e2']);
    expect(await ack(client, 2)).toEqual([true]);
    expect(client.closed).toBeNull();
  });
});

describe('one consumer, two sockets', () => {
  it("P-10 the newest takes over, and the older one's socket is closed", async () => {
    const world = openGateway();
    const older = await subscriber(world);
    await publish(world, 1, 2);
    const newer = await subscriber(world);
    expect(older.closed).toEqual({ code: 4409, reason: 'taken_over' });
    expect(messagesOf(newer)).toEqual(['1+', '2+']);
    await publish(world, 3, 3);
    expect(messagesOf(newer)).toEqual(['1+', '2+', '3']);
    expect(messagesOf(older)).toEqual(['1', '2']);
  });

  it('P-10 the older one on another server is closed when it has something to do', async () => {
    const world = openGateway();
    const elsewhere = openGateway({ beside: world });
    const older = await subscriber(world);
    await publish(world, 1, 1);
    const newer = await subscriber(elsewhere);
    expect(await ack(older, 1)).toEqual([]);
    expect(older.closed?.code).toBe(4409);
    expect(await ack(newer, 1)).toEqual([true]);
  });

  it('P-10 does not concern others: another channel, another client', async () => {
    const world = openGateway();
    const one = await subscriber(world);
    const other = await world.client('tablet');
    await other.send(SUBSCRIBE);
    const sport = await world.client('device');
    await sport.send({ ...SUBSCRIBE, channel: 'sport' });
    expect([one.closed, other.closed, sport.closed]).toEqual([null, null, null]);
  });

  it('P-10 is no reason to be closed by oneself: subscribing twice on one socket', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 1);
    await client.send(SUBSCRIBE);
    expect(client.closed).toBeNull();
    expect(messagesOf(client)).toEqual(['1', '1+']);
  });
});

describe('an ack of nothing', () => {
  it('P-5 costs no reading, however often it comes and however much is in flight', async () => {
    const { client, clock, store } = openGateway();
    const [reader, writer] = [await client('reader'), await client('writer')];
    await reader.send({ type: 'channel.subscribe', channel: 'news' });
    for (const number of range(1, 300)) {
      writer.post({ type: 'channel.publish', channel: 'news', data: 'x', event_id: `e${number}` });
    }
    await clock.settle();
    const reads = vi.spyOn(store.logs, 'read');
    for (const number of range(1, 200))
      reader.post({ type: 'message_ack', event_id: `no${number}`, channel: 'news' });
    await clock.settle();
    const answers = reader.of('ack_received');
    expect([answers.length, answers.some(({ ok }) => ok)]).toEqual([200, false]);
    expect(reads).not.toHaveBeenCalled();
  });
});

describe('a consumer that does not ack', () => {
  it('P-11 gets a thousand messages, and the next when it acks', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 1_300);
    expect(messagesOf(client)).toEqual(range(1, 1_000).map(String));
    await world.clock.advance(5_000);
    expect(client.of('channel_message')).toHaveLength(1_000);
    await ack(client, 500);
    await world.clock.settle();
    expect(messagesOf(client)).toEqual(range(1, 1_001).map(String));
    for (const number of range(1, 300))
      client.post({ type: 'message_ack', event_id: `e${number}`, channel: 'news' });
    await world.clock.settle();
    expect(messagesOf(client)).toEqual(range(1, 1_300).map(String));
  });

  it('P-11 does not hold up others', async () => {
    const world = openGateway();
    await subscriber(world);
    const quick = await world.client('quick');
    await quick.send({ ...SUBSCRIBE, delivery: false });
    await publish(world, 1, 1_500);
    expect(quick.of('channel_message')).toHaveLength(1_500);
  });

  it('P-11 counts what it gets again: a thousand of that, and no more', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 1_000);
    await client.hangUp();
    await publish(world, 1_001, 1_100);
    const back = await subscriber(world);
    expect(messagesOf(back)).toEqual(range(1, 1_000).map((number) => `${number}+`));
    await ack(back, 7);
    expect(messagesOf(back).at(-1)).toBe('1001');
  });
});

describe('a consumer whose position is lost', () => {
  /** It acked the first of two messages, was away, and of sixty all but the last twenty are gone. */
  async function loseSome(world: TestGateway): Promise<TestSocket> {
    const first = await subscriber(world);
    await publish(world, 1, 2);
    await ack(first, 1);
    await first.hangUp();
    await world.clock.advance(15_000); // long enough that nothing is kept for its return
    await publish(world, 3, 60);
    await world.store.logs.trim('channel:news', 41);
    return subscriber(world);
  }

  it('L-4, P-9 is told of it, and messages go on after `to`: trimmed', async () => {
    const client = await loseSome(openGateway());
    const { epoch } = client.last('channel.subscribed');
    expect(client.last('channel.subscribed')).toMatchObject({ cursor: 1, recovered: false });
    const [reset, ...messages] = client.frames.slice(
      client.frames.findIndex(({ type }) => type === 'channel.reset'),
    );
    expect(reset).toEqual({
      type: 'channel.reset',
      channel: 'news',
      reason: 'trimmed',
      from: 1,
      to: 40,
      epoch,
    });
    expect(messages).toHaveLength(20);
    expect(messagesOf(client)).toEqual(range(41, 60).map(String));
  });

  it('P-9 is told again at every return, until it acks something newer', async () => {
    const world = openGateway();
    const first = await loseSome(world);
    const reset = only(first.of('channel.reset'));
    await first.hangUp();
    const second = await subscriber(world);
    expect(only(second.of('channel.reset'))).toEqual(reset);
    expect(second.last('channel.subscribed').recovered).toBe(false);
    expect(messagesOf(second)).toEqual(range(41, 60).map((number) => `${number}+`));
    await publish(world, 61, 61);
    expect(await ack(second, 61)).toEqual([true]);
    await second.hangUp();
    const third = await subscriber(world);
    expect(third.of('channel.reset')).toEqual([]);
    expect(third.last('channel.subscribed').recovered).toBe(true);
    expect(messagesOf(third)).toEqual(range(41, 60).map((number) => `${number}+`));
  });

  it('L-2, L-4, P-9 is told of it: epoch', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    const { epoch } = client.last('channel.subscribed');
    await publish(world, 1, 3);
    await client.hangUp();
    await world.store.logs.keep('channel:news', world.clock.now()); // it is gone
    await publish(world, 1, 2);
    const back = await subscriber(world);
    expect(only(back.of('channel.reset'))).toMatchObject({ reason: 'epoch', to: 0 });
    expect(back.last('channel.reset').epoch).not.toBe(epoch);
    expect(messagesOf(back)).toEqual(['1', '2']);
  });

  it.each([true, false])(
    'L-4 is told when it asks for what never was: ahead, delivery %s',
    async (delivery) => {
      const world = openGateway();
      await publish(world, 1, 2);
      const client = await subscriber(world, { since: 50, delivery });
      expect(client.last('channel.subscribed').recovered).toBe(false);
      expect(only(client.of('channel.reset'))).toMatchObject({ reason: 'ahead', from: 50, to: 0 });
      expect(messagesOf(client)).toEqual(['1', '2']);
    },
  );

  it('L-2 is told when it presents a position of another epoch', async () => {
    const world = openGateway();
    await publish(world, 1, 2);
    const client = await subscriber(world, { since: 1, epoch: 'another', delivery: false });
    expect(only(client.of('channel.reset'))).toMatchObject({ reason: 'epoch', from: 1, to: 0 });
    expect(messagesOf(client)).toEqual(['1', '2']);
  });

  it('L-4, P-9 is told while it is there', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 2);
    await world.store.logs.keep('channel:news', world.clock.now()); // it is gone
    await world.store.logs.append('channel:news', []); // and another is there
    await world.clock.advance(1_500);
    expect(only(client.of('channel.reset'))).toMatchObject({ reason: 'epoch', to: 0 });
    await publish(world, 1, 1);
    expect(messagesOf(client)).toEqual(['1', '2', '1']);
  });

  it('L-5, P-9 is told when it did not read for so long that it was trimmed away', async () => {
    const world = openGateway({ retention: { channel: { maxEntries: 20 } } });
    const client = await subscriber(world);
    client.peer.stall();
    const publisher = await world.client('publisher');
    const data = 'x'.repeat(50_000);
    for (const number of range(1, 200)) {
      await publisher.send({ type: 'channel.publish', channel: 'news', data, event_id: `e${number}` });
    }
    const held = client.of('channel_message').length;
    expect(held).toBeLessThan(20);
    client.peer.drain();
    await world.clock.settle();
    const reset = only(client.of('channel.reset'));
    expect(reset).toMatchObject({ reason: 'trimmed', from: held });
    expect(messagesOf(client)).toEqual([...range(1, held), ...range(reset.to + 1, 200)].map(String));
  });
});
