import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createFakeClock, type FakeClock } from '@continuo/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { ask, dial, gateway, listen, port, refused, store, textOf } from '../../test/network.ts';
import { nth } from '../../test/pick.ts';
import { LIMITS } from '../limits.ts';
import { createNodeEdge, type NodeEdge, openNodeStream } from './node.ts';

/** The doors over a real network: silence, streams, and the end of a server. */

beforeEach(() => listen());
afterEach(() => gateway.close());

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
