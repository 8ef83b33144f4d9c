import { MAX_ENTRY_DATA } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { interceptStore } from '../../test/intercept.ts';
import { only, range } from '../../test/pick.ts';

const SUBSCRIBE = { type: 'channel.subscribe', channel: 'news' };
const publish = (event_id: string, data: unknown = event_id): object => ({
  type: 'channel.publish',
  channel: 'news',
  data,
  event_id,
});

describe('a connection to /ws', () => {
  it('P-1 is greeted, with an id that may be used as it is', async () => {
    const { socket } = openGateway();
    const client = await socket('/ws');
    const { client_id: clientId } = client.last('connected');
    await client.send({ ...SUBSCRIBE, echo: true });
    await client.send(publish('e1'));
    expect(client.last('channel_message').source).toBe(clientId);
    expect((await socket('/ws')).last('connected').client_id).not.toBe(clientId);
  });

  it('P-1 names a lasting id', async () => {
    const { socket } = openGateway();
    const client = await socket('/ws');
    await client.send({ type: 'auth', client_id: 'device-7', capabilities: ['x'] });
    expect(client.last('authenticated')).toEqual({
      type: 'authenticated',
      client_id: 'device-7',
      subject: 'local',
    });
    await client.send({ ...SUBSCRIBE, echo: true });
    await client.send(publish('e1'));
    expect(client.last('channel_message').source).toBe('device-7');
  });

  it('P-1 keeps the id it was given when `auth` names none', async () => {
    const { socket } = openGateway();
    const client = await socket('/ws');
    await client.send({ type: 'auth' });
    expect(client.last('authenticated').client_id).toBe(client.last('connected').client_id);
  });

  it('P-1 that becomes another client leaves what it had subscribed to', async () => {
    const { client } = openGateway();
    const device = await client('one');
    await device.send(SUBSCRIBE);
    await device.send({ type: 'auth', client_id: 'two' });
    device.take();
    await (await client('pub')).send(publish('e1'));
    expect(device.take()).toEqual([]);
  });

  it.each([
    ['in the frame', ALICE, undefined],
    ['with the upgrade', undefined, ALICE],
  ])('L-15 is who its token says, presented %s', async (_where, token, credential) => {
    const { socket } = openGateway({ tokens: TWO_PEOPLE });
    const client = await socket('/ws', credential);
    await client.send({ type: 'auth', ...(token !== undefined && { token }) });
    expect(client.last('authenticated').subject).toBe('alice');
  });

  it.each([
    [{ type: 'auth', token: 'guess' }],
    [{ type: 'auth' }],
    [SUBSCRIBE],
    [publish('e1')],
    [{ type: 'message_ack', event_id: 'e1' }],
    [{ type: 'channel.unsubscribe', channel: 'news' }],
  ])('L-15 without a right token is closed at %j', async (frame) => {
    const { socket } = openGateway({ tokens: TWO_PEOPLE });
    const client = await socket('/ws');
    await client.send({ ...frame, request_id: 1 });
    expect(client.last('error')).toMatchObject({ code: 'unauthorized', request_id: 1 });
    expect(client.closed).toEqual({ code: 4401, reason: 'unauthorized' });
  });

  it.each([
    [SUBSCRIBE],
    [{ type: 'channel.unsubscribe', channel: 'news' }],
    [publish('e1')],
    [{ type: 'message_ack', event_id: 'e1', channel: 'news' }],
  ])('P-1 is told that push is off, at %j', async (frame) => {
    const { socket } = openGateway({ push: false });
    const client = await socket('/ws');
    expect(client.of('connected')).toHaveLength(1);
    await client.send(frame);
    expect(client.last('error').code).toBe('push_disabled');
    expect(client.closed).toBeNull();
  });

  it.each([
    ['subscribe', SUBSCRIBE],
    ['publish', publish('e1')],
  ])('L-10 may only do what its token allows: %s', async (_what, frame) => {
    const tokens = [{ token: ALICE, subject: 'alice', channels: ['sport*'] }];
    const { socket } = openGateway({ tokens });
    const client = await socket('/ws', ALICE);
    await client.send(frame);
    expect(client.last('error').code).toBe('forbidden');
    await client.send({ ...frame, channel: 'sports' });
    expect(client.of('error')).toHaveLength(1);
  });
});

describe('publishing', () => {
  it('P-2 says that the message is stored, under which sequence, and how many have it now', async () => {
    const { client, store } = openGateway();
    const publisher = await client('pub');
    await publisher.send(publish('e1'));
    expect(publisher.last('channel.published')).toEqual({
      type: 'channel.published',
      channel: 'news',
      delivered: 0,
      event_id: 'e1',
      sequence: 1,
    });
    expect((await store.logs.heads(['channel:news']))[0]?.offset).toBe(1);
    for (const id of ['a', 'b', 'pub']) {
      const subscriber = id === 'pub' ? publisher : await client(id);
      await subscriber.send(SUBSCRIBE);
    }
    await publisher.send(publish('e2'));
    expect(publisher.last('channel.published')).toMatchObject({ delivered: 2, sequence: 2 });
  });

  it('L-1, P-2 says nothing before the message is stored, and shows it to nobody', async () => {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { client, clock } = openGateway({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.name === 'append' && call.drafts?.length) await opened;
          return go();
        }),
    });
    const publisher = await client('pub');
    const subscriber = await client('sub');
    await subscriber.send(SUBSCRIBE);
    subscriber.take();
    publisher.post(publish('e1'));
    await clock.advance(5_000);
    expect([publisher.take(), subscriber.take()]).toEqual([[], []]);
    open();
    await clock.settle();
    expect(publisher.of('channel.published')).toHaveLength(1);
    expect(subscriber.of('channel_message')).toHaveLength(1);
  });

  it('P-2 the same event id again is stored once, under the sequence it has', async () => {
    const { client } = openGateway();
    const publisher = await client('pub');
    const subscriber = await client('sub');
    await subscriber.send(SUBSCRIBE);
    await publisher.send(publish('e1', 'first'));
    await publisher.send(publish('e2'));
    await publisher.send(publish('e1', 'again'));
    expect(publisher.of('channel.published').map(({ sequence }) => sequence)).toEqual([1, 2, 1]);
    expect(subscriber.of('channel_message').map(({ data }) => data)).toEqual(['first', 'e2']);
  });

  it('P-2 an event id counts within its channel only, and one is made where none was given', async () => {
    const { client } = openGateway();
    const publisher = await client('pub');
    await publisher.send(publish('e1'));
    await publisher.send({ ...publish('e1'), channel: 'sport' });
    await publisher.send({ type: 'channel.publish', channel: 'sport', data: null });
    const published = publisher.of('channel.published');
    expect(published.map(({ channel, sequence }) => [channel, sequence])).toEqual([
      ['news', 1],
      ['sport', 1],
      ['sport', 2],
    ]);
    expect(published.at(-1)?.event_id).toMatch(/^evt_/);
  });

  it('P-3, P-4 reaches every subscriber as it was sent, in order', async () => {
    const { client, clock } = openGateway();
    const publisher = await client('pub');
    const subscribers = [await client('a'), await client('b')];
    for (const subscriber of subscribers) await subscriber.send(SUBSCRIBE);
    const data = [null, 0, '', 'ü\u2028"', [1, { deep: null }], { type: 'channel.published' }];
    for (const [index, each] of data.entries()) publisher.post(publish(`e${index + 1}`, each));
    await clock.settle();
    for (const subscriber of subscribers) {
      const messages = subscriber.of('channel_message');
      expect(messages.map((message) => message.data)).toEqual(data);
      expect(messages.map(({ sequence, attempt }) => [sequence, attempt])).toEqual(
        data.map((_, at) => [at + 1, 1]),
      );
      expect(messages[0]).toEqual({
        type: 'channel_message',
        channel: 'news',
        data: null,
        event_id: 'e1',
        timestamp: clock.now() / 1000,
        source: 'pub',
        target: null,
        sequence: 1,
        attempt: 1,
      });
    }
  });

  it.each([
    [0, 'channel.published'],
    [1, 'error'],
  ])('L-17 data of the largest size and %i bytes gets `%s`', async (over, answer) => {
    const { client, store } = openGateway();
    const publisher = await client('pub');
    const subscriber = await client('sub');
    await subscriber.send(SUBSCRIBE);
    await publisher.send(publish('e1', 'x'.repeat(MAX_ENTRY_DATA - 2 + over)));
    expect(publisher.frames.at(-1)).toMatchObject({ type: answer, ...(over && { code: 'too_large' }) });
    expect((await store.logs.heads(['channel:news']))[0]?.offset).toBe(1 - over);
    expect(subscriber.of('channel_message')).toHaveLength(1 - over);
  });
});

describe('subscribing', () => {
  it('P-7 makes the channel when it is missing, and begins at the head', async () => {
    const { client } = openGateway();
    const publisher = await client('pub');
    const first = await client('first');
    await first.send(SUBSCRIBE);
    expect(first.last('channel.subscribed')).toMatchObject({
      ok: true,
      cursor: 0,
      oldest_cursor: 1,
      recovered: true,
    });
    for (const number of range(1, 3)) await publisher.send(publish(`e${number}`));
    const second = await client('second');
    await second.send(SUBSCRIBE);
    expect(second.last('channel.subscribed')).toMatchObject({
      cursor: 3,
      epoch: first.last('channel.subscribed').epoch,
    });
    await publisher.send(publish('e4'));
    expect(first.of('channel_message').map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(second.of('channel_message').map(({ sequence }) => sequence)).toEqual([4]);
  });

  it.each([true, false])('P-7 begins a new subscriber at `since`, with delivery %s', async (delivery) => {
    const { client } = openGateway();
    const publisher = await client('pub');
    for (const number of range(1, 5)) await publisher.send(publish(`e${number}`));
    const subscriber = await client('sub');
    await subscriber.send({ ...SUBSCRIBE, since: 2, delivery });
    expect(subscriber.last('channel.subscribed')).toMatchObject({ cursor: 2, recovered: true });
    expect(subscriber.of('channel_message').map(({ sequence, attempt }) => [sequence, attempt])).toEqual([
      [3, 1],
      [4, 1],
      [5, 1],
    ]);
  });

  it('P-7 with `delivery: false` tracks nothing: at most once', async () => {
    const { client, store } = openGateway();
    const publisher = await client('pub');
    const first = await client('sub');
    await first.send({ ...SUBSCRIBE, delivery: false });
    await publisher.send(publish('e1'));
    expect(first.of('channel_message')).toHaveLength(1);
    await first.send({ type: 'message_ack', event_id: 'e1', channel: 'news' });
    expect(first.last('ack_received').ok).toBe(false);
    await first.hangUp();
    const second = await client('sub');
    await second.send({ ...SUBSCRIBE, delivery: false });
    expect(second.of('channel_message')).toEqual([]);
    expect(await store.records.list('consumer/', { limit: 10 })).toEqual([]);
  });

  it('P-8 gives a publisher no message of its own, unless it asked for them', async () => {
    const { client } = openGateway();
    const silent = await client('silent');
    const echoing = await client('echoing');
    await silent.send(SUBSCRIBE);
    await echoing.send({ ...SUBSCRIBE, echo: true });
    await silent.send(publish('e1'));
    await echoing.send(publish('e2'));
    expect(silent.of('channel_message').map(({ event_id }) => event_id)).toEqual(['e2']);
    expect(echoing.of('channel_message').map(({ event_id }) => event_id)).toEqual(['e1', 'e2']);
  });

  it('P-8, L-10 knows its own messages by who it is, not by the name it chose', async () => {
    const { socket } = openGateway({ tokens: TWO_PEOPLE });
    const [alice, bob] = [await socket('/ws', ALICE), await socket('/ws', 'token-of-bob')];
    for (const each of [alice, bob]) {
      await each.send({ type: 'auth', client_id: 'phone' });
      await each.send(SUBSCRIBE);
    }
    await alice.send(publish('e1'));
    expect(alice.of('channel_message')).toEqual([]);
    expect(only(bob.of('channel_message')).source).toBe('phone');
  });

  it('ends with `channel.unsubscribe`', async () => {
    const { client } = openGateway();
    const publisher = await client('pub');
    const subscriber = await client('sub');
    await subscriber.send(SUBSCRIBE);
    await subscriber.send({ type: 'channel.unsubscribe', channel: 'news' });
    await publisher.send(publish('e1'));
    expect(subscriber.of('channel.unsubscribed').map(({ ok }) => ok)).toEqual([true]);
    await subscriber.send({ type: 'channel.unsubscribe', channel: 'news' });
    expect(subscriber.last('channel.unsubscribed').ok).toBe(false);
    expect(subscriber.of('channel_message')).toEqual([]);
    expect(publisher.last('channel.published').delivered).toBe(0);
  });

  it('moves when it is asked again', async () => {
    const { client } = openGateway();
    const publisher = await client('pub');
    const subscriber = await client('sub');
    await subscriber.send({ ...SUBSCRIBE, delivery: false });
    await publisher.send(publish('e1'));
    await subscriber.send({ ...SUBSCRIBE, delivery: false, since: 0 });
    await publisher.send(publish('e2'));
    expect(subscriber.of('channel_message').map(({ sequence }) => sequence)).toEqual([1, 1, 2]);
  });
});

describe('the name of a channel', () => {
  it.each(['a', 'news', 'a.b_c:d/e-f', 'A9', 'x'.repeat(255), '/', '..'])(
    'P-15 may be "%s"',
    async (channel) => {
      const { client } = openGateway();
      const subscriber = await client('sub');
      await subscriber.send({ type: 'channel.subscribe', channel });
      await (await client('pub')).send({ type: 'channel.publish', channel, data: 1 });
      expect(only(subscriber.of('channel_message')).channel).toBe(channel);
    },
  );

  it.each(['', 'x'.repeat(256), 'a b', 'a\nb', 'é', 'a*', '<news>', 7, null])(
    'P-15 may not be %j',
    async (channel) => {
      const { client } = openGateway();
      const subscriber = await client('sub');
      await subscriber.send({ type: 'channel.subscribe', channel });
      await subscriber.send({ type: 'channel.publish', channel, data: 1 });
      expect(subscriber.of('error').map(({ code }) => code)).toEqual(['bad_request', 'bad_request']);
    },
  );
});
