import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { afterEach, beforeEach, describe, expect, it, type MockInstance, onTestFinished, vi } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { AGENTS } from '../../test/agents.ts';
import { parseServerFrame, type ServerFrame } from '../../test/frames.ts';
import { nth, only, range } from '../../test/pick.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../gateway.ts';
import { LIMITS } from '../limits.ts';
import type { Store } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { systemClock } from './clock.ts';
import { createNodeEdge, type NodeEdge, openNodeStream } from './node.ts';

/** The one place where the doors are tried over a real network: 127.0.0.1, on a free port. */

let store: Store;
let gateway: Gateway;
let port: number;

async function listen(more: Partial<GatewayOptions> = {}): Promise<void> {
  const random = createSeededRandom(1);
  store = createMemoryStore({ clock: systemClock, random });
  gateway = createGateway({
    agents: AGENTS,
    store,
    push: true,
    drainMs: 100,
    report(problem, error) {
      throw new Error(problem, { cause: error });
    },
    ...more,
  });
  port = (await gateway.listen({ port: 0 })).port;
}

beforeEach(() => listen());
afterEach(() => gateway.close());

/** A client that keeps what it is told until it is asked for. */
interface Client {
  readonly ws: WebSocket;
  next(): Promise<ServerFrame>;
  send(frame: object | string | Buffer): void;
  /** The code with which it was closed. */
  readonly closed: Promise<number>;
}

async function dial(path: '/' | '/ws', query = '', options: ClientOptions = {}): Promise<Client> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}${query}`, options);
  const frames: ServerFrame[] = [];
  const waiting: ((frame: ServerFrame) => void)[] = [];
  ws.on('message', (data: Buffer) => {
    const frame = parseServerFrame(path, data.toString());
    const taker = waiting.shift();
    if (taker) taker(frame);
    else frames.push(frame);
  });
  const closed = new Promise<number>((resolve) => ws.once('close', resolve));
  ws.on('error', () => {}); // the close says it
  await once(ws, 'open');
  return {
    ws,
    next: () => {
      const frame = frames.shift();
      return frame ? Promise.resolve(frame) : new Promise((resolve) => waiting.push(resolve));
    },
    send: (frame) =>
      ws.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame)),
    closed,
  };
}

interface Refused {
  readonly status: number;
  readonly body: string;
  /** `Retry-After`. */
  readonly retryAfter: string | undefined;
}

/** The status with which an upgrade is refused, and what is said. */
async function refused(path: string, options: ClientOptions = {}): Promise<Refused> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
  ws.on('error', () => {});
  const [, response] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage];
  const { statusCode = 0, headers } = response;
  return { status: statusCode, body: await textOf(response), retryAfter: headers['retry-after'] };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

async function ask(options: RequestOptions, body = ''): Promise<IncomingMessage> {
  const asking = httpRequest({ host: '127.0.0.1', port, agent: false, ...options });
  asking.end(body);
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  return response;
}

/** Sends text as it is, and returns what comes back before the connection is closed, or within a moment. */
async function raw(text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString();
  });
  socket.write(text);
  await once(socket, 'data');
  socket.destroy();
  return answer;
}

describe('an upgrade', () => {
  it.each([
    ['of a page of another site', '/', { headers: { origin: 'https://evil.example' } }, 403],
    ['of a page of no site', '/ws', { headers: { origin: 'null' } }, 403],
    ['to the name of another site', '/', { headers: { host: 'evil.example' } }, 403],
    ['at a path where no door is', '/nowhere', {}, 404],
    ['at a path where a page is', '/health', {}, 404],
  ])('L-14 %s is refused before it is one', async (_what, path, options, status) => {
    const answer = await refused(path, options);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatch(/\w/);
  });

  it.each([{}, { headers: { origin: 'http://localhost:5173' } }, { headers: { host: 'localhost:1' } }])(
    'L-14 of this machine is taken: %j',
    async (options) => {
      const { next } = await dial('/ws', '', options);
      expect(await next()).toMatchObject({ type: 'connected' });
    },
  );

  it.each([
    ['//', '127.0.0.1', 404],
    ['http://[', '127.0.0.1', 404],
    ['/nowhere?token=%', '127.0.0.1', 404],
    ['//', 'evil.example', 403],
    ['/', '127.0.0.1:bad port', 403],
  ])('L-14 whose URL is %s and whose Host is %s is refused', async (url, host, status) => {
    const answer = await raw(
      `GET ${url} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it.each([
    ['GET / HTTP/1.1\r\nHost: 127.0.0.1:bad port\r\n\r\n'],
    ['GET / HTTP/1.1\r\nHost: a b\r\n\r\n'],
    ['GET /health HTTP/1.0\r\n\r\n'],
  ])('L-14 a request that is none is answered: %j', async (request) => {
    expect(await raw(request)).toMatch(/^HTTP\/1.1 4/);
  });

  it('that is broken off is no harm', async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    socket.destroy();
    const { next } = await dial('/ws');
    expect(await next()).toMatchObject({ type: 'connected' });
  });
});

describe('an upgrade too many', () => {
  async function listenWith(more: Partial<GatewayOptions>): Promise<void> {
    await gateway.close();
    await listen(more);
  }
  const from = (address: string): ClientOptions => ({
    headers: { 'x-forwarded-for': `9.9.9.9, ${address}` },
  });

  it('L-18 of everybody gets 503, until somebody leaves', async () => {
    await listenWith({ limits: { connections: 2 } });
    const [first] = [await dial('/'), await dial('/ws')];
    expect(await refused('/')).toMatchObject({
      status: 503,
      body: expect.stringContaining('2 connections'),
      retryAfter: '5',
    });
    first.ws.close();
    await first.closed;
    await dial('/');
  });

  it('of one address gets 429, and other addresses do not', async () => {
    await listenWith({ limits: { connectionsPerAddress: 1 }, trustProxy: true });
    await dial('/', '', from('1.1.1.1'));
    expect(await refused('/ws', from('1.1.1.1'))).toMatchObject({ status: 429, retryAfter: '5' });
    await dial('/', '', from('1.1.1.2'));
    await dial('/');
  });

  it('is counted for the proxy where none is trusted', async () => {
    await listenWith({ limits: { connectionsPerAddress: 1 } });
    await dial('/', '', from('1.1.1.1'));
    expect(await refused('/', from('1.1.1.2'))).toMatchObject({ status: 429 });
  });

  it('is none when the one before was refused or broken off', async () => {
    await listenWith({ limits: { connections: 1 } });
    for (const path of ['/nowhere', '/health']) await refused(path);
    await raw('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await dial('/');
  });

  it('keeps no connection when its client does not hang up', async () => {
    const edge = createNodeEdge({
      fetch: () => new Response('no'),
      refuseUpgrade: () => ({ status: 404, message: 'no' }),
      openSocket: () => ({ receive() {}, reject() {}, closed() {} }),
      limits: LIMITS,
      trustProxy: false,
      clock: systemClock,
      report() {},
    });
    const { port: own } = await edge.listen(0, '127.0.0.1');
    const connected = once(edge.server, 'connection');
    const socket = connect({ port: own, host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    const [kept] = (await connected) as [Socket];
    const closed = once(kept, 'close');
    socket.resume();
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await closed;
    await edge.close(4503, 'draining');
  });
});

describe('the token of an upgrade', () => {
  beforeEach(async () => {
    await gateway.close();
    await listen({ tokens: [{ token: 'secret', subject: 'alice' }] });
  });

  it.each([
    ['in the query', '?token=secret', {}],
    ['as Bearer', '', { headers: { authorization: 'Bearer secret' } }],
  ])('L-15 is taken %s', async (_where, query, options) => {
    const client = await dial('/', query, options);
    client.send({ type: 'join', agent_id: 'echo' });
    expect(await client.next()).toMatchObject({ type: 'joined' });
  });

  it('L-15 that is wrong gets an error and 4401', async () => {
    const client = await dial('/', '?token=guess');
    client.send({ type: 'join', agent_id: 'echo' });
    expect(await client.next()).toMatchObject({ type: 'error', code: 'unauthorized' });
    expect(await client.closed).toBe(4401);
  });
});

describe('the deadlines of a request', () => {
  it('L-18 are the ones that were asked for', async () => {
    const { maxPayloadBytes } = LIMITS;
    for (const [handshakeMs, headers, request, check] of [
      [500, 500, 60_000, 500],
      [10_000, 10_000, 60_000, 1_000],
      [90_000, 90_000, 90_000, 1_000],
    ] as const) {
      const edge = createNodeEdge({
        fetch: () => new Response('no'),
        refuseUpgrade: () => null,
        openSocket: () => ({ receive() {}, reject() {}, closed() {} }),
        limits: { ...LIMITS, handshakeMs, maxPayloadBytes },
        trustProxy: false,
        clock: systemClock,
        report() {},
      });
      const { headersTimeout, requestTimeout } = edge.server;
      expect([headersTimeout, requestTimeout]).toEqual([headers, request]);
      expect(edge.server).toMatchObject({ connectionsCheckingInterval: check });
      await edge.close(4503, 'draining');
    }
  });
});

describe('frames', () => {
  it('L-12 have at most the bytes that were asked for', async () => {
    await gateway.close();
    await listen({ limits: { maxPayloadBytes: 1_024 } });
    const client = await dial('/');
    client.send(`{"type":"ping","filler":"${'x'.repeat(1_024)}"}`);
    expect(await client.next()).toMatchObject({
      code: 'too_large',
      message: expect.stringContaining('1024'),
    });
    client.send('x'.repeat(4_097));
    expect(await client.closed).toBe(1009);
  });

  it('L-12 of 2 MB get `too_large`, and the connection stays', async () => {
    const client = await dial('/');
    client.send(`{"type":"ping","filler":"${'x'.repeat(2_000_000)}"}`);
    expect(await client.next()).toMatchObject({ type: 'error', code: 'too_large' });
    client.send({ type: 'ping' });
    expect(await client.next()).toEqual({ type: 'pong' });
  });

  it('L-12 of just 1 MiB are taken', async () => {
    const client = await dial('/');
    const empty = '{"type":"ping","filler":""}'.length;
    client.send(`{"type":"ping","filler":"${'x'.repeat(1024 * 1024 - empty)}"}`);
    expect(await client.next()).toEqual({ type: 'pong' });
  });

  it('L-12 that are binary get `bad_frame`, and the connection stays', async () => {
    const client = await dial('/');
    client.send(Buffer.from('{"type":"ping"}'));
    expect(await client.next()).toMatchObject({ type: 'error', code: 'bad_frame' });
    client.send({ type: 'ping' });
    expect(await client.next()).toEqual({ type: 'pong' });
  });

  it('G-7 of every length arrive as they were sent', async () => {
    const [publisher, reader] = [await dial('/ws'), await dial('/ws')];
    await Promise.all([publisher.next(), reader.next()]);
    reader.send({ type: 'channel.subscribe', channel: 'news' });
    expect(await reader.next()).toMatchObject({ type: 'channel.subscribed' });
    for (const length of [0, 1, 100, 125, 126, 200, 65_000, 65_536, 300_000]) {
      publisher.send({ type: 'channel.publish', channel: 'news', data: 'ü'.repeat(length) });
      expect(await reader.next()).toMatchObject({ type: 'channel_message', data: 'ü'.repeat(length) });
    }
  });

  it('G-15 a refused join is closed with the code of the table', async () => {
    const client = await dial('/');
    client.send({ type: 'join', agent_id: 'nobody' });
    expect(await client.next()).toMatchObject({ type: 'error', code: 'agent_not_found' });
    expect(await client.closed).toBe(4404);
  });
});

describe('what is written', () => {
  it('of one tick leaves in one write', async () => {
    const spies: MockInstance<Socket['write']>[] = [];
    const edge = createNodeEdge({
      fetch: () => new Response('no'),
      refuseUpgrade: () => null,
      openSocket: (peer) => ({
        receive(text) {
          for (const number of range(1, 10)) peer.send(peer.wire.frame(`${text} ${number}`));
        },
        reject() {},
        closed() {},
      }),
      limits: LIMITS,
      trustProxy: false,
      clock: systemClock,
      report() {},
    });
    edge.server.on('connection', (socket: Socket) => void spies.push(vi.spyOn(socket, 'write')));
    const { port: own } = await edge.listen(0, '127.0.0.1');
    const ws = new WebSocket(`ws://127.0.0.1:${own}/`);
    const texts: string[] = [];
    ws.on('message', (data: Buffer) => void texts.push(data.toString()));
    await once(ws, 'open');
    ws.send('hi');
    while (texts.length < 10) await once(ws, 'message');
    expect(texts).toEqual(range(1, 10).map((number) => `hi ${number}`));
    expect(edge.sockets).toBe(1);
    expect(only(spies).mock.calls).toHaveLength(2); // the answer to the upgrade, and the ten frames
    const closed = once(ws, 'close');
    await edge.close(4503, 'draining');
    expect((await closed)[0]).toBe(4503);
  });
});

describe('a socket that is silent', () => {
  const HEARTBEAT_MS = 30_000;

  /** An edge under a time of its own, and what it received. */
  async function listenApart(): Promise<{
    edge: NodeEdge;
    own: number;
    clock: FakeClock;
    received: () => Promise<void>;
  }> {
    const clock = createFakeClock();
    let tell = (): void => {};
    const edge = createNodeEdge({
      fetch: () => new Response('no'),
      refuseUpgrade: () => null,
      openSocket: () => ({ receive: () => tell(), reject() {}, closed() {} }),
      limits: LIMITS,
      trustProxy: false,
      clock,
      report() {},
    });
    const { port: own } = await edge.listen(0, '127.0.0.1');
    const received = (): Promise<void> =>
      new Promise((resolve) => {
        tell = resolve;
      });
    return { edge, own, clock, received };
  }

  it('is cut off after two heartbeats without an answer', async () => {
    const { edge, own, clock } = await listenApart();
    const socket = connect(own, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n');
    socket.write('Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
    await once(socket, 'data');
    socket.resume();
    onTestFinished(async () => {
      socket.destroy();
      await edge.close(4503, 'draining');
    });
    for (let beats = 0; beats < 2; beats++) await clock.advance(HEARTBEAT_MS);
    expect(edge.sockets).toBe(1);
    for (let beats = 0; beats < 2; beats++) await clock.advance(HEARTBEAT_MS);
    expect(edge.sockets).toBe(0);
  });

  it('is kept as long as it answers', async () => {
    const { edge, own, clock, received } = await listenApart();
    const ws = new WebSocket(`ws://127.0.0.1:${own}/`);
    await once(ws, 'open');
    for (let beats = 0; beats < 5; beats++) {
      const pinged = once(ws, 'ping');
      await clock.advance(HEARTBEAT_MS);
      await pinged;
      const arrived = received();
      ws.send('after the pong');
      await arrived;
    }
    expect(ws.readyState).toBe(WebSocket.OPEN);
    const closed = once(ws, 'close');
    await edge.close(4503, 'draining');
    await closed;
  });
});

describe('a stream', () => {
  const RUN = { path: '/agents/slow/runs', method: 'POST', headers: { 'content-type': 'application/json' } };

  it('R-2 begins at once, and says what it is', async () => {
    const response = await ask(RUN, '{"message":"hi"}');
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    const [first] = (await once(response, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^: /);
    response.destroy();
  });

  it('R-2 ends with the run', async () => {
    const response = await ask({ ...RUN, path: '/agents/echo/runs' }, '{"message":"hi"}');
    const events = (await textOf(response)).split('\n\n').filter((event) => event.startsWith('event:'));
    expect(events.at(-1)).toContain('RunCompleted');
    expect(events).toHaveLength(5);
  });

  it('R-5 that its client leaves ends the run', async () => {
    const response = await ask(RUN, '{"message":"hi"}');
    let text = '';
    while (!text.includes('RunStarted')) text += String(nth((await once(response, 'data')) as Buffer[], 0));
    const runId = /"run_id":"(\w+)"/.exec(text)?.[1] ?? '';
    const resumed = await ask({ ...RUN, path: `/agents/slow/runs/${runId}/resume` }, '{}');
    response.destroy();
    expect(await textOf(resumed)).toContain('RunCancelled');
  });

  it('R-5 whose client had gone before it began is told so', async () => {
    let told = false;
    const over = new Promise<void>((resolve) => {
      const server = createServer((incoming, outgoing) => {
        outgoing.once('close', () => {
          const stream = openNodeStream(new Request('http://127.0.0.1/'), { incoming, outgoing }, {});
          stream.onClosed(() => {
            told = true;
          });
          setImmediate(() => server.close(() => resolve()));
        });
        incoming.socket.destroy();
      });
      server.listen(0, '127.0.0.1', () => {
        const asking = httpRequest({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
        asking.on('error', () => {}); // it was cut off
        asking.end();
      });
    });
    await over;
    expect(told).toBe(true);
  });
});

describe('a server that closes', () => {
  it('L-11 closes its sockets as draining, and takes no more', async () => {
    const clients = [await dial('/'), await dial('/ws')];
    const closes = Promise.all(clients.map(({ closed }) => closed));
    await Promise.all([gateway.close(), gateway.close()]);
    expect(await closes).toEqual([4503, 4503]);
    const socket = connect(port, '127.0.0.1');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  });

  it('L-18 takes no upgrade while its runs end', async () => {
    await gateway.close();
    await listen({ drainMs: 60_000 });
    const client = await dial('/');
    client.send({ type: 'join', agent_id: 'slow' });
    client.send({ type: 'message', content: 'hi' });
    while ((await client.next()).type !== 'response');
    const closed = gateway.close();
    expect(await refused('/')).toMatchObject({ status: 503, retryAfter: '5' });
    await closed;
    expect(await client.closed).toBe(4503);
  });

  it('has stored how far its consumers came when it has closed', async () => {
    const client = await dial('/ws');
    for (const frame of [
      { type: 'auth', client_id: 'device' },
      { type: 'channel.subscribe', channel: 'news' },
    ]) {
      client.send(frame);
    }
    while ((await client.next()).type !== 'channel.subscribed');
    await gateway.close();
    const stored = await store.records.list('consumer/', { limit: 10 });
    expect(stored.map(({ value }) => value)).toMatchObject([{ clean: true }]);
  });

  it('ends its streams within the time of a close', async () => {
    const run = {
      path: '/agents/slow/runs',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    };
    const response = await ask(run, '{"message":"hi","background":true}');
    response.on('error', () => {}); // it may be cut off
    const ended = once(response, 'close');
    response.resume();
    await gateway.close();
    await ended;
  });
});
