import { describe, expect, it } from 'vitest';
import { outcome } from '../test/client.ts';
import { again, agree, message, settledBy, setUpPush } from '../test/push.ts';

const REGISTERED = { client_id: 'c1', poll_token: 'p1' };
const batch = (messages: readonly object[], cursor = 'k1') => ({ messages, poll_interval_hint: 0, cursor });

describe('the fallback', () => {
  it('polls at once where upgrades are refused', async () => {
    const { client, last, poll, asked } = setUpPush({
      url: 'wss://there:8765/deep/ws?token=t%2B1',
    });
    await poll();
    expect(client.transportName).toBe('polling');
    expect(last('register').path).toBe('https://there:8765/deep/api/push/poll/register');
    expect(last('register').body).toEqual({ client_id: 'c1', auth_token: 't+1' });
    expect(last('messages').body).toMatchObject({ poll_token: 'p1' });
    expect(asked.filter(({ path }) => path.includes('/ws'))).toEqual([]);
  });

  it('polls after 2,500 ms where an upgrade is swallowed, and hangs the socket up after 10 s', async () => {
    const { client, clock, last, of, server } = setUpPush();
    const connected = client.connect();
    await clock.advance(2_499);
    expect(of('register')).toEqual([]);
    await clock.advance(1);
    await last('register').answer(REGISTERED);
    await connected;
    expect(client.transportName).toBe('polling');
    expect(server().isClosed).toBe(false);
    await clock.advance(7_500);
    expect(server().isClosed).toBe(true);
    expect(client.isConnected).toBe(true);
  });

  it('takes a socket that greets late, and none that greets after it was hung up', async () => {
    const { client, clock, last, greet, of } = setUpPush();
    const connected = client.connect();
    await clock.advance(2_500);
    await last('register').answer(REGISTERED);
    await connected;
    await clock.advance(3_000);
    await greet();
    expect(client.transportName).toBe('websocket');
    expect(of('messages').every(({ isAborted }) => isAborted)).toBe(true);
  });

  it('is not taken where it is off', async () => {
    const { client, clock, of, server, states } = setUpPush({ fallbackToPolling: false });
    client.connect().catch(() => {});
    server().drop();
    await clock.settle();
    expect(of('register')).toEqual([]);
    expect(states.at(-1)).toBe('reconnecting');
  });

  it('is not taken when the gateway itself closed, with its reason', async () => {
    const { client, clock, of, server } = setUpPush();
    const connected = outcome(client.connect());
    server().open();
    server().socket.onclose?.({ code: 4403, reason: 'forbidden' });
    await clock.settle();
    expect(connected.settled).toMatchObject({ code: 'forbidden' });
    expect(of('register')).toEqual([]);
  });

  it('that is refused is no end: polling may be off while the WebSocket is away', async () => {
    const { client, clock, last, greet, refuseSockets } = setUpPush();
    refuseSockets(1);
    const connected = client.connect();
    await clock.settle();
    await last('register').refuse(403, 'push_disabled');
    await clock.advance(1_000);
    await greet();
    await connected;
    expect(client.transportName).toBe('websocket');
  });

  it('that refuses the token is the end', async () => {
    const { client, clock, last, refuseSockets } = setUpPush({ authToken: 'old' });
    refuseSockets(1);
    const connected = outcome(client.connect());
    await clock.settle();
    await last('register').refuse(401, 'unauthorized');
    expect(connected.settled).toMatchObject({ name: 'UnauthorizedError' });
  });

  it('that is down while a slow socket is tried waits for it', async () => {
    const { client, clock, last, greet, ends } = setUpPush();
    const connected = client.connect();
    await clock.advance(2_500);
    await last('register').answer('a page of a proxy', 502);
    await clock.advance(1_000);
    await greet();
    await connected;
    expect(ends).toHaveLength(1);
    expect(client.transportName).toBe('websocket');
  });

  it('tries a WebSocket again every 60 s, and on every reconnect', async () => {
    const { client, clock, ends, poll, refuseSockets, last, of } = setUpPush();
    await poll();
    refuseSockets(1);
    await clock.advance(20_000);
    await last('messages').answer(batch([]));
    await clock.advance(20_000);
    await last('messages').answer(batch([]));
    expect(ends).toHaveLength(1);
    await clock.advance(20_000);
    expect(ends).toHaveLength(2);
    expect(client.transportName).toBe('polling');
    refuseSockets(1);
    await last('messages').refuse(401, 'unauthorized');
    await clock.advance(1_000);
    expect(ends).toHaveLength(3);
    expect(of('register')).toHaveLength(2);
  });
});

describe('the return to a WebSocket', () => {
  it('P-3 loses nothing, doubles nothing, and answers the publications under way', async () => {
    const world = setUpPush();
    const { client, clock, poll, last, of, greet, server } = world;
    await poll();
    const shown: unknown[] = [];
    const subscribed = client.subscribe('news', ({ data }) => shown.push(data));
    await clock.settle();
    await last('subscribe').answer({ ok: true, channel: 'news' });
    await subscribed;
    await last('messages').answer(batch([message(1), message(2)]));
    expect(shown).toEqual([1, 2]);
    await clock.advance(59_000);
    const published = client.publish('news', 'mine');
    await clock.settle();
    const parked = last('messages');
    await clock.advance(60_000 - clock.now());
    const socket = await greet();
    expect(client.transportName).toBe('websocket');
    expect(parked.isAborted).toBe(true);
    expect(of('deregister')).toEqual([]);
    const types = socket.sent.map(({ type }) => type);
    expect(types).toEqual(['auth', 'presence.heartbeat', 'channel.subscribe', 'channel.publish', 'ping']);
    expect(socket.got('channel.subscribe')).toMatchObject([{ channel: 'news', since: 2 }]);
    agree(socket, { cursor: 0 });
    socket.say(again(1), again(2), message(3), { type: 'pong' });
    await clock.settle();
    expect(shown).toEqual([1, 2, 3]);
    expect(settledBy(socket)).toEqual(['e1', 'e2', 'e3']);
    expect(of('deregister')).toMatchObject([{ body: { poll_token: 'p1' } }]);
    const [sent] = socket.got('channel.publish');
    expect(sent?.event_id).toBe(of('publish')[0]?.body.event_id);
    socket.say({ ...sent, type: 'channel.published', delivered: 1, sequence: 4 });
    expect(await published).toMatchObject({ sequence: 4 });
    expect(server()).toBe(socket);
    expect(world.states).toEqual(['connecting', 'connected']);
  });

  it('hears nothing of the poll any more', async () => {
    const { client, clock, poll, last, greet } = setUpPush();
    await poll();
    const shown: unknown[] = [];
    client.on('channel_message', ({ data }) => shown.push(data));
    const parked = last('messages');
    await clock.advance(60_000);
    await greet();
    await parked.answer(batch([message(1)]));
    expect(shown).toEqual([]);
  });

  it('is no end when its own last poll took the channels away', async () => {
    const { client, clock, poll, greet, ends, refuseSockets } = setUpPush();
    await poll();
    await clock.advance(60_000);
    const socket = await greet();
    refuseSockets(0);
    socket.socket.onclose?.({ code: 4409, reason: 'taken_over' });
    await clock.advance(1_000);
    await greet();
    expect(client.isConnected).toBe(true);
    expect(ends).toHaveLength(3);
    await clock.advance(10_000);
    ends.at(-1)?.socket.onclose?.({ code: 4409, reason: 'taken_over' });
    expect(client.state).toBe('disconnected');
  });
});

describe('a client whose connection broke', () => {
  it('P-10 comes back when what it left behind takes the channels away, and ends when another does', async () => {
    const { client, clock, greet, connect } = setUpPush();
    const first = await connect();
    first.socket.onclose?.({ code: 1006, reason: '' });
    await clock.advance(2_000);
    const second = await greet();
    second.socket.onclose?.({ code: 4409, reason: 'taken_over' });
    expect(client.state).toBe('reconnecting');
    await clock.advance(3_000);
    const third = await greet();
    await clock.advance(10_000);
    third.socket.onclose?.({ code: 4409, reason: 'taken_over' });
    expect(client.state).toBe('disconnected');
  });
});

describe('a client that moved to a WebSocket', () => {
  it('P-10 ends when another takes over later than its last poll could', async () => {
    const { client, clock, poll, greet } = setUpPush();
    await poll();
    await clock.advance(60_000);
    const socket = await greet();
    await clock.advance(10_000);
    socket.socket.onclose?.({ code: 4409, reason: 'taken_over' });
    expect(client.state).toBe('disconnected');
  });
});

describe('polling', () => {
  it('waits with the next poll for a subscription under way, which would end it', async () => {
    const { client, clock, poll, last, of } = setUpPush();
    await poll();
    client.subscribe('news').catch(() => {});
    await clock.settle();
    await last('messages').answer(batch([]));
    await clock.settle();
    expect(of('messages')).toHaveLength(1);
    await last('subscribe').answer({ ok: true, channel: 'news' });
    await clock.settle();
    expect(of('messages')).toHaveLength(2);
  });

  it('turns frames into requests, in order, and their answers into frames', async () => {
    const { client, clock, poll, last, of } = setUpPush();
    await poll();
    const first = client.publish('news', 1);
    const second = client.publish('news', 2);
    await clock.settle();
    expect(of('publish')).toHaveLength(1);
    await last('publish').answer({ ok: true, sequence: 8 });
    await last('publish').answer({ ok: true, sequence: 9 });
    expect(await first).toMatchObject({ sequence: 8, delivered: 0 });
    expect(await second).toMatchObject({ sequence: 9 });
    expect(of('publish')[1]?.body).toMatchObject({ poll_token: 'p1', channel: 'news', data: 2 });
    const presence = client.getPresence('news');
    await clock.settle();
    expect(Object.fromEntries(last('presence').query)).toEqual({ poll_token: 'p1', channel: 'news' });
    await last('presence').answer({ presence: [{ client_id: 'c2' }] });
    expect(await presence).toEqual([{ client_id: 'c2' }]);
    const history = outcome(client.request({ type: 'channel.history', channel: 'news' }));
    await clock.settle();
    expect(history.settled).toMatchObject({ code: 'wrong_door' });
  });

  it('rejects a request with the error of the gateway', async () => {
    const { client, clock, poll, last } = setUpPush();
    await poll();
    const subscribed = outcome(client.subscribe('secret'));
    await clock.settle();
    await last('subscribe').refuse(403, 'forbidden');
    expect(subscribed.settled).toMatchObject({ code: 'forbidden' });
    expect(client.isConnected).toBe(true);
  });

  it('P-13 asks again with the cursor of the last answer, and acks what was handled', async () => {
    const { client, clock, poll, last, of } = setUpPush();
    await poll();
    client.on('channel_message', () => {});
    await last('messages').answer(batch([message(1)], 'k7'));
    await clock.settle();
    expect(of('messages')).toHaveLength(2);
    expect(last('messages').body).toMatchObject({ cursor: 'k7' });
    expect(of('ack')).toMatchObject([{ body: { poll_token: 'p1', channel: 'news', event_id: 'e1' } }]);
  });

  it('P-14 asks again with the cursor it has when an answer is torn', async () => {
    const { client, clock, poll, last, of } = setUpPush();
    await poll();
    const shown: unknown[] = [];
    client.on('channel_message', ({ data }) => shown.push(data));
    await last('messages').answer(batch([message(1)], 'k1'));
    await last('messages').tear();
    await clock.settle();
    expect(of('messages')).toHaveLength(3);
    expect(last('messages').body).toMatchObject({ cursor: 'k1' });
    await last('messages').answer(batch([again(1), again(2)], 'k2'));
    expect(shown).toEqual([1, 2]);
    expect(client.isConnected).toBe(true);
  });

  it('that fails over and over is left, after pauses, to the back-off', async () => {
    const { client, clock, poll, last, of, refuseSockets } = setUpPush();
    await poll();
    refuseSockets(9);
    for (let failures = 0; client.isConnected && failures < 20; failures++) {
      await last('messages').tear();
      await clock.advance(500);
    }
    expect(of('messages')).toHaveLength(4);
    expect(client.state).toBe('reconnecting');
  });

  it('P-12 registers anew, with back-off, when its token is not known any more', async () => {
    const { client, clock, poll, last, of, refuseSockets } = setUpPush();
    await poll();
    for (let round = 0; round < 5; round++) {
      refuseSockets(1);
      await last('messages').refuse(401, 'unauthorized');
      expect(client.isConnected).toBe(false);
      await clock.advance(1_000 * 2 ** round);
      await last('register').answer(REGISTERED);
      expect(client.isConnected).toBe(true);
      expect(of('register')).toHaveLength(round + 2);
    }
  });

  it.each([
    [401, 'unauthorized'],
    [503, 'draining'],
  ])('sends what was not answered again after %d %s', async (status, code) => {
    const { client, clock, poll, last, of, refuseSockets } = setUpPush();
    await poll();
    const published = client.publish('news', 1);
    await clock.settle();
    refuseSockets(1);
    await last('publish').refuse(status, code);
    await clock.advance(1_000);
    await last('register').answer({ ...REGISTERED, poll_token: 'p2' });
    expect(last('publish').body).toEqual({ ...of('publish')[0]?.body, poll_token: 'p2' });
    await last('publish').answer({ ok: true, sequence: 3 });
    expect(await published).toMatchObject({ sequence: 3 });
  });

  it('does not spin where a gateway answers at once and empty', async () => {
    const { clock, poll, last, of } = setUpPush();
    await poll();
    for (let round = 0; round < 100; round++) {
      await last('messages').answer(batch([]));
      await clock.advance(100);
    }
    expect(of('messages').length).toBeLessThan(20);
  });

  it('P-10 ends for good when its answer says that another took over, after its messages', async () => {
    const { client, clock, ends, poll, last, of } = setUpPush();
    await poll();
    const shown: unknown[] = [];
    client.on('channel_message', ({ data }) => shown.push(data));
    await last('messages').answer({ ...batch([message(1)]), taken_over: true });
    await clock.advance(120_000);
    expect(shown).toEqual([1]);
    expect(client.state).toBe('disconnected');
    expect(of('messages')).toHaveLength(1);
    expect(ends).toHaveLength(1);
    await expect(client.waitClosed()).rejects.toMatchObject({ code: 'taken_over' });
  });

  it('gives a poll up that was swallowed, and polls again', async () => {
    const { clock, poll, last, of } = setUpPush();
    await poll();
    const swallowed = last('messages');
    await clock.advance(36_000);
    expect(swallowed.isAborted).toBe(true);
    expect(of('messages')).toHaveLength(2);
  });

  it('P-12 deregisters on disconnect()', async () => {
    const { client, clock, poll, last } = setUpPush();
    await poll();
    const parked = last('messages');
    client.disconnect();
    await clock.settle();
    expect(parked.isAborted).toBe(true);
    expect(last('deregister').body).toEqual({ poll_token: 'p1' });
  });
});
