import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { range } from '../../test/pick.ts';
import type { TestSocket } from '../../test/socket.ts';

/** The defaults: 30 s, doubled, three retries; times of delivery are kept in steps of a 32nd of that. */
const SLACK_MS = 1_000;

async function subscriber(world: TestGateway, clientId = 'device'): Promise<TestSocket> {
  const client = await world.client(clientId);
  await client.send({ type: 'channel.subscribe', channel: 'news' });
  return client;
}

async function publish(world: TestGateway, ...numbers: readonly number[]): Promise<void> {
  const publisher = await world.client('publisher');
  for (const number of numbers)
    await publisher.send({ type: 'channel.publish', channel: 'news', data: number, event_id: `e${number}` });
  await publisher.hangUp();
}

/** `sequence/attempt` of the messages since the last look. */
function taken(client: TestSocket): string[] {
  return client.take().flatMap((frame) => {
    if (frame.type !== 'channel_message') return [];
    expect(frame._redelivered === true).toBe(frame.attempt > 1);
    return [`${frame.sequence}/${frame.attempt}`];
  });
}

const nack = (number: number, request_id?: string): object => ({
  type: 'message_nack',
  event_id: `e${number}`,
  channel: 'news',
  ...(request_id !== undefined && { request_id }),
});
const ack = (number: number): object => ({ type: 'message_ack', event_id: `e${number}`, channel: 'news' });

describe('a message that is not acked', () => {
  it('P-16 comes again after 30 s, then 60, then 120, each time marked', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 2);
    expect(taken(client)).toEqual(['1/1', '2/1']);
    await client.send(ack(2));
    let elapsed = 0;
    for (const [ms, told] of [
      [30_000, '1/2'],
      [90_000, '1/3'],
      [210_000, '1/4'],
    ] as const) {
      await world.clock.advance(ms - 100 - elapsed);
      expect(taken(client)).toEqual([]);
      await world.clock.advance(100 + SLACK_MS);
      expect(taken(client)).toEqual([told]);
      elapsed = ms + SLACK_MS;
    }
  });

  it('P-16 comes no more once it is acked, though late', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1);
    await world.clock.advance(31_000);
    expect(taken(client)).toEqual(['1/1', '1/2']);
    await client.send(ack(1));
    expect(client.last('ack_received').ok).toBe(true);
    await world.clock.advance(600_000);
    expect(taken(client).filter((each) => each.includes('/'))).toEqual([]);
  });

  it('P-4, P-16 does not hold up those after it', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, ...range(1, 3));
    await client.send(ack(2));
    await publish(world, 4);
    expect(taken(client)).toEqual(['1/1', '2/1', '3/1', '4/1']);
  });

  it('P-5, P-16 does not come again when it was acked at another server', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1, 2);
    await client.send(ack(2)); // so that it is stored what was handed out
    taken(client);
    const beside = openGateway({ beside: world });
    const registered = await beside.post('/api/push/poll/register', { client_id: 'device' });
    const { poll_token } = registered.body as { poll_token: string };
    const acked = await beside.post('/api/push/poll/ack', { poll_token, event_id: 'e1', channel: 'news' });
    expect(acked.body).toEqual({ ok: true });
    await world.clock.advance(40_000);
    expect(taken(client)).toEqual([]);
  });
});

describe('a message that is nacked', () => {
  it('P-17 comes again at once, which uses up a retry', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1);
    taken(client);
    await client.send(nack(1, 'r1'));
    expect(client.last('nack_received')).toEqual({
      type: 'nack_received',
      event_id: 'e1',
      ok: true,
      request_id: 'r1',
    });
    expect(taken(client)).toEqual(['1/2']);
    await world.clock.advance(59_000);
    expect(taken(client)).toEqual([]);
    await world.clock.advance(2_000);
    expect(taken(client)).toEqual(['1/3']);
  });

  it.each([
    ['was acked', async (client: TestSocket) => client.send(ack(1)), 1],
    ['was never there', async () => {}, 9],
  ])('P-17 is not nacked when it %s', async (_what, before, number) => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1);
    await before(client);
    await client.send(nack(number));
    expect(client.last('nack_received').ok).toBe(false);
  });

  it('P-18 is given up after its last retry, and the consumer goes on', async () => {
    const world = openGateway();
    const client = await subscriber(world);
    await publish(world, 1);
    for (const _each of range(1, 4)) await client.send(nack(1));
    expect(taken(client)).toEqual(['1/1', '1/2', '1/3', '1/4']);
    await world.clock.advance(3_600_000);
    await publish(world, 2);
    expect(taken(client)).toEqual(['2/1']);
    await client.send(nack(1));
    expect(client.last('nack_received').ok).toBe(false);
    await client.hangUp();
    expect(taken(await subscriber(world))).toEqual(['2/2']);
  });

  it('P-17 keeps its failures over a return', async () => {
    const world = openGateway();
    const first = await subscriber(world);
    await publish(world, 1);
    for (const _each of range(1, 3)) await first.send(nack(1));
    await first.hangUp();
    const second = await subscriber(world);
    expect(taken(second)).toEqual(['1/4']);
    await second.send(nack(1));
    expect(taken(second)).toEqual([]);
  });
});

describe('a consumer on another server', () => {
  it('P-10 is taken over there at once', async () => {
    const world = openGateway();
    const older = await subscriber(world);
    const beside = openGateway({ beside: world });
    await subscriber(beside);
    await world.clock.advance(100);
    expect(older.closed).toEqual({ code: 4409, reason: 'taken_over' });
  });
});
