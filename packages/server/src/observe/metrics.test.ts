import { describe, expect, it } from 'vitest';
import { ALICE, BOB, eventsOf, openGateway, type TestGateway } from '../../test/gateway.ts';
import { createLoopLag } from './loop-lag.ts';
import { createMetrics } from './metrics.ts';
import { createTally } from './tally.ts';

const PEOPLE = [
  { token: ALICE, subject: 'alice' },
  { token: BOB, subject: 'bob', scopes: ['read', 'write'] as const },
];

/** The samples of a scrape, by name and labels as they are written. */
async function scrape({ get }: TestGateway, token?: string): Promise<Map<string, number>> {
  const { status, headers, body } = await get('/metrics', { token });
  expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  const lines = String(body)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

describe('GET /metrics', () => {
  it('says what is open, watched, kept and driven at this moment', async () => {
    const world = openGateway();
    const before = await scrape(world);
    expect(before.get('continuo_sockets')).toBe(0);
    expect(before.get('continuo_event_loop_lag_seconds{stat="max"}')).toBe(0);
    const client = await world.join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'hi' });
    const during = await scrape(world);
    expect(during.get('continuo_sockets')).toBe(1);
    expect(during.get('continuo_logs_watched')).toBe(1);
    expect(during.get('continuo_runs_active')).toBe(1);
    expect(during.get('continuo_ring_bytes')).toBeGreaterThan(0);
    expect(during.get('continuo_socket_buffered_bytes')).toBe(0);
    await world.clock.advance(5_000);
    expect((await scrape(world)).get('continuo_runs_active')).toBe(0);
  });

  it('counts every entry that was stored, once', async () => {
    const world = openGateway();
    const client = await world.join();
    await client.send({ type: 'message', content: 'one two', message_id: 'm1' });
    await client.send({ type: 'message', content: 'one two', message_id: 'm1' });
    await world.clock.advance(1_000);
    const head = eventsOf(client).at(-1)?.sequence;
    expect(head).toBeGreaterThan(3);
    const appends = async (): Promise<number | undefined> =>
      (await scrape(world)).get('continuo_appends_total');
    expect(await appends()).toBe(head);
    const publisher = await world.client('device-1');
    const published = { type: 'channel.publish', channel: 'news', data: 1, event_id: 'e1' };
    for (let times = 0; times < 2; times++) await publisher.send(published);
    expect(await appends()).toBe((head ?? 0) + 1);
  });

  it('counts the errors that clients were told, by code, on every door', async () => {
    const world = openGateway();
    const client = await world.socket('/');
    await client.send({ type: 'dance' });
    await client.send({ type: 'dance' });
    await client.send({ type: 'join', agent_id: 'nobody' });
    await world.get('/nowhere');
    await world.get('/agents/nobody');
    await world.post('/api/push/poll/messages', {});
    await world.get('/agents', { headers: { origin: 'https://evil.example' } });
    const errors = [...(await scrape(world))].filter(([name]) => name.startsWith('continuo_errors_total'));
    expect(Object.fromEntries(errors)).toEqual({
      'continuo_errors_total{code="unknown_type"}': 2,
      'continuo_errors_total{code="agent_not_found"}': 1,
      'continuo_errors_total{code="not_found"}': 2,
      'continuo_errors_total{code="bad_request"}': 1,
      'continuo_errors_total{code="forbidden"}': 1,
    });
  });

  it('counts what was delivered again, and what died of it', async () => {
    const tally = createTally();
    const lag = createLoopLag();
    const nothing = { size: 0, bufferedBytes: 0, ringBytes: 0, active: 0 };
    const sources = { sockets: nothing, tails: nothing, workers: nothing };
    const registry = createMetrics({ version: '0', components: [], tally, lag, ...sources });
    tally.redelivery();
    tally.redelivery();
    tally.deadLetter();
    const text = await registry.metrics();
    expect(text).toMatch(/^continuo_redeliveries_total 2$/m);
    expect(text).toMatch(/^continuo_dead_letters_total 1$/m);
    lag.close();
  });

  it('counts a socket that was closed without a word', async () => {
    const world = openGateway();
    await world.socket('/');
    await world.clock.advance(10_000);
    expect((await scrape(world)).get('continuo_errors_total{code="handshake_timeout"}')).toBe(1);
  });

  it('keeps the numbers of two gateways of one process apart', async () => {
    const one = openGateway();
    const other = openGateway();
    await one.get('/nowhere');
    expect((await scrape(one)).get('continuo_errors_total{code="not_found"}')).toBe(1);
    expect((await scrape(other)).has('continuo_errors_total{code="not_found"}')).toBe(false);
  });

  it.each([
    ['no token', undefined, 401],
    ['a token without the scope admin', BOB, 403],
    ['a token with it', ALICE, 200],
  ])('where tokens are required, %s gets its answer', async (_what, token, status) => {
    const { get } = openGateway({ tokens: PEOPLE });
    expect((await get('/metrics', { token })).status).toBe(status);
  });

  it('takes no token from the query: those who scrape log their URLs', async () => {
    const { get } = openGateway({ tokens: PEOPLE });
    expect((await get(`/metrics?token=${ALICE}`)).status).toBe(401);
  });

  it('is never open beyond loopback', async () => {
    const { gateway, get } = openGateway();
    await expect(gateway.listen({ port: 0, host: '0.0.0.0' })).rejects.toThrow('without a token');
    expect((await get('/metrics')).status).toBe(403);
  });
});
