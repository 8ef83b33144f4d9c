import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PushClient } from '@continuo/client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type PollAnswer, pollRequest } from './poll-request.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { until } from './waiting.ts';

let folder: string;
let server: ServerProcess;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'continuo-token-'));
  server = await startServer({ store: `sqlite:${join(folder, 'store.db')}` });
});
afterEach(async () => {
  await server.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function post(path: string, body: object): Promise<PollAnswer> {
  const answer = await pollRequest(server.port, path, body);
  if (!answer) throw new Error(`${path}: no answer`);
  return answer;
}

async function register(clientId: string): Promise<string> {
  const { json } = await post('register', { client_id: clientId });
  const poll_token = String(json.poll_token);
  expect((await post('subscribe', { poll_token, channel: 'news' })).status).toBe(200);
  return poll_token;
}

async function restart(): Promise<void> {
  const { port } = server;
  await server.kill();
  server = await startServer({ store: `sqlite:${join(folder, 'store.db')}`, port });
}

const REQUESTS: readonly (readonly [string, object])[] = [
  ['messages', { timeout: 1 }],
  ['subscribe', { channel: 'news' }],
  ['unsubscribe', { channel: 'news' }],
  ['publish', { channel: 'news', data: 1 }],
  ['ack', { event_id: 'e1' }],
  ['nack', { event_id: 'e1' }],
  ['heartbeat', {}],
];

it('P-12 a deregistered token is refused on every route, also after a restart; another one is good', async () => {
  const gone = await register('gone');
  const stays = await register('stays');
  expect((await post('deregister', { poll_token: gone })).status).toBe(200);
  for (const isRestarted of [false, true]) {
    if (isRestarted) await restart();
    for (const [path, body] of REQUESTS) {
      const { status, json } = await post(path, { ...body, poll_token: gone });
      expect([path, status, json]).toMatchObject([path, 401, { error: { code: 'unauthorized' } }]);
    }
    const forged = `${stays.slice(0, -4)}${stays.endsWith('aaaa') ? 'bbbb' : 'aaaa'}`;
    expect((await post('messages', { poll_token: forged, timeout: 1 })).status).toBe(401);
    await post('publish', { poll_token: await register('other'), channel: 'news', data: isRestarted });
    const { status, json } = await post('messages', { poll_token: stays, timeout: 5 });
    expect([status, json]).toMatchObject([200, { messages: expect.arrayContaining([expect.anything()]) }]);
  }
});

it('P-12 a client whose token is deregistered behind its back registers anew, and does not ask without a pause', async () => {
  let requests = 0;
  let pollToken = '';
  const got: unknown[] = [];
  const client = new PushClient({
    url: `ws://127.0.0.1:${server.port}/ws`,
    clientId: 'poller',
    WebSocket: class extends WebSocket {
      constructor() {
        super('ws://127.0.0.1:9/ws'); // nobody listens there
      }
    },
    async fetch(...asked) {
      requests++;
      const { poll_token } = JSON.parse(String(asked[1]?.body ?? '{}')) as { readonly poll_token?: string };
      pollToken = poll_token ?? pollToken;
      return fetch(...asked);
    },
    backoff: { initialMs: 200, maxMs: 2_000 },
    onError: (error) => got.push(error),
  });
  await client.connect();
  await client.subscribe('news', ({ data }) => void got.push(data));
  expect(client.transportName).toBe('polling');
  const publisher = await register('other');
  await post('publish', { poll_token: publisher, channel: 'news', data: 1 });
  await until('a message', 5_000, () => got.length === 1);

  await sleep(500);
  const before = requests;
  const stale = pollToken;
  expect((await post('deregister', { poll_token: stale })).status).toBe(200);
  await post('publish', { poll_token: publisher, channel: 'news', data: 2 });
  await until('the next message', 10_000, () => got.length === 2);
  await sleep(2_000);
  expect(got).toEqual([1, 2]);
  expect(pollToken).not.toBe(stale);
  expect(requests - before).toBeLessThan(20);
  client.disconnect();
});
