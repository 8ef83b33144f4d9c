import { ERRORS } from '@continuo/protocol';
import { createFakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { BACKOFF } from './backoff.ts';
import { type ConnectionOptions, createConnection } from './connection.ts';
import type { SocketLike } from './platform.ts';
import { createTokens, type TokenSource } from './tokens.ts';

interface FakeSocket extends SocketLike {
  readonly sent: string[];
  /** The codes it was closed with from this side. */
  readonly closed: (number | undefined)[];
}

function createFakeSocket(): FakeSocket {
  const sent: string[] = [];
  const closed: (number | undefined)[] = [];
  return {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    sent,
    closed,
    send: (data) => void sent.push(data),
    close: (code) => void closed.push(code),
  };
}

interface SetUp {
  dial?: () => SocketLike;
  terms?: Partial<ConnectionOptions['terms']>;
  token?: TokenSource;
}

function setUp(options: SetUp = {}) {
  const clock = createFakeClock(0);
  const sockets: FakeSocket[] = [];
  const said: unknown[] = [];
  const wakes = new Set<(isOnline: boolean) => void>();
  const tokens = createTokens(options.token);
  const connection = createConnection({
    url: 'ws://there/',
    terms: {
      backoff: BACKOFF,
      reconnect: true,
      maxAttempts: Number.POSITIVE_INFINITY,
      handshakeMs: 15_000,
      idleMs: 30_000,
      pongMs: 10_000,
      probeMs: 3_000,
      stableMs: 60_000,
      ...options.terms,
    },
    platform: {
      now: clock.now,
      timer: (ms, run) => clock.schedule(clock.now() + ms, run),
      random: () => 0.5,
      id: () => 'id',
      dial: () => {
        if (options.dial) return options.dial();
        const socket = createFakeSocket();
        sockets.push(socket);
        return socket;
      },
      onWake(run) {
        wakes.add(run);
        return () => wakes.delete(run);
      },
    },
    tokens,
    greeting: () => ({ type: 'hi', token: tokens.current }),
    ping: { type: 'ping' },
    onFrame: (frame) => said.push(frame),
    onStatus: (status) => said.push(status),
    onEnd: (reason) => said.push({ ended: reason }),
    onProblem: (error) => said.push({ problem: String(error) }),
  });
  /** The newest socket. */
  const socket = (): FakeSocket => {
    const newest = sockets.at(-1);
    if (!newest) throw new Error('nothing was dialed');
    return newest;
  };
  function open(): FakeSocket {
    connection.connect();
    socket().onopen?.(undefined as never);
    connection.greeted();
    return socket();
  }
  return { clock, connection, sockets, socket, open, said, wakes };
}

const FRAMES_THAT_ARE_NONE: readonly (readonly [string, unknown, string])[] = [
  ['no JSON', 'hello', 'hello'],
  ['half of one', '{"type":', '{"type":'],
  ['nothing', '', ''],
  ['a list', '[]', '[]'],
  ['null', 'null', 'null'],
  ['a number', '5', '5'],
  ['text', '"hi"', '"hi"'],
  ['bytes', new ArrayBuffer(2), '[object ArrayBuffer]'],
];

describe('a connection', () => {
  it('greets when its socket opens, and is connected when the greeting is taken', () => {
    const { connection, socket, said } = setUp();
    connection.connect();
    expect(said).toEqual(['connecting']);
    expect(socket().sent).toEqual([]);
    socket().onopen?.(undefined as never);
    expect(socket().sent).toEqual(['{"type":"hi"}']);
    expect(connection.status).toBe('connecting');
    connection.greeted();
    expect(connection.status).toBe('connected');
    expect(said).toEqual(['connecting', 'connected']);
  });

  it('sends when it is connected, and says when it is not', () => {
    const { connection, socket, open } = setUp();
    expect(connection.send('1')).toBe(false);
    connection.connect();
    socket().onopen?.(undefined as never);
    expect(connection.send('2')).toBe(false);
    open();
    expect(connection.send('3')).toBe(true);
    socket().onclose?.({ code: 1006, reason: '' });
    expect(connection.send('4')).toBe(false);
    expect(socket().sent).toEqual(['{"type":"hi"}', '3']);
  });

  it.each(FRAMES_THAT_ARE_NONE)('reports a frame that is %s, and reads on', (_name, data, text) => {
    const { open, said } = setUp();
    const socket = open();
    said.length = 0;
    socket.onmessage?.({ data });
    socket.onmessage?.({ data: '{"type":"pong"}' });
    expect(said).toEqual([{ problem: `ConnectionError: No JSON object: ${text}` }, { type: 'pong' }]);
  });

  it('comes back after a broken socket, each time later', async () => {
    const { clock, open, sockets, socket, said } = setUp();
    open().onclose?.({ code: 1006, reason: '' });
    expect(said).toEqual(['connecting', 'connected', 'reconnecting']);
    await clock.advance(999);
    expect(sockets).toHaveLength(1);
    await clock.advance(1);
    expect(sockets).toHaveLength(2);
    socket().onclose?.({ code: 1006, reason: '' });
    await clock.advance(1_999);
    expect(sockets).toHaveLength(2);
    await clock.advance(1);
    expect(sockets).toHaveLength(3);
    expect(said).toEqual(['connecting', 'connected', 'reconnecting']);
  });

  it('comes back at once when it is nudged', () => {
    const { connection, open, sockets } = setUp();
    open().onclose?.({ code: 1006, reason: '' });
    connection.nudge();
    expect(sockets).toHaveLength(2);
  });

  it('gives up a socket that does not open, or is not greeted, and hangs it up', async () => {
    const { clock, connection, sockets, socket } = setUp();
    connection.connect();
    socket().onopen?.(undefined as never);
    await clock.advance(14_999);
    expect(socket().closed).toEqual([]);
    await clock.advance(1);
    expect(socket().closed).toEqual([1000]);
    await clock.advance(1_000);
    expect(sockets).toHaveLength(2);
  });

  it('asks a silent server for a sign of life, and leaves it when there is none', async () => {
    const { clock, open, sockets } = setUp();
    const socket = open();
    await clock.advance(30_000);
    expect(socket.sent).toEqual(['{"type":"hi"}', '{"type":"ping"}']);
    await clock.advance(9_999);
    expect(socket.closed).toEqual([]);
    await clock.advance(1);
    expect(socket.closed).toEqual([1000]);
    await clock.advance(1_000);
    expect(sockets).toHaveLength(2);
  });

  it('stays with a server that says anything, also what cannot be read', async () => {
    const { clock, open, sockets } = setUp();
    const socket = open();
    for (let minute = 0; minute < 5; minute++) {
      await clock.advance(35_000);
      socket.onmessage?.({ data: 'noise' });
    }
    expect(sockets).toHaveLength(1);
    expect(socket.sent.filter((frame) => frame === '{"type":"ping"}')).toHaveLength(5);
  });

  it('hears nothing more of a socket it has hung up', async () => {
    const { clock, connection, open, sockets, said } = setUp();
    const old = open();
    const { onopen, onmessage, onclose, onerror } = old;
    await clock.advance(40_000);
    await clock.advance(1_000);
    sockets.at(-1)?.onopen?.(undefined as never);
    connection.greeted();
    said.length = 0;
    onopen?.(undefined as never);
    onmessage?.({ data: '{"type":"event"}' });
    onerror?.(undefined as never);
    onclose?.({ code: 4426, reason: 'late' });
    for (const handler of [old.onopen, old.onmessage, old.onclose]) expect(handler).toBeNull();
    expect(said).toEqual([]);
    expect(connection.status).toBe('connected');
    expect(sockets).toHaveLength(2);
  });

  it('has one timer at most, and none when it is over', async () => {
    const { clock, connection, open, socket } = setUp();
    open();
    for (let round = 0; round < 20; round++) {
      expect(clock.timers).toBe(1);
      if (round % 3 === 0) socket().onclose?.({ code: 1006, reason: '' });
      expect(clock.timers).toBe(1);
      await clock.step();
    }
    connection.disconnect();
    expect(clock.timers).toBe(0);
  });

  it('is disconnected when it is asked to, once, and can be connected again', () => {
    const { connection, open, sockets, said } = setUp();
    const socket = open();
    connection.disconnect();
    connection.disconnect();
    expect(socket.closed).toEqual([1000]);
    expect(said).toEqual(['connecting', 'connected', { ended: null }, 'disconnected']);
    open();
    expect(sockets).toHaveLength(2);
    expect(connection.status).toBe('connected');
  });

  it('listens for wakes while it lives, once', () => {
    const { connection, open, wakes } = setUp();
    expect(wakes.size).toBe(0);
    open();
    connection.connect();
    expect(wakes.size).toBe(1);
    connection.disconnect();
    expect(wakes.size).toBe(0);
  });

  it('is refused for good, or for a time', async () => {
    const { clock, connection, socket, sockets, said } = setUp();
    connection.connect();
    connection.hint(7_000);
    connection.refused('full', 'after');
    expect(socket().closed).toEqual([1000]);
    await clock.advance(6_999);
    expect(sockets).toHaveLength(1);
    await clock.advance(1);
    expect(sockets).toHaveLength(2);
    connection.refused('unknown agent', 'never');
    expect(said.slice(-2)).toEqual([{ ended: 'unknown agent' }, 'disconnected']);
  });
});

const FINAL = new Set(['never', 'with-new-token']);
const CLOSES = new Map<number, boolean>([[1000, true]]);
for (const { close, retry } of Object.values(ERRORS)) CLOSES.set(close, FINAL.has(retry));
for (const code of [1001, 1005, 1006, 1011, 1012, 4999]) CLOSES.set(code, false);

describe('a close of the server', () => {
  it.each([...CLOSES])('L-11 with %d is the end or not: %s', (code, final) => {
    const { clock, connection, open, said } = setUp();
    open().onclose?.({ code, reason: 'because' });
    expect(connection.status).toBe(final ? 'disconnected' : 'reconnecting');
    expect(clock.timers).toBe(final ? 0 : 1);
    if (final) expect(said).toContainEqual({ ended: 'because' });
  });

  it('that gives no reason is told by its code', () => {
    const { open, said } = setUp({ terms: { reconnect: false } });
    open().onclose?.({ code: 1006, reason: '' });
    expect(said).toContainEqual({ ended: 'The connection was closed (1006).' });
  });
});

describe('a URL that cannot be dialed', () => {
  const dial = (): never => {
    throw new SyntaxError('no such scheme');
  };

  it('is the end at once, with the reason', () => {
    const { connection, said } = setUp({ dial });
    connection.connect();
    expect(said).toContainEqual({ ended: 'SyntaxError: no such scheme' });
    expect(connection.status).toBe('disconnected');
  });

  it('leaves no timer behind', () => {
    const { clock, connection } = setUp({ dial });
    connection.connect();
    expect(clock.timers).toBe(0);
  });

  it('can be tried again', () => {
    let tries = 0;
    const { connection, said } = setUp({
      dial: () => {
        if (tries++ === 0) dial();
        return createFakeSocket();
      },
    });
    connection.connect();
    connection.connect();
    expect(connection.status).toBe('connecting');
    expect(said.at(-1)).toBe('connecting');
  });
});
