import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { openRawSocket } from './raw-socket.ts';
import { residentOf } from './resident.ts';
import { startServer } from './server-process.ts';
import { finalsOf, watch } from './viewer.ts';
import { until } from './waiting.ts';

const MB = 1024 * 1024;
/** An answer of `echo` stores its message four times: as asked, as a delta, as the whole text and as the end. */
const MESSAGE_BYTES = 128 * 1024;
const MESSAGES = 106;
/** What the slow client takes: about 20 MB/s. */
const SLOW_STEP_MS = 5;
const SLOW_STEP_BYTES = 100 * 1024;

it('L-5 a session of 50 MB is replayed whole to a slow client in less than 32 MB of memory', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-memory-'));
  const store = `sqlite:${join(folder, 'store.db')}`;
  let server = await startServer({ store });
  try {
    const writer = watch({ url: server.url, agentId: 'echo' });
    await writer.client.connect();
    const { sessionId } = writer.client;
    for (let index = 0; index < MESSAGES; index++) {
      await writer.client.send(String(index % 10).repeat(MESSAGE_BYTES));
      await until('the answer', 20_000, () => finalsOf(writer.events).length === index + 1);
    }
    const head = writer.client.cursor;
    writer.client.disconnect();
    await server.kill();

    server = await startServer({ store });
    // What a first reader of anything costs is not the replay's: another session is joined and read before.
    const other = watch({ url: server.url, agentId: 'echo' });
    await other.client.connect();
    await other.client.send('hello');
    await until('the other answer', 5_000, () => finalsOf(other.events).length === 1);
    await sleep(500);
    const before = residentOf(server.pid);

    let sequence = 0;
    let whole = 0;
    const reader = await openRawSocket({
      port: server.port,
      path: '/',
      onFrame(text) {
        whole += text.length;
        const seq = /"seq":(\d+)\}$/.exec(text)?.[1];
        if (seq === undefined) return;
        if (Number(seq) !== sequence + 1) throw new Error(`G-7: ${seq} after ${sequence}`);
        sequence = Number(seq);
      },
    });
    reader.send({ type: 'join', agent_id: 'echo', session_id: sessionId, since: 0 });
    let most = before;
    let taken = 0;
    while (sequence < head) {
      if (reader.bytes - taken > SLOW_STEP_BYTES) {
        taken = reader.bytes;
        reader.socket.pause();
        await sleep(SLOW_STEP_MS);
        reader.socket.resume();
      }
      await sleep(1);
      most = Math.max(most, residentOf(server.pid));
    }
    reader.cut();
    other.client.disconnect();
    expect(whole).toBeGreaterThan(50 * MB);
    expect((most - before) / MB).toBeLessThan(32);
  } finally {
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});
