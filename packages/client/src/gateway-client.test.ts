import { ERRORS } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { event, events, joined, outcome, read, setUp } from '../test/client.ts';
import { ConnectionError, GatewayError, VersionUnsupportedError } from './errors.ts';

const STATE = { session_id: 's1', agent_id: 'echo', state: 'idle', messages: [], event_cursor: 44 };

describe('connecting', () => {
  it('G-3 joins the agent with all that it is, and nothing else', async () => {
    const { join } = setUp({ token: 'secret', clientId: 'phone' });
    const server = await join();
    expect(server.sent).toEqual([
      { type: 'join', agent_id: 'echo', min_version: 1, max_version: 1, token: 'secret', client_id: 'phone' },
    ]);
  });

  it.each([
    ['ws://there:8765', 'ws://there:8765'],
    ['wss://there/http:', 'wss://there/http:'],
    ['http://there:8765/', 'ws://there:8765/'],
    ['https://there', 'wss://there'],
  ])('takes %s for %s', (url, dialed) => {
    const { client, server } = setUp({ url });
    void client.connect();
    expect(server().url).toBe(dialed);
  });

  it('resolves when the session is joined, and not before', async () => {
    const { client, server, clock } = setUp();
    const connecting = outcome(client.connect());
    server().open();
    await clock.settle();
    expect(connecting.settled).toBeUndefined();
    expect(client.position).toBeNull();
    server().say(joined({ cursor: 7 }));
    await clock.settle();
    expect(connecting.settled).toBe('resolved');
    expect(client.state).toBe('connected');
    expect(client.joined).toMatchObject({ session_id: 's1', cursor: 7 });
    expect(client.position).toEqual({ sessionId: 's1', cursor: 7, epoch: 'e1' });
  });

  it('dials once, however often it is asked to', async () => {
    const { client, join, ends } = setUp();
    const calls = [client.connect(), client.connect()];
    await join();
    await Promise.all([...calls, client.connect()]);
    expect(ends).toHaveLength(1);
  });

  it('waits for a server that is not there yet', async () => {
    const { client, server, join, ends, clock } = setUp();
    const connecting = outcome(client.connect());
    for (let failed = 0; failed < 3; failed++) {
      server().drop();
      await clock.step();
    }
    expect(connecting.settled).toBeUndefined();
    await join();
    expect(connecting.settled).toBe('resolved');
    expect(ends).toHaveLength(4);
  });

  it('G-4 rejects when the versions do not meet, and never dials again', async () => {
    const { client, server, ends, clock, states } = setUp();
    const connecting = outcome(client.connect());
    server().open();
    server().say({
      type: 'error',
      code: 'version_unsupported',
      message: 'Update the older side.',
      server_min_version: 2,
      server_max_version: 3,
    });
    server().drop(4426);
    await clock.advance(3_600_000);
    expect(connecting.settled).toBeInstanceOf(VersionUnsupportedError);
    expect(connecting.settled).toMatchObject({ serverMinVersion: 2, serverMaxVersion: 3 });
    expect(ends).toHaveLength(1);
    expect(clock.timers).toBe(0);
    expect(states).toEqual(['connecting', 'disconnected']);
  });

  it.each(Object.entries(ERRORS))(
    'L-11 a join refused with %s is retried by the rule: %o',
    async (code, { retry }) => {
      const { client, server, ends, clock } = setUp();
      const connecting = outcome(client.connect());
      server().open();
      server().say({ type: 'error', code, message: 'No.' });
      await clock.advance(60_000);
      const final = retry === 'never' || retry === 'with-new-token';
      if (final) {
        expect(connecting.settled).toBeInstanceOf(GatewayError);
        expect(connecting.settled).toMatchObject({ code, message: 'No.' });
      }
      expect(ends.length > 1).toBe(!final);
    },
  );

  it('rejects when the attempts run out', async () => {
    const { client, server, ends, clock } = setUp({ maxReconnectAttempts: 3 });
    const connecting = outcome(client.connect());
    for (let failed = 0; failed < 4; failed++) {
      expect(connecting.settled).toBeUndefined();
      server().drop();
      await clock.step();
    }
    expect(connecting.settled).toBeInstanceOf(ConnectionError);
    expect(ends).toHaveLength(4);
    expect(client.state).toBe('disconnected');
  });

  it('rejects at the first failure where reconnect is off', async () => {
    const { client, server, ends, clock } = setUp({ reconnect: false });
    const connecting = outcome(client.connect());
    server().drop();
    await clock.advance(3_600_000);
    expect(connecting.settled).toBeInstanceOf(ConnectionError);
    expect(ends).toHaveLength(1);
  });

  it('rejects on disconnect(), and can be tried again with nothing left of an old refusal', async () => {
    const { client, server, join, clock } = setUp();
    void client.connect();
    server().open();
    server().say({ type: 'error', code: 'agent_not_found', message: 'No such agent.' });
    const connecting = outcome(client.connect());
    client.disconnect();
    await clock.settle();
    expect(connecting.settled).toBeInstanceOf(ConnectionError);
    await join();
    expect(client.state).toBe('connected');
  });

  it.each([Number.NaN, -1])('does not take %d for the number of attempts', (maxReconnectAttempts) => {
    expect(() => setUp({ maxReconnectAttempts })).toThrow(/maxReconnectAttempts/);
  });

  it('checks its backoff when it is made', () => {
    expect(() => setUp({ backoff: { maxMs: 10 } })).toThrow(/backoff\.maxMs/);
  });
});

describe('coming back', () => {
  it('G-11 presents its session and its position', async () => {
    const { join, comeBack } = setUp({ token: 'secret' });
    (await join()).say(...events(1, 3));
    const server = await comeBack();
    expect(server.got('join')).toEqual([
      {
        type: 'join',
        agent_id: 'echo',
        min_version: 1,
        max_version: 1,
        token: 'secret',
        session_id: 's1',
        since: 3,
        epoch: 'e1',
      },
    ]);
  });

  it('G-11 hands each event over once and in order', async () => {
    const { client, clock, join, comeBack } = setUp();
    const { seen } = read(client);
    (await join()).say(...events(1, 3));
    (await comeBack()).say(...events(2, 5));
    (await comeBack()).say(event(6), event(6));
    await clock.settle();
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('G-11 says in which state it is', async () => {
    const { client, join, comeBack, server, clock, states } = setUp();
    await join();
    await comeBack();
    server().drop();
    await clock.advance(1_000);
    server().drop();
    client.disconnect();
    expect(states).toEqual([
      'connecting',
      'connected',
      'reconnecting',
      'connected',
      'reconnecting',
      'disconnected',
    ]);
  });

  it('resolves a connect() of that time when it is back, and not before', async () => {
    const { client, join, server, clock } = setUp();
    await join();
    server().drop();
    const connecting = outcome(client.connect());
    await clock.step();
    expect(connecting.settled).toBeUndefined();
    await join();
    expect(connecting.settled).toBe('resolved');
  });

  it('does not hear the close of a socket that it left', async () => {
    const { client, join, clock, ends, server, states } = setUp();
    const { socket } = await join();
    const { onclose } = socket;
    await clock.advance(40_000); // silent: it is left
    await clock.advance(1_000);
    server().open();
    server().say(joined());
    onclose?.({ code: 1000, reason: 'late' });
    expect(client.state).toBe('connected');
    expect(ends).toHaveLength(2);
    expect(states).toEqual(['connecting', 'connected', 'reconnecting', 'connected']);
  });

  it('G-10 goes on where another client left', async () => {
    const { client, server, clock } = setUp();
    const { seen } = read(client);
    const resumed = outcome(client.resume({ sessionId: 's1', cursor: 41, epoch: 'e1' }));
    server().open();
    expect(server().sent).toMatchObject([{ type: 'join', session_id: 's1', since: 41, epoch: 'e1' }]);
    server().say(joined({ cursor: 41, head: 42 }), event(42));
    await clock.settle();
    expect(resumed.settled).toBe('resolved');
    expect(seen).toEqual([42]);
  });

  it('G-13 goes on where another client left also when it is connected already', async () => {
    const { client, join, clock } = setUp();
    const { seen } = read(client);
    const server = await join();
    const resumed = outcome(client.resume({ sessionId: 's2', cursor: 5 }));
    expect(server.got('join').at(-1)).toMatchObject({ session_id: 's2', since: 5 });
    server.say(event(6), joined({ session_id: 's2', cursor: 5 }), event(6));
    await clock.settle();
    expect(resumed.settled).toBe('resolved');
    expect(seen).toEqual([6]);
  });

  it('G-13 has everything sent again by resync(), and takes nothing of the old feed meanwhile', async () => {
    const { client, join, clock, ends } = setUp();
    const { seen } = read(client);
    const server = await join();
    server.say(...events(1, 3));
    client.resync();
    server.say(event(4));
    expect(server.got('join').at(-1)).toMatchObject({ session_id: 's1', since: 0 });
    server.say(joined({ head: 4 }), ...events(1, 4));
    await clock.settle();
    expect(seen).toEqual([1, 2, 3, 1, 2, 3, 4]);
    expect(ends).toHaveLength(1);
  });

  it('G-13 has everything sent again when it is back, where resync() was called while it was away', async () => {
    const { client, join, server, clock } = setUp();
    (await join()).say(...events(1, 3));
    server().drop();
    client.resync();
    await clock.advance(1_000);
    server().open();
    expect(server().got('join')).toMatchObject([{ since: 0 }]);
  });

  it('G-13 has everything sent again also where resync() came between the join and its answer', async () => {
    const { client, join, server, clock } = setUp();
    (await join()).say(...events(1, 3));
    server().drop();
    await clock.advance(1_000);
    server().open();
    client.resync();
    server().say(joined({ cursor: 3 }));
    expect(server().got('join').at(-1)).toMatchObject({ since: 0 });
  });
});

describe('what is lost', () => {
  it('G-12 is asked for on the same socket, without a word to the handler', async () => {
    const { client, join, clock, ends, gaps } = setUp();
    const { seen } = read(client);
    const server = await join();
    server.say(event(1), event(3), event(4));
    expect(server.got('join').slice(1)).toMatchObject([{ session_id: 's1', since: 1 }]);
    server.say(joined({ cursor: 1, head: 4 }), ...events(2, 5));
    await clock.settle();
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(gaps).toEqual([]);
    expect(ends).toHaveLength(1);
  });

  it('G-12 reaches onGap when the server cannot give it', async () => {
    const { client, join, clock, gaps } = setUp();
    const { seen } = read(client);
    const server = await join();
    server.say(event(1), event(4), joined({ cursor: 1, head: 4 }), event(4), event(5));
    await clock.settle();
    expect(gaps).toEqual([[2, 4]]);
    expect(seen.filter((each) => typeof each === 'number')).toEqual([1, 4, 5]);
    expect(seen).toHaveLength(4);
  });

  it('G-10 is replaced by the whole session', async () => {
    const { client, join, clock, gaps } = setUp();
    const { seen, whole } = read(client);
    const server = await join();
    server.say(event(1), { type: 'snapshot', reason: 'trimmed', epoch: 'e2', state: STATE }, event(45));
    await clock.settle();
    expect(seen).toEqual([1, 'trimmed', 45]);
    expect(whole[1]).toEqual({ type: 'snapshot', data: STATE, reason: 'trimmed' });
    expect(gaps).toEqual([[2, 45]]);
    expect(client.position).toEqual({ sessionId: 's1', cursor: 45, epoch: 'e2' });
  });

  it('G-10 is shown when the server has given it a new session', async () => {
    const { client, join, comeBack, clock, gaps } = setUp();
    const { seen, whole } = read(client);
    (await join()).say(...events(1, 3));
    const server = await comeBack({ session_id: 's2', resumed: false, cursor: 0 });
    server.say(event(1));
    await clock.settle();
    expect(seen).toEqual([1, 2, 3, 'session', 1]);
    expect(whole[3]).toEqual({ type: 'snapshot', data: null, reason: 'session' });
    expect(gaps).toEqual([[4, 1]]);
    expect(client.sessionId).toBe('s2');
  });
});
