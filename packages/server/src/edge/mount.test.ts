import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { AGENTS } from '../../test/agents.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../gateway.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { systemClock } from './clock.ts';
import { createMounts } from './mount.ts';

/** Over a real network, as in node.test.ts: 127.0.0.1 on free ports. */

function openGateway(more: Partial<GatewayOptions> = {}): Gateway {
  const random = createSeededRandom(1);
  const store = createMemoryStore({ clock: systemClock, random });
  const gateway = createGateway({ agents: AGENTS, store, push: true, drainMs: 100, ...more });
  onTestFinished(() => gateway.close());
  return gateway;
}

/** A server whose own listener answers with the URL it saw. */
function makeApp(): Server {
  const server = createServer((incoming, outgoing) => outgoing.end(`the app's ${incoming.url}`));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

interface Asked {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

async function ask(
  port: number,
  { body = '', ...options }: Asked,
): Promise<{ status: number; text: string }> {
  const asking = httpRequest({ host: '127.0.0.1', port, agent: false, ...options });
  if (options.headers?.expect) asking.once('continue', () => asking.end(body));
  else asking.end(body);
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, text };
}

/** What the first frame was, or the status with which the upgrade was refused. */
async function dial(
  port: number,
  path: string,
  { first, ...options }: ClientOptions & { first?: object } = {},
): Promise<{ said: string; status: number; ws: WebSocket }> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
  ws.on('error', () => {});
  if (first) ws.once('open', () => ws.send(JSON.stringify(first)));
  return new Promise((resolve) => {
    ws.once('message', (data: Buffer) => resolve({ said: data.toString(), status: 101, ws }));
    ws.once('unexpected-response', (_request, response: IncomingMessage) => {
      response.resume();
      resolve({ said: '', status: response.statusCode ?? 0, ws });
    });
  });
}

const JOIN = { type: 'join', agent_id: 'echo' };

describe('a gateway attached to a server', () => {
  it.each(['/continuo', '/continuo/', '/continuo?x=1'])('has door 1 at %s', async (path) => {
    const server = makeApp();
    openGateway().attach(server);
    const { said } = await dial(await listen(server), path, { first: JOIN });
    expect(JSON.parse(said)).toMatchObject({ type: 'joined', agent_id: 'echo' });
  });

  it('has door 2 and the routes below its path', async () => {
    const server = makeApp();
    const port = await listen(server);
    openGateway().attach(server, { path: '/ai/gateway' });
    expect((await dial(port, '/ai/gateway/ws')).said).toContain('"connected"');
    expect((await ask(port, { path: '/ai/gateway/health' })).text).toContain('"status":"ok"');
    const { text: page } = await ask(port, { path: '/ai/gateway' });
    expect(page).toContain(`<code>ws://127.0.0.1:${port}/ai/gateway/</code>`);
    expect(page).toContain('href="/ai/gateway/info"');
    const run = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const streamed = await ask(port, {
      path: '/ai/gateway/agents/echo/runs',
      body: '{"message":"hi"}',
      ...run,
    });
    expect(streamed.text).toContain('event: RunCompleted');
  });

  it('takes a body that its client asks leave to send', async () => {
    const server = makeApp();
    server.on('checkContinue', (_incoming, outgoing) => outgoing.writeHead(417).end());
    const port = await listen(server);
    openGateway().attach(server);
    const body = '{"message":"hi","stream":false}';
    const headers = {
      expect: '100-continue',
      'content-type': 'application/json',
      'content-length': String(body.length),
    };
    const asked = { method: 'POST', headers, body };
    expect((await ask(port, { path: '/continuo/agents/echo/runs', ...asked })).status).toBe(200);
  });

  it.each(['/', '/continuous', '/x/continuo', '/continu', '/Continuo'])(
    'leaves a request of %s to the app',
    async (path) => {
      const server = makeApp();
      openGateway().attach(server);
      expect((await ask(await listen(server), { path })).text).toBe(`the app's ${path}`);
    },
  );

  it('leaves requests to listeners that come later, and keeps its own from them', async () => {
    const server = makeApp();
    openGateway().attach(server);
    const seen: string[] = [];
    server.on('request', (incoming: IncomingMessage) => seen.push(incoming.url ?? ''));
    const port = await listen(server);
    await ask(port, { path: '/mine' });
    await ask(port, { path: '/continuo/health' });
    expect(seen).toEqual(['/mine']);
  });

  it('shares upgrades with another WebSocket server, which ends those it does not know', async () => {
    const server = makeApp();
    const other = new WebSocketServer({ server, path: '/app' });
    other.on('connection', (ws) => ws.send('the app'));
    openGateway().attach(server);
    const port = await listen(server);
    expect((await dial(port, '/app')).said).toBe('the app');
    expect((await dial(port, '/continuo/ws')).said).toContain('"connected"');
    expect((await dial(port, '/nowhere')).status).toBe(400);
    for (const ws of other.clients) ws.terminate();
  });

  it('answers an upgrade that is nobody else`s with 404, beside another gateway too', async () => {
    const server = makeApp();
    openGateway().attach(server, { path: '/a' });
    openGateway().attach(server, { path: '/b' });
    const port = await listen(server);
    expect((await dial(port, '/nowhere')).status).toBe(404);
    expect((await dial(port, '/a/nowhere')).status).toBe(404);
    expect((await dial(port, '/a/ws')).said).toContain('"connected"');
    expect((await dial(port, '/b/ws')).said).toContain('"connected"');
  });

  it('takes the whole server at /', async () => {
    const server = makeApp();
    openGateway().attach(server, { path: '/' });
    const port = await listen(server);
    expect((await ask(port, { path: '/live' })).text).toBe('{"status":"ok"}');
    expect((await dial(port, '/', { first: JOIN })).said).toContain('"joined"');
  });

  it.each(['', 'continuo', '/continuo/', '//', '/a?b', '/a b'])('refuses the path "%s"', (path) => {
    expect(() => openGateway().attach(makeApp(), { path })).toThrow(`the path "${path}"`);
  });
});

describe('a gateway that is detached', () => {
  it('gives the server back as it was, however often it is told to', async () => {
    const server = makeApp();
    const { emit } = server;
    const gateway = openGateway();
    const detach = gateway.attach(server);
    const port = await listen(server);
    detach();
    detach();
    expect([server.emit, server.listenerCount('upgrade')]).toEqual([emit, 0]);
    expect((await ask(port, { path: '/continuo/live' })).text).toBe(`the app's /continuo/live`);
    await gateway.close();
    expect(() => gateway.attach(server)).toThrow('is closed');
  });

  it('lets everything through where the server was wrapped meanwhile', async () => {
    const server = makeApp();
    const [first, second] = [openGateway(), openGateway()];
    const detach = first.attach(server, { path: '/a' });
    second.attach(server, { path: '/b' });
    detach();
    const port = await listen(server);
    expect((await ask(port, { path: '/a/live' })).text).toBe(`the app's /a/live`);
    expect((await ask(port, { path: '/b/live' })).text).toBe('{"status":"ok"}');
  });

  it('closes its sockets and streams when it closes, and the app goes on', async () => {
    const server = makeApp();
    const gateway = openGateway();
    gateway.attach(server);
    const port = await listen(server);
    const { ws } = await dial(port, '/continuo', { first: JOIN });
    const closed = once(ws, 'close');
    const poll = { path: '/continuo/agents/slow/runs', method: 'POST' };
    const headers = { 'content-type': 'application/json' };
    const streamed = ask(port, { ...poll, headers, body: '{"message":"hi"}' }).catch(() => null);
    await ask(port, { path: '/continuo/live' });
    await Promise.all([gateway.close(), gateway.close()]);
    expect((await closed)[0]).toBe(4503);
    await streamed;
    expect((await ask(port, { path: '/continuo/live' })).text).toBe(`the app's /continuo/live`);
    expect(await new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0);
  });

  it('waits two seconds for answers under way, and ends them', async () => {
    const clock = createFakeClock();
    const own = createServer((_incoming, outgoing) => outgoing.write('on and on'));
    const mounts = createMounts({ own: () => own, clock });
    const server = makeApp();
    mounts.attach(server);
    const asked = ask(await listen(server), { path: '/continuo' });
    asked.catch(() => {}); // it is looked at below
    await once(own, 'request');
    let isClosed = false;
    const closed = mounts.close().then(() => {
      isClosed = true;
    });
    await clock.advance(1_999);
    expect(isClosed).toBe(false);
    await clock.advance(1);
    await closed;
    await expect(asked).rejects.toThrow();
  });
});

describe('who may ask an attached gateway', () => {
  const tokens = [{ token: 'secret' }];
  const host = { host: 'app.example' };

  it.each([
    ['127.0.0.1', {}, 101],
    ['127.0.0.1', host, 403],
    ['127.0.0.1', { origin: 'https://evil.example' }, 403],
    ['127.0.0.1', { origin: 'http://localhost:5173' }, 101],
    ['0.0.0.0', host, 101],
    ['0.0.0.0', { ...host, origin: 'http://app.example' }, 101],
    ['0.0.0.0', { ...host, origin: 'https://evil.example' }, 403],
    ['::', host, 101],
  ])('L-14 on a server that is bound to %s: %j gets %i', async (address, headers, status) => {
    const server = makeApp();
    openGateway({ tokens }).attach(server);
    const port = await listen(server, address);
    expect((await dial(port, '/continuo/ws', { headers })).status).toBe(status);
    const { status: answered } = await ask(port, { path: '/continuo/live', headers });
    expect(answered).toBe(status === 101 ? 200 : 403);
    expect((await ask(port, { path: '/', headers })).status).toBe(200);
  });

  it('L-16 without a token nobody does where the server is bound beyond loopback', async () => {
    const early = makeApp();
    openGateway().attach(early);
    const port = await listen(early, '0.0.0.0');
    expect(await ask(port, { path: '/continuo/live' })).toMatchObject({
      status: 403,
      text: expect.stringContaining('Set a token'),
    });
    expect((await dial(port, '/continuo/ws')).status).toBe(403);
    const listening = makeApp();
    await listen(listening, '0.0.0.0');
    expect(() => openGateway().attach(listening)).toThrow('Set a token');
  });
});

describe('a single upgrade', () => {
  it.each(['0.0.0.0', '::'])(
    'L-14 at %s goes by its own path and the address it came in at',
    async (host) => {
      const server = makeApp();
      const gateway = openGateway();
      server.on('upgrade', (request, socket, head) => gateway.upgrade(request, socket, head));
      const port = await listen(server, host);
      expect((await dial(port, '/', { first: JOIN })).said).toContain('"joined"');
      expect((await dial(port, '/ws', { headers: { host: 'evil.example' } })).status).toBe(403);
      await gateway.close();
      const late = new WebSocket(`ws://127.0.0.1:${port}/ws`);
      expect(String((await once(late, 'error'))[0])).toContain('hang up');
    },
  );
});

describe('a request that another server`s listener hands over', () => {
  it.each([
    ['127.0.0.1', 'secret', 403],
    ['::ffff:127.0.0.1', 'secret', 403],
    ['10.0.0.7', 'secret', 200],
    ['10.0.0.7', null, 403],
  ])('L-14 that came in at %s, with the token %s: %i', async (localAddress, token, status) => {
    const gateway = openGateway(token === null ? {} : { tokens: [{ token }] });
    const env = { incoming: { socket: { localAddress } }, outgoing: {} };
    const answer = await gateway.fetch(new Request('http://app.example/live'), env);
    expect(answer.status).toBe(status);
  });
});
