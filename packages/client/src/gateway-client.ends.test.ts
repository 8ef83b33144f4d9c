import { describe, expect, it } from 'vitest';
import { event, events, joined, outcome, read, setUp } from '../test/client.ts';
import { AgentNotFoundError, ConnectionError } from './errors.ts';

describe('events() after an end that nobody listened to', () => {
  it('reads the next connection', async () => {
    const { client, join, clock } = setUp();
    await join();
    client.disconnect();
    const server = await join();
    const { seen } = read(client);
    server.say(event(1));
    await clock.settle();
    expect(seen).toEqual([1]);
  });

  it('has nothing of an old error', async () => {
    const { client, join, server, clock } = setUp({ reconnect: false });
    const failing = outcome(client.connect());
    server().drop();
    await clock.settle();
    expect(failing.settled).toBeInstanceOf(ConnectionError);
    await join();
    const { seen, done } = read(client);
    const reading = outcome(done);
    server().say(event(1));
    await clock.settle();
    expect([seen, reading.settled]).toEqual([[1], undefined]);
  });

  it('also gets what came before the end: the server will not send it again', async () => {
    const { client, join, clock } = setUp();
    (await join()).say(...events(1, 2));
    client.disconnect();
    const server = await join({ cursor: 2 });
    expect(server.got('join')).toMatchObject([{ since: 2 }]);
    server.say(event(3));
    const { seen } = read(client);
    await clock.settle();
    expect(seen).toEqual([1, 2, 3]);
  });
});

describe('a call after the end', () => {
  it('is rejected with the reason of the end', async () => {
    const { client, server, join, clock } = setUp();
    const connecting = outcome(client.connect());
    server().open();
    server().say({ type: 'error', code: 'agent_not_found', message: 'No such agent.' });
    const calls = [client.send('hi'), client.approve('a', true), client.abort()].map(outcome);
    await clock.settle();
    expect(connecting.settled).toBeInstanceOf(AgentNotFoundError);
    for (const { settled } of calls) expect(settled).toBe(connecting.settled);
    expect((await join()).got('message')).toEqual([]);
  });

  it('is rejected after disconnect(), also where it was never connected', async () => {
    for (const isJoined of [true, false]) {
      const { client, join } = setUp();
      if (isJoined) await join();
      client.disconnect();
      await expect(client.send('hi')).rejects.toThrow(ConnectionError);
    }
  });

  it('waits once connect() is called again', async () => {
    const { client, join } = setUp();
    client.disconnect();
    const connecting = join();
    const sending = outcome(client.send('hi'));
    expect((await connecting).got('message')).toHaveLength(1);
    expect(sending.settled).toBeUndefined();
  });
});

describe('the signal of one connect()', () => {
  it('ends that call alone where another waits', async () => {
    const { client, server, clock } = setUp();
    const stop = new AbortController();
    const first = outcome(client.connect());
    const second = outcome(client.connect({ signal: stop.signal }));
    stop.abort(new Error('enough'));
    await clock.settle();
    expect([first.settled, second.settled]).toEqual([undefined, new Error('enough')]);
    server().open();
    server().say(joined());
    await clock.settle();
    expect(first.settled).toBe('resolved');
  });

  it('ends the connection with the last call that waits', async () => {
    const { client, clock } = setUp();
    const stops = [new AbortController(), new AbortController()];
    const calls = stops.map(({ signal }) => outcome(client.connect({ signal })));
    stops[0]?.abort();
    expect(client.state).toBe('connecting');
    stops[1]?.abort();
    await clock.settle();
    expect(client.state).toBe('disconnected');
    for (const { settled } of calls) expect(settled).toMatchObject({ name: 'AbortError' });
    expect(clock.timers).toBe(0);
  });

  it('does not end a connection that is on its way back', async () => {
    const { client, join, comeBack, clock } = setUp();
    const stop = new AbortController();
    (await join()).drop();
    const waiting = outcome(client.connect({ signal: stop.signal }));
    stop.abort(new Error('enough'));
    await clock.settle();
    expect([waiting.settled, client.state]).toEqual([new Error('enough'), 'reconnecting']);
    await clock.step();
    await join();
    await comeBack();
    expect(client.state).toBe('connected');
  });

  it('ends the connection again in a life after that', async () => {
    const { client, join } = setUp();
    const stop = new AbortController();
    await join();
    client.disconnect();
    client.connect({ signal: stop.signal }).catch(() => {});
    stop.abort();
    expect(client.state).toBe('disconnected');
  });
});

describe('leaving a server that does not answer', () => {
  it('is over after 3 s', async () => {
    const { client, join, clock } = setUp();
    await join();
    const leaving = outcome(client.leave());
    await clock.advance(2_999);
    expect([leaving.settled, client.state]).toEqual([undefined, 'connected']);
    await clock.advance(1);
    expect([leaving.settled, client.state, clock.timers]).toEqual(['resolved', 'disconnected', 0]);
  });
});

describe('an option that cannot be', () => {
  it.each([
    [{ maxReconnectAttempts: '3' }, 'maxReconnectAttempts must not be 3 (string)'],
    [{ maxReconnectAttempts: -1 }, 'maxReconnectAttempts must not be -1'],
    [{ url: undefined }, 'url must not be undefined (undefined)'],
    [{ agentId: 5 }, 'agentId must not be 5'],
    [{ backoff: { maxMs: '9000' } }, 'backoff.maxMs must not be 9000 (string)'],
  ])('is named with its value: %j', (options, sentence) => {
    const make = () => Reflect.apply(setUp, undefined, [options]);
    expect(make).toThrow(sentence);
    expect(make).toThrow(RangeError);
  });
});
