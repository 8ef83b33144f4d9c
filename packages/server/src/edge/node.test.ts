import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, type MockInstance, onTestFinished, vi } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { dial, gateway, listen, port, raw, refused } from '../../test/network.ts';
import { only, range } from '../../test/pick.ts';
import type { GatewayOptions } from '../gateway.ts';
import { LIMITS } from '../limits.ts';
import { systemClock } from './clock.ts';
import { createNodeEdge } from './node.ts';

/** The one place where the doors are tried over a real network: how they are entered, and what is written. */

beforeEach(() => listen());
afterEach(() => gateway.close());

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
