import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openRawSocket, type RawSocket } from './raw-socket.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { until } from './waiting.ts';

let folder: string;
let server: ServerProcess;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'continuo-push-'));
  server = await startServer({ store: `sqlite:${join(folder, 'store.db')}` });
});
afterEach(async () => {
  await server.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function restart(): Promise<void> {
  const { port } = server;
  await server.kill();
  server = await startServer({ store: `sqlite:${join(folder, 'store.db')}`, port });
}

async function subscriber(clientId: string): Promise<RawSocket> {
  const socket = await openRawSocket({ port: server.port, path: '/ws' });
  socket.send({ type: 'auth', client_id: clientId });
  socket.send({ type: 'channel.subscribe', channel: 'news' });
  await socket.frame((frame) => frame.type === 'channel.subscribed');
  return socket;
}

async function publish(from: RawSocket, ids: readonly string[]): Promise<void> {
  for (const id of ids) from.send({ type: 'channel.publish', channel: 'news', data: { id }, event_id: id });
  await until('the publishes are confirmed', 5_000, () =>
    ids.every((id) =>
      from.frames.some((frame) => frame.type === 'channel.published' && frame.event_id === id),
    ),
  );
}

const messagesOf = (socket: RawSocket): readonly Readonly<Record<string, unknown>>[] =>
  socket.frames.filter((frame) => frame.type === 'channel_message');

async function post(path: string, body: object): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await fetch(`${server.url}/api/push/poll/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

it('P-5 a subscriber whose server was killed gets exactly what it had not acked, marked', async () => {
  const device = await subscriber('device');
  const publisher = await openRawSocket({ port: server.port, path: '/ws' });
  const ids = Array.from({ length: 10 }, (_, index) => `e${index + 1}`);
  await publish(publisher, ids);
  await until('all ten are delivered', 5_000, () => messagesOf(device).length === 10);
  expect(messagesOf(device).every((message) => message.attempt === 1 && !('_redelivered' in message))).toBe(
    true,
  );
  const acked = ['e1', 'e2', 'e3', 'e5', 'e8'];
  for (const id of acked) device.send({ type: 'message_ack', event_id: id });
  await until(
    'the acks are stored',
    5_000,
    () => device.frames.filter((frame) => frame.ok === true && frame.type === 'ack_received').length === 5,
  );

  await restart();
  const back = await subscriber('device');
  await until('what was not acked comes', 5_000, () => messagesOf(back).length >= 5);
  const again = await openRawSocket({ port: server.port, path: '/ws' });
  await publish(again, ['e11']);
  await until('what is new comes', 5_000, () =>
    messagesOf(back).some((message) => message.event_id === 'e11'),
  );
  await sleep(300); // nothing more may come
  expect(
    messagesOf(back).map(({ event_id, attempt, _redelivered }) => [event_id, attempt, _redelivered]),
  ).toEqual([...['e4', 'e6', 'e7', 'e9', 'e10'].map((id) => [id, 2, true]), ['e11', 1, undefined]]);
});

it('P-13 a parked poll answers at once when something is published', async () => {
  const { json } = await post('register', { client_id: 'poller' });
  const { poll_token } = json;
  expect((await post('subscribe', { poll_token, channel: 'news' })).json).toMatchObject({
    ok: true,
    channel: 'news',
  });
  const publisher = await openRawSocket({ port: server.port, path: '/ws' });
  let answeredAt = 0;
  const parked = post('messages', { poll_token, timeout: 20 }).then((answer) => {
    answeredAt = Date.now();
    return answer;
  });
  await sleep(700);
  expect(answeredAt).toBe(0);
  const publishedAt = Date.now();
  await publish(publisher, ['e1']);
  const { json: batch } = await parked;
  expect(batch.messages).toMatchObject([{ event_id: 'e1', attempt: 1 }]);
  expect(answeredAt - publishedAt).toBeLessThan(500);
});

it('P-12 a poll token is good after a restart, and a bad one gets 401', async () => {
  const { json } = await post('register', { client_id: 'poller' });
  const { poll_token } = json;
  await post('subscribe', { poll_token, channel: 'news' });
  await restart();
  const publisher = await openRawSocket({ port: server.port, path: '/ws' });
  await publish(publisher, ['e1']);
  const { status, json: batch } = await post('messages', { poll_token, timeout: 5 });
  expect(status).toBe(200);
  expect(batch.messages).toMatchObject([{ event_id: 'e1', attempt: 1 }]);
  for (const bad of ['', 'x', 'a.b', `${String(poll_token).slice(0, -2)}xx`, `${poll_token}.x`]) {
    const answer = await post('messages', { poll_token: bad, timeout: 5 });
    expect(answer.status).toBe(401);
    expect(answer.json).toMatchObject({ error: { code: 'unauthorized' } });
  }
});

it('P-14 what a lost answer held comes again, marked; with the newest cursor it does not', async () => {
  const { json } = await post('register', { client_id: 'poller' });
  const { poll_token } = json;
  await post('subscribe', { poll_token, channel: 'news' });
  const publisher = await openRawSocket({ port: server.port, path: '/ws' });
  await publish(publisher, ['e1', 'e2']);
  const lost = await post('messages', { poll_token, timeout: 5 });
  expect(lost.json.messages).toMatchObject([
    { event_id: 'e1', attempt: 1 },
    { event_id: 'e2', attempt: 1 },
  ]);
  const again = await post('messages', { poll_token, timeout: 5 });
  expect(again.json.messages).toMatchObject([
    { event_id: 'e1', attempt: 2, _redelivered: true },
    { event_id: 'e2', attempt: 2, _redelivered: true },
  ]);
  expect((await post('ack', { poll_token, event_id: 'e1' })).json).toEqual({ ok: true });
  await publish(publisher, ['e3']);
  const next = await post('messages', { poll_token, timeout: 5, cursor: again.json.cursor });
  expect(next.json.messages).toMatchObject([{ event_id: 'e3', attempt: 1 }]);
  const fromStart = await post('messages', { poll_token, timeout: 5 });
  expect(fromStart.json.messages).toMatchObject([
    { event_id: 'e2', attempt: 2 },
    { event_id: 'e3', attempt: 2 },
  ]);
});
