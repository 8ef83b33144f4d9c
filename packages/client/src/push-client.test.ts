import { describe, expect, it } from 'vitest';
import { outcome } from '../test/client.ts';
import { again, message, settledBy, setUpPush } from '../test/push.ts';
import { ConnectionError, GatewayError, UnauthorizedError } from './errors.ts';

describe('a greeting', () => {
  it('presents the token, the id and what the client understands', async () => {
    const { client, connect } = setUpPush({ authToken: 't1' });
    const server = await connect();
    expect(server.sent[0]).toEqual({
      type: 'auth',
      token: 't1',
      client_id: 'c1',
      capabilities: ['presence_batch'],
    });
    expect(client).toMatchObject({ isConnected: true, transportName: 'websocket', clientId: 'c1' });
  });

  it('is followed by a heartbeat at once, and every 15 s', async () => {
    const { connect, clock } = setUpPush();
    const server = await connect();
    const beats = () => server.got('presence.heartbeat').length;
    expect(beats()).toBe(1);
    await clock.advance(14_999);
    expect(beats()).toBe(1);
    await clock.advance(15_001);
    expect(beats()).toBe(3);
  });

  it('is refused with unauthorized: the end, where the token is fixed', async () => {
    const { client, server, clock } = setUpPush({ authToken: 'old' });
    const connected = outcome(client.connect());
    server().open();
    server().say({ type: 'error', code: 'unauthorized', message: 'no' });
    await clock.settle();
    expect(connected.settled).toBeInstanceOf(UnauthorizedError);
    await expect(client.publish('news', 1)).rejects.toBeInstanceOf(UnauthorizedError);
  });

  it('is refused with unauthorized: a source is asked for another token', async () => {
    let calls = 0;
    const { client, server, clock, greet, ends } = setUpPush({ authToken: () => `t${++calls}` });
    const connected = client.connect();
    await clock.settle();
    server().open();
    server().say({ type: 'error', code: 'unauthorized', message: 'no' });
    await clock.advance(0);
    expect(ends).toHaveLength(2);
    await greet();
    await connected;
    expect(server().sent[0]).toMatchObject({ token: 't2' });
  });
});

describe('messages', () => {
  it('P-4 reach their handlers in order, without waiting for the one before, and are acked when each is done', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    const server = await connect();
    const shown: unknown[] = [];
    const done: (() => void)[] = [];
    await subscribe('news', ({ data }) => {
      shown.push(data);
      return new Promise<void>((resolve) => done.push(resolve));
    });
    client.on('channel_message', ({ data }) => shown.push(`all ${data}`));
    server.say(message(1), message(2), message(3));
    expect(shown).toEqual([1, 'all 1', 2, 'all 2', 3, 'all 3']);
    await clock.settle();
    expect(settledBy(server)).toEqual([]);
    done[1]?.();
    await clock.settle();
    expect(server.got('message_ack')).toEqual([{ type: 'message_ack', channel: 'news', event_id: 'e2' }]);
    done[0]?.();
    await clock.settle();
    expect(settledBy(server)).toEqual(['e2', 'e1']);
  });

  it('have one form', async () => {
    const { connect, subscribe } = setUpPush();
    const server = await connect();
    const shown: unknown[] = [];
    await subscribe('news', (each) => shown.push(each));
    server.say(again(7, { source: 'c2', timestamp: 5.5 }));
    expect(shown).toEqual([
      {
        channel: 'news',
        data: 7,
        eventId: 'e7',
        sequence: 7,
        source: 'c2',
        timestamp: 5.5,
        attempt: 2,
        redelivered: true,
      },
    ]);
  });

  it('P-5 are nacked when a handler throws, shown when they come again, and acked when it does not', async () => {
    const { connect, subscribe, errors, clock } = setUpPush();
    const server = await connect();
    let tries = 0;
    await subscribe('news', () => {
      if (++tries === 1) throw new Error('not now');
    });
    server.say(message(1));
    await clock.settle();
    expect(settledBy(server, 'message_nack')).toEqual(['e1']);
    expect(errors).toEqual([new Error('not now')]);
    server.say(again(1));
    await clock.settle();
    expect(tries).toBe(2);
    expect(settledBy(server)).toEqual(['e1']);
  });

  it('that were handled are acked when they come again, and not shown; those being handled are left alone', async () => {
    const { connect, subscribe, clock } = setUpPush();
    const server = await connect();
    let finish = (): void => {};
    const shown: unknown[] = [];
    await subscribe('news', ({ data }) => {
      shown.push(data);
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    server.say(message(1), again(1));
    await clock.settle();
    expect(shown).toEqual([1]);
    expect(settledBy(server)).toEqual([]);
    finish();
    await clock.settle();
    server.say(again(1));
    await clock.settle();
    expect(shown).toEqual([1]);
    expect(settledBy(server)).toEqual(['e1', 'e1']);
  });

  it('are remembered by 50,000 ids, the oldest forgotten', async () => {
    const { connect, subscribe, clock } = setUpPush();
    const server = await connect();
    let shown = 0;
    await subscribe('news', () => shown++);
    for (let sequence = 1; sequence <= 50_001; sequence++) server.say(message(sequence));
    await clock.settle();
    expect(shown).toBe(50_001);
    server.say(again(2), again(50_001));
    await clock.settle();
    expect(shown).toBe(50_001);
    server.say(again(1));
    await clock.settle();
    expect(shown).toBe(50_002);
  });

  it('that nobody listens for wait unacked, at most 1,000, and then come in order', async () => {
    const { client, connect, subscribe, clock, errors } = setUpPush();
    const server = await connect();
    await subscribe('news');
    for (let sequence = 1; sequence <= 1_002; sequence++) server.say(message(sequence));
    await clock.settle();
    expect(settledBy(server)).toEqual([]);
    expect(errors).toHaveLength(1);
    const shown: unknown[] = [];
    client.on('channel_message', ({ data }) => shown.push(data));
    await clock.settle();
    expect(shown).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
    server.say(again(1_001));
    expect(shown.at(-1)).toBe(1_001);
  });

  it('P-7 are not acked without delivery', async () => {
    const { connect, subscribe, clock } = setUpPush();
    const server = await connect();
    const shown: unknown[] = [];
    await subscribe('news', ({ data }) => shown.push(data), { delivery: false, since: 4, epoch: 'e1' });
    expect(server.got('channel.subscribe')[0]).toMatchObject({ delivery: false, since: 4, epoch: 'e1' });
    server.say(message(5));
    await clock.settle();
    expect(shown).toEqual([5]);
    expect(settledBy(server)).toEqual([]);
  });

  it('of an iterator count as handled when the next is asked for; what it was left with comes again', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    const server = await connect();
    const messages = client.on('channel_message');
    await subscribe('news');
    server.say(message(1), message(2), message(3));
    expect(await messages.next()).toMatchObject({ value: { data: 1 } });
    await clock.settle();
    expect(settledBy(server)).toEqual([]);
    expect(await messages.next()).toMatchObject({ value: { data: 2 } });
    await clock.settle();
    expect(settledBy(server)).toEqual(['e1']);
    await messages.return?.();
    await clock.settle();
    expect(settledBy(server)).toEqual(['e1']);
    expect(settledBy(server, 'message_nack')).toEqual([]);
    const shown: unknown[] = [];
    client.on('channel_message', ({ data }) => shown.push(data));
    server.say(again(2), again(3));
    expect(shown).toEqual([2, 3]);
  });

  it('of an iterator end with disconnect()', async () => {
    const { client, connect, clock } = setUpPush();
    await connect();
    const next = outcome(client.on('channel_message').next());
    const presence = outcome(client.on('presence_join').next());
    client.disconnect();
    await clock.settle();
    expect(next.settled).toEqual({ value: undefined, done: true });
    expect(presence.settled).toEqual({ value: undefined, done: true });
  });

  it('of a channel that was left are neither shown nor acked', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    const server = await connect();
    const shown: unknown[] = [];
    await subscribe('news', ({ data }) => shown.push(data));
    client.on('channel_message', ({ data }) => shown.push(data));
    const left = client.unsubscribe('news');
    server.say(message(1));
    await clock.settle();
    const [{ request_id } = {}] = server.got('channel.unsubscribe');
    server.say({ type: 'channel.unsubscribed', channel: 'news', ok: true, request_id });
    await left;
    expect(shown).toEqual([]);
    expect(settledBy(server)).toEqual([]);
  });
});

describe('a subscription', () => {
  it.each(['forbidden', 'push_disabled'])('that is refused with %s rejects its caller', async (code) => {
    const { client, connect, clock } = setUpPush();
    const server = await connect();
    const subscribed = outcome(client.subscribe('news'));
    await clock.settle();
    const [{ request_id } = {}] = server.got('channel.subscribe');
    server.say({ type: 'error', code, message: 'no', request_id });
    await clock.settle();
    expect(subscribed.settled).toMatchObject({ code });
    expect(client.isConnected).toBe(true);
  });

  it('P-3 is renewed with the last position that was seen, in one go, before anything else is sent', async () => {
    const { client, connect, subscribe, clock, server, greet } = setUpPush();
    const first = await connect();
    await subscribe('news', () => {});
    await subscribe('other', () => {});
    first.say(message(1), message(9));
    first.drop();
    const published = client.publish('news', 1);
    await clock.advance(1_000);
    await greet();
    const types = server().sent.map(({ type }) => type);
    expect(types).toEqual([
      'auth',
      'presence.heartbeat',
      'channel.subscribe',
      'channel.subscribe',
      'channel.publish',
    ]);
    expect(server().got('channel.subscribe')).toMatchObject([
      { channel: 'news', since: 9, epoch: 'e1' },
      { channel: 'other', since: 0, epoch: 'e1' },
    ]);
    published.catch(() => {});
  });

  it('that a server cannot renew now is asked for again', async () => {
    const { connect, subscribe, clock, greet, server } = setUpPush();
    await connect();
    await subscribe('news', () => {});
    server().drop();
    await clock.advance(1_000);
    await greet();
    const [{ request_id } = {}] = server().got('channel.subscribe');
    server().say({ type: 'error', code: 'unavailable', message: 'later', request_id });
    await clock.advance(2_000);
    expect(server().got('channel.subscribe')).toHaveLength(2);
  });

  it('P-9 that lost its position is told so, and goes on after it', async () => {
    const { client, connect, subscribe, clock, errors, greet, server } = setUpPush();
    const first = await connect();
    let shown = 0;
    await subscribe('news', () => shown++);
    const reset = { type: 'channel.reset', channel: 'news', reason: 'epoch', from: 3, to: 40, epoch: 'e2' };
    first.say(message(1));
    await clock.settle();
    first.say(reset);
    expect(errors).toMatchObject([{ code: 'channel.reset', details: { from: 3, to: 40 } }]);
    const told: unknown[] = [];
    client.on('channel.reset', (each) => told.push(each));
    first.say(reset);
    expect(told).toEqual([reset]);
    expect(errors).toHaveLength(1);
    first.say(message(1));
    expect(shown, 'an id of the old epoch is another message in the new one').toBe(2);
    first.drop();
    await clock.advance(1_000);
    await greet();
    expect(server().got('channel.subscribe')).toMatchObject([{ since: 40, epoch: 'e2' }]);
  });

  it('leaves its handlers behind when it is given up', async () => {
    const { client, connect, subscribe } = setUpPush();
    const server = await connect();
    const shown: unknown[] = [];
    await subscribe('news', () => shown.push('first'));
    client.unsubscribe('news').catch(() => {});
    await subscribe('news', () => shown.push('second'));
    server.say(message(1));
    expect(shown).toEqual(['second']);
  });

  it('is not renewed once it was given up, and the gateway is told when it is back', async () => {
    const { client, connect, subscribe, clock, greet, server } = setUpPush();
    await connect();
    await subscribe('news', () => {});
    server().drop();
    await client.unsubscribe('news');
    await clock.advance(1_000);
    await greet();
    expect(server().got('channel.subscribe')).toEqual([]);
    expect(server().got('channel.unsubscribe')).toMatchObject([{ channel: 'news' }]);
  });
});

describe('a publication', () => {
  it('P-2 is sent again, as the same, until it is answered', async () => {
    const { client, connect, clock, greet, server } = setUpPush();
    const first = await connect();
    const published = client.publish('news', { a: 1 });
    await clock.settle();
    const [sent] = first.got('channel.publish');
    first.drop();
    await clock.advance(1_000);
    await greet();
    expect(server().got('channel.publish')).toEqual([sent]);
    server().say({ ...sent, type: 'channel.published', delivered: 2, sequence: 17 });
    expect(await published).toEqual({ eventId: sent?.event_id, sequence: 17, delivered: 2 });
  });

  it('is sent again with a new token when the old one is over', async () => {
    let calls = 0;
    const { client, clock, greet, server } = setUpPush({ authToken: () => `t${++calls}` });
    const connected = client.connect();
    await clock.settle();
    const first = await greet();
    await connected;
    const published = outcome(client.publish('news', 1));
    await clock.settle();
    const [sent] = first.got('channel.publish');
    first.say({ type: 'error', code: 'unauthorized', message: 'over', request_id: sent?.request_id });
    await clock.advance(1_000);
    await greet();
    expect(published.settled).toBeUndefined();
    expect(server().got('channel.publish')).toEqual([sent]);
    expect(server().sent[0]).toMatchObject({ token: 't2' });
  });

  it('waits for a connection, and is over with it', async () => {
    const { client, connect, server, clock } = setUpPush();
    const published = outcome(client.publish('news', 1, { eventId: 'mine' }));
    await connect();
    expect(server().got('channel.publish')).toMatchObject([{ event_id: 'mine' }]);
    client.disconnect();
    await clock.settle();
    expect(published.settled).toBeInstanceOf(ConnectionError);
  });

  it('above what a gateway takes is refused before it is sent', async () => {
    const { client, connect, server } = setUpPush();
    await connect();
    await expect(client.publish('news', 'x'.repeat(1_048_577))).rejects.toMatchObject({ code: 'too_large' });
    expect(server().got('channel.publish')).toEqual([]);
  });
});

describe('presence', () => {
  it('has the status that was set last also after a reconnect', async () => {
    const { client, connect, clock, greet, server } = setUpPush();
    const first = await connect();
    const set = client.setStatus('busy', { until: 5 });
    await clock.settle();
    const { request_id } = first.got('presence.heartbeat').at(-1) ?? {};
    first.say({ type: 'presence.heartbeat_ack', ok: true, request_id });
    await set;
    first.drop();
    await clock.advance(1_000);
    await greet();
    expect(server().got('presence.heartbeat')).toMatchObject([{ status: 'busy', metadata: { until: 5 } }]);
    await clock.advance(15_000);
    expect(server().got('presence.heartbeat')[1]).not.toHaveProperty('status');
  });

  it('comes as a list, and under both names of the event', async () => {
    const { client, connect, clock } = setUpPush();
    const server = await connect();
    const told: unknown[] = [];
    client.on('presence.list', ({ clients }) => told.push(clients));
    client.on('presence_list', ({ clients }) => told.push(clients));
    const asked = client.getPresence('news');
    await clock.settle();
    const [{ request_id, channel } = {}] = server.got('presence.query');
    expect(channel).toBe('news');
    const list = [{ client_id: 'c2', status: 'online' }];
    server.say({ type: 'presence.list', channel, presence: list, clients: list, total: 1, request_id });
    expect(await asked).toEqual(list);
    expect(told).toEqual([list, list]);
  });

  it('of a batch is told change by change', async () => {
    const { client, connect } = setUpPush();
    const server = await connect();
    const told: unknown[] = [];
    for (const type of ['presence_join', 'presence_update', 'presence_leave'] as const)
      client.on(type, (each) => told.push(each));
    const data = { client_id: 'c2', status: 'online', metadata: {} };
    server.say({
      type: 'presence_batch',
      channel: 'news',
      changes: [
        { type: 'presence_join', data },
        { type: 'presence_leave', data },
      ],
    });
    expect(told).toEqual([
      { type: 'presence_join', channel: 'news', data },
      { type: 'presence_leave', channel: 'news', data },
    ]);
  });
});

describe('another request', () => {
  it('is answered, or rejected with the error of the gateway', async () => {
    const { client, connect, clock } = setUpPush();
    const server = await connect();
    const history = client.request({ type: 'channel.history', channel: 'news', since: 4 });
    const redrive = outcome(client.request({ type: 'channel.redrive', channel: 'news' }));
    await clock.settle();
    const [asked] = server.got('channel.history');
    expect(asked).toMatchObject({ channel: 'news', since: 4 });
    server.say({ type: 'channel.history', messages: [], more: false, request_id: asked?.request_id });
    expect(await history).toMatchObject({ messages: [], more: false });
    const request_id = server.got('channel.redrive')[0]?.request_id;
    server.say({ type: 'error', code: 'not_found', message: 'no', request_id });
    await clock.settle();
    expect(redrive.settled).toBeInstanceOf(GatewayError);
  });
});

describe('the end', () => {
  it('P-10 of a client that another one took over from is final', async () => {
    const { client, connect, ends, clock, states } = setUpPush();
    const server = await connect();
    const closed = outcome(client.waitClosed());
    server.socket.onclose?.({ code: 4409, reason: 'taken_over' });
    await clock.advance(120_000);
    expect(closed.settled).toMatchObject({ code: 'taken_over' });
    expect(ends).toHaveLength(1);
    expect(states.at(-1)).toBe('disconnected');
  });

  it('is what waitClosed() waits for; channels are renewed by the next connect()', async () => {
    const { client, connect, subscribe, clock, server, greet } = setUpPush();
    await connect();
    await subscribe('news', () => {});
    const closed = outcome(client.waitClosed());
    client.disconnect();
    await clock.settle();
    expect(closed.settled).toBe('resolved');
    await client.waitClosed();
    const connected = client.connect();
    await greet();
    await connected;
    expect(server().got('channel.subscribe')).toMatchObject([{ channel: 'news' }]);
  });

  it('comes after maxReconnectAttempts, and rejects what waits', async () => {
    const { client, clock, server, states } = setUpPush({
      maxReconnectAttempts: 1,
      fallbackToPolling: false,
    });
    const connected = outcome(client.connect());
    const subscribed = outcome(client.subscribe('news'));
    server().drop();
    await clock.advance(1_000);
    server().drop();
    await clock.settle();
    expect(connected.settled).toBeInstanceOf(ConnectionError);
    expect(subscribed.settled).toBeInstanceOf(ConnectionError);
    expect(states).toEqual(['connecting', 'reconnecting', 'disconnected']);
  });
});
