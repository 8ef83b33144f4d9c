import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PollAnswer, pollRequest } from './poll-request.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { startTearing } from './tearing.ts';

/** Bytes that every answer with a message has at least: the loop below went over a head and a body. */
const LEAST_BYTES = 350;

let folder: string;
let server: ServerProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'continuo-torn-'));
  server = await startServer({ store: `sqlite:${join(folder, 'store.db')}` });
});
afterAll(async () => {
  await server.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function post(path: string, body: object): Promise<PollAnswer> {
  const answer = await pollRequest(server.port, path, body);
  if (!answer) throw new Error(`${path}: an answer that nobody tore did not arrive`);
  return answer;
}

async function register(clientId: string): Promise<string> {
  const { json } = await post('register', { client_id: clientId });
  return String(json.poll_token);
}

interface Got {
  readonly event_id: string;
  readonly attempt: number;
  readonly _redelivered?: true;
}
const messagesOf = ({ json }: PollAnswer): readonly Got[] => json.messages as readonly Got[];

it.concurrent.each([true, false])(
  'P-14 an answer that is torn at any of its bytes loses nothing: delivery %s',
  async (delivery) => {
    const channel = `torn-${delivery}`;
    const tearing = await startTearing(server.port);
    const poll_token = await register(`poller-${delivery}`);
    await post('subscribe', { poll_token, channel, delivery });
    const publisher = await register(`publisher-${delivery}`);
    let cursor = (await post('messages', { poll_token, timeout: 0 })).json.cursor;
    let isTorn = true;
    let bytes = 0;
    for (; isTorn; bytes++) {
      const id = `e${bytes}`;
      await post('publish', { poll_token: publisher, channel, data: { id }, event_id: id });
      tearing.tearAfter(bytes);
      const torn = await pollRequest(tearing.port, 'messages', { poll_token, timeout: 5, cursor });
      isTorn = torn === null;
      const again = torn ?? (await post('messages', { poll_token, timeout: 5, cursor }));
      const messages = messagesOf(again);
      expect(messages.map((message) => message.event_id)).toEqual([id]);
      if (delivery) {
        if (isTorn) expect(messages).toMatchObject([{ attempt: 2, _redelivered: true }]);
        const acked = await post('ack', { poll_token, event_id: id });
        expect(acked.json).toEqual({ ok: true });
      }
      ({ cursor } = again.json);
    }
    expect(bytes).toBeGreaterThan(LEAST_BYTES);
    const last = await post('messages', { poll_token, timeout: 0, cursor });
    expect(messagesOf(last)).toEqual([]);
    await tearing.close();
  },
);
