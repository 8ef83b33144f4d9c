import { encodeVectorCursor } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { only, range } from '../../test/pick.ts';
import { register, told } from '../../test/poller.ts';
import type { TestSocket } from '../../test/socket.ts';

/** What a peer asks for and must not get. */

async function publish(world: TestGateway, channel: string, ...ids: readonly string[]): Promise<void> {
  for (const eventId of ids) await world.gateway.channels.publish(channel, eventId, { eventId });
}

async function subscriber(world: TestGateway, ...channels: readonly string[]): Promise<TestSocket> {
  const client = await world.client('device');
  for (const channel of channels) await client.send({ type: 'channel.subscribe', channel });
  return client;
}

describe('a cursor that nobody gave', () => {
  it.each([50, 1e7, 999_999_999_999_999])(
    'L-4, P-9 is told to be ahead, and costs nothing: %d',
    async (offset) => {
      const world = openGateway();
      const poller = await register(world, 'tablet');
      await poller.subscribe('news');
      await publish(world, 'news', 'a', 'b');
      const { epoch } = await world.gateway.channels.history('news');
      const forged = encodeVectorCursor(new Map([['channel:news', { epoch, offset }]]));
      const batch = await poller.poll(forged);
      expect(told(batch)).toEqual([`reset ${offset}-0`, '1', '2']);
      expect(told(await poller.poll(batch.cursor))).toEqual([]);
    },
  );
});

describe('an ack without its channel', () => {
  it('P-5 is for the delivery that has been in flight the longest', async () => {
    const world = openGateway();
    const client = await subscriber(world, 'one', 'two');
    await publish(world, 'two', 'same');
    await publish(world, 'one', 'same');
    await client.send({ type: 'message_ack', event_id: 'same' });
    await client.hangUp();
    const back = await subscriber(world, 'one', 'two');
    expect(only(back.of('channel_message')).channel).toBe('one');
  });
});

describe('a connection', () => {
  it('L-12 has a thousand channels and no more', async () => {
    const world = openGateway({ push: { enabled: true, presence: { enabled: false } } });
    const client = await world.client('device');
    for (const number of range(1, 1_000))
      client.post({ type: 'channel.subscribe', channel: `c${number}`, delivery: false });
    await world.clock.settle();
    await client.send({ type: 'channel.subscribe', channel: 'one-more' });
    expect(client.last('error').code).toBe('too_large');
    await client.send({ type: 'channel.subscribe', channel: 'c7', delivery: false });
    await client.send({ type: 'channel.unsubscribe', channel: 'c7' });
    await client.send({ type: 'channel.subscribe', channel: 'one-more' });
    expect(client.of('error')).toHaveLength(1);
  });

  it('L-10 is not seen with a token that allows nothing on channels', async () => {
    const world = openGateway({ tokens: [{ token: 'w', subject: 'w', scopes: ['write'] }] });
    const client = await world.socket('/ws', 'w');
    await client.send({ type: 'presence.heartbeat', status: 'here' });
    expect(client.last('error').code).toBe('forbidden');
  });
});

describe('a hook', () => {
  const SUBSCRIBE = { type: 'channel.subscribe', channel: 'news' };
  const PUBLISH = { type: 'channel.publish', channel: 'news', data: 1 };

  it.each([null, 0, '', 'yes'])('P-31 that answers %j allows nothing', async (answer) => {
    const hook = (): never => answer as never;
    const world = openGateway({
      push: { enabled: true, onPublish: hook, onSubscribe: hook },
      reports: ['onPublish', 'onSubscribe'].map(
        (name) =>
          `the hook ${name}: TypeError: it answered ${answer}: true, false, an object or nothing can be answered`,
      ),
    });
    const client = await world.client('device');
    await client.send(PUBLISH);
    await client.send(SUBSCRIBE);
    expect(client.of('error').map(({ code }) => code)).toEqual(['internal', 'internal']);
  });

  it('P-31 that hangs holds nobody for longer than ten seconds', async () => {
    let hangs = true;
    const world = openGateway({
      push: { enabled: true, onPublish: () => (hangs ? new Promise<undefined>(() => {}) : undefined) },
      reports: ['the hook onPublish: Error: it has not answered for 10000 ms'],
    });
    const client = await world.client('device');
    client.post(PUBLISH);
    client.post({ ...PUBLISH, event_id: 'second' });
    await world.clock.advance(9_999);
    expect(client.of('error')).toEqual([]);
    hangs = false;
    await world.clock.advance(1);
    expect(client.last('error').code).toBe('unavailable');
    expect(client.last('channel.published').event_id).toBe('second');
  });

  it.each([1.5, -1, 1e300])('P-31 that says to begin at %d is told of in the log', async (since) => {
    const world = openGateway({
      push: { enabled: true, onSubscribe: () => ({ since }) },
      reports: [`the hook onSubscribe: TypeError: "since" is ${since}: it must be a whole number, 0 or more`],
    });
    const client = await world.client('device');
    await client.send(SUBSCRIBE);
    expect(client.last('error').code).toBe('internal');
  });
});

describe('a message that is nacked to its death', () => {
  it('P-18 says how often it was delivered', async () => {
    const world = openGateway();
    const client = await subscriber(world, 'news');
    await publish(world, 'news', 'a');
    for (const _each of range(1, 4))
      await client.send({ type: 'message_nack', event_id: 'a', channel: 'news' });
    expect(client.of('channel_message')).toHaveLength(4);
    const { messages } = await world.gateway.channels.deadLetters('news');
    expect(only(messages)).toMatchObject({
      event_id: 'a',
      attempts: 4,
      reason: 'retries',
      client_id: 'device',
    });
  });
});

describe('a list of who is there', () => {
  it('P-22 names the others, however many channels one has', async () => {
    const world = openGateway();
    const crowd = await world.client('crowd');
    const long = 'x'.repeat(240);
    for (const number of range(1, 900))
      crowd.post({ type: 'channel.subscribe', channel: `${long}${number}` });
    crowd.post({ type: 'channel.subscribe', channel: 'room' });
    await world.clock.settle();
    const client = await subscriber(world, 'room');
    await client.send({ type: 'presence.query', channel: 'room' });
    const { presence, total } = client.last('presence.list');
    expect([presence.map(({ client_id: id }) => id), total]).toEqual([['crowd', 'device'], 2]);
  });
});
