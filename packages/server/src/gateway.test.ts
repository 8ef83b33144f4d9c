import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { echo } from '../test/agents.ts';
import { ALICE, eventsOf, openGateway, TWO_PEOPLE } from '../test/gateway.ts';
import { range } from '../test/pick.ts';
import { createGateway } from './gateway.ts';
import { createMemoryStore } from './stores/memory.ts';

const OPEN_PAGES = ['/health', '/live', '/ready', '/info', '/'];

describe('what anyone may ask', () => {
  it.each(OPEN_PAGES)('L-15 %s needs no token', async (path) => {
    const { get } = openGateway({ tokens: TWO_PEOPLE });
    expect((await get(path)).status).toBe(200);
  });

  it('says what it is and what it does not survive', async () => {
    const { get } = openGateway({ version: '1.2.3' });
    expect((await get('/info')).body).toMatchObject({
      name: 'continuo',
      version: '1.2.3',
      store: { name: 'memory', survives_restart: false },
      push: { enabled: true },
      token_required: false,
    });
  });

  it.each(OPEN_PAGES)('L-10 shows no token: %s', async (path) => {
    const { get } = openGateway({ tokens: TWO_PEOPLE });
    const { body } = await get(path);
    expect(JSON.stringify(body)).not.toContain(ALICE);
  });

  it('L-11 says what to do where there is nothing', async () => {
    const { get } = openGateway();
    const { status, body } = await get('/nowhere');
    expect([status, body]).toMatchObject([404, { error: { code: 'not_found' }, code: 'not_found' }]);
  });

  it('L-12 a body above 1 MiB gets 413', async () => {
    const { post } = openGateway();
    const { status, headers } = await post('/agents/echo/runs', { message: 'x'.repeat(1024 * 1024) });
    expect([status, headers.get('connection')]).toEqual([413, 'close']);
  });

  it('L-12 a body that nobody could walk through gets 4xx', async () => {
    const { post } = openGateway();
    const deep = `{"message":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
    expect((await post('/agents/echo/runs', deep)).status).toBe(400);
    expect((await post('/api/push/poll/register', deep)).status).toBe(400);
  });

  it('R-9 a form that is none gets 400', async () => {
    const { post } = openGateway();
    const headers = { 'content-type': 'multipart/form-data; boundary=x' };
    expect((await post('/agents/echo/runs', 'no form', { headers })).status).toBe(400);
  });
});

describe('a request of another site', () => {
  it.each([
    ['GET', '/health', 'https://evil.example', 403],
    ['GET', '/agents', 'https://evil.example', 403],
    ['POST', '/agents/echo/runs', 'https://evil.example', 403],
    ['POST', '/api/push/poll/register', 'null', 403],
    ['GET', '/nowhere', 'https://evil.example', 403],
    ['GET', '/agents', 'http://localhost:5173', 200],
    ['GET', '/agents', 'https://app.example', 200],
  ])('L-14 %s %s from %s gets %i', async (method, path, origin, status) => {
    const { ask } = openGateway({ allowedOrigins: ['https://app.example'] });
    const body = method === 'POST' ? { body: { message: 'x' } } : {};
    const answer = await ask(method, path, { ...body, headers: { origin } }).answer();
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.body).toMatchObject({ detail: expect.any(String), code: 'forbidden' });
  });

  it.each([
    ['evil.example', 403],
    ['127.0.0.1:8765', 200],
    ['[::1]:1', 200],
  ])('L-14 to a host named %s gets %i', async (host, status) => {
    const { get } = openGateway();
    expect((await get('/agents', { headers: { host } })).status).toBe(status);
  });

  it('L-14 starts nothing', async () => {
    const { ask, store } = openGateway();
    await ask('POST', '/agents/echo/runs', {
      body: { message: 'x' },
      headers: { origin: 'https://evil.example' },
    }).answer();
    expect(await store.records.list('', { limit: 10 })).toEqual([]);
  });
});

describe('listening', () => {
  it.each(['0.0.0.0', '::', '192.168.0.1', 'gateway.example'])(
    'L-16 on %s without a token is refused',
    async (host) => {
      const { gateway } = openGateway();
      await expect(gateway.listen({ port: 0, host })).rejects.toThrow('without a token');
    },
  );
});

describe('making a gateway', () => {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });

  it.each([
    [[{ ...echo, id: 'a b' }], 'agents: the id "a b"'],
    [[{ ...echo, id: '' }], 'agents: the id ""'],
    [[echo, { ...echo, kind: 'team' as const }], 'agents: the id "echo" is there twice'],
  ])('refuses agents that cannot be told apart', (agents, message) => {
    expect(() => createGateway({ agents, store, clock, random: createSeededRandom(1) })).toThrow(message);
  });
});

describe('the health of a gateway', () => {
  it('G-22 is computed once a second, however often it is asked for', async () => {
    const { get, join, clock } = openGateway();
    const before = (await get('/health')).body;
    await clock.advance(900);
    await join();
    expect((await get('/health')).body).toEqual(before);
    await clock.advance(100);
    expect((await get('/health')).body).toMatchObject({ uptime: 1, clients: 1, sessions: 1 });
  });
});

describe('closing a gateway', () => {
  it('says so to whoever asks, and takes as long as what is under way', async () => {
    const world = openGateway();
    const { gateway, join, get, clock } = world;
    const client = await join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'hi' });
    let isClosed = false;
    const closed = gateway.close().then(() => {
      isClosed = true;
    });
    await clock.advance(1_000);
    expect(isClosed).toBe(false);
    expect((await get('/ready')).status).toBe(503);
    expect((await get('/live')).status).toBe(200);
    expect((await get('/health')).body).toMatchObject({ status: 'draining' });
    await clock.advance(1_500);
    expect(isClosed).toBe(true);
    await closed;
    const back = await openGateway({ beside: world }).join({
      agent_id: 'slow',
      session_id: client.last('joined').session_id,
    });
    expect(eventsOf(back).at(-1)).toMatchObject({ type: 'response', data: { outcome: { status: 'ok' } } });
  });

  it('is the same however often it is asked', async () => {
    const { gateway, clock } = openGateway();
    const [first, second] = [gateway.close(), gateway.close()];
    await clock.settle();
    await Promise.all([first, second, gateway.close()]);
  });

  it('leaves no timer', async () => {
    const { gateway, join, client, clock, store } = openGateway();
    const viewer = await join();
    await viewer.send({ type: 'message', content: 'hi' });
    const device = await client('device');
    await device.send({ type: 'channel.subscribe', channel: 'news' });
    await clock.advance(5_000);
    await Promise.all([gateway.close(), clock.advance(1_000)]);
    await Promise.all([viewer.hangUp(), device.hangUp()]);
    await clock.advance(20_000);
    await store.close();
    expect(clock.timers).toBe(0);
  });

  it('G-23 tells every client when to come back, each another time within five seconds, and closes', async () => {
    const world = openGateway();
    const clients = await Promise.all(range(1, 50).map(() => world.join()));
    const device = await world.client('device');
    await Promise.all([world.gateway.close(), world.clock.advance(100)]);
    const times = [...clients, device].map((client) => client.last('goaway').retry_after_ms);
    expect(new Set(times).size).toBeGreaterThan(45);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(200);
    expect(Math.max(...times)).toBeLessThanOrEqual(5_000);
    expect(clients.map(({ closed }) => closed?.code)).toEqual(clients.map(() => 4503));
    expect(device.closed?.code).toBe(4503);
  });

  it('G-23 does not keep those who wait for nothing here, and takes no run any more', async () => {
    const world = openGateway();
    const [busy, idle, device] = [
      await world.join({ agent_id: 'slow' }),
      await world.join({ agent_id: 'slow' }),
      await world.client('device'),
    ];
    await busy.send({ type: 'message', content: 'wait for me' });
    const asked = world.ask('POST', '/agents/slow/runs', { body: { message: 'and for me', stream: false } });
    await world.clock.settle();
    const closed = world.gateway.close();
    await world.clock.settle();
    expect([idle, device, busy].map((client) => client.closed?.code)).toEqual([4503, 4503, undefined]);
    const { status, headers, body } = await world.post('/agents/slow/runs', { message: 'hi' });
    expect([status, headers.get('retry-after'), body]).toMatchObject([
      503,
      '5',
      { error: { code: 'draining' }, code: 'draining' },
    ]);
    await world.clock.advance(2_500);
    await closed;
    expect((await asked.answer()).body).toMatchObject({ status: 'COMPLETED' });
    expect(eventsOf(busy).at(-1)).toMatchObject({ type: 'response', data: { outcome: { status: 'ok' } } });
    expect(busy.closed?.code).toBe(4503);
  });

  it('stores what comes too late for it, for another server to answer', async () => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'wait for me' });
    const closed = world.gateway.close();
    await client.send({ type: 'message', content: 'hi', message_id: 'm1' });
    expect(client.of('response')).toHaveLength(2);
    await world.clock.advance(3_000);
    await closed;
    const heir = openGateway({ beside: world });
    await world.clock.advance(3_000);
    const back = await heir.join({ agent_id: 'slow', session_id: client.last('joined').session_id });
    expect(eventsOf(back).at(-1)).toMatchObject({ type: 'response', data: { message_id: 'm1' } });
  });
});
