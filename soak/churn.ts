import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openRawSocket } from '../test/system/raw-socket.ts';
import { type ServerProcess, startServer } from '../test/system/server-process.ts';
import { until } from '../test/system/waiting.ts';

/** Connections that join and go, in rounds; memory is read at rest after each. */
const ROUNDS = 20;
const CONNECTIONS = 5_000;
const AT_ONCE = 50;
/** For rings that linger, and for two collections. */
const REST_MS = 15_000;
/** What is held at rest may grow by so many bytes per connection over the second half of the rounds. */
const SLOPE_BYTES = 40;

/** Bytes held by all threads after a collection: their heaps, and what their objects hold outside of them. */
function heldIn(folder: string): number {
  const files = readdirSync(folder).filter((name) => name.startsWith('held-'));
  if (files.length < 2) throw new Error('the threads of the server do not say what they hold');
  return files.reduce((sum, name) => sum + Number(readFileSync(join(folder, name), 'utf8')), 0);
}

function residentOf({ pid }: ServerProcess): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

function handlesOf({ pid }: ServerProcess): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Bytes per connection, by least squares. */
function slopeOf(memories: readonly number[]): number {
  const middle = (memories.length - 1) / 2;
  const mean = memories.reduce((sum, bytes) => sum + bytes, 0) / memories.length;
  let above = 0;
  let below = 0;
  for (const [index, bytes] of memories.entries()) {
    above += (index - middle) * (bytes - mean);
    below += (index - middle) ** 2;
  }
  return above / below / CONNECTIONS;
}

/** Joins, most often talks or resumes, and goes: in good order, or without a word. */
async function visit(server: ServerProcess, number: number): Promise<void> {
  const socket = await openRawSocket({ port: server.port, path: '/' });
  socket.send({ type: 'join', agent_id: 'echo' });
  const { session_id } = await socket.frame((frame) => frame.type === 'joined');
  if (number % 4 === 1) {
    socket.send({ type: 'message', content: 'hi' });
    await socket.frame((frame) => (frame.event as { type?: string } | undefined)?.type === 'response');
  } else if (number % 4 === 2) {
    socket.send({ type: 'join', agent_id: 'echo', session_id, since: 0 });
    await socket.frame((frame) => frame.type === 'joined' && frame.resumed === true);
  } else if (number % 4 === 3) socket.send({ type: 'leave' });
  socket.cut();
}

/** A hundred thousand connects and disconnects: memory stays where it was, and no handle is left. */
export async function soakChurn(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-churn-'));
  const collect = fileURLToPath(new URL('./collect.ts', import.meta.url));
  const server = await startServer({
    store: `sqlite:${join(folder, 'store.db')}`,
    env: { CONTINUO_LIMITS: 'off', CONTINUO_SOAK_FOLDER: folder },
    nodeArgs: ['--expose-gc', '--import', collect],
  });
  try {
    const handlesBefore = handlesOf(server);
    const memories: number[] = [];
    const started = Date.now();
    for (let round = 0; round < ROUNDS; round++) {
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < CONNECTIONS) await visit(server, next++);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      await sleep(REST_MS);
      memories.push(heldIn(folder));
      const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
      console.log(
        `${(round + 1) * CONNECTIONS} connections: ${mib(heldIn(folder))} MiB held, ${mib(residentOf(server))} MiB resident, ${handlesOf(server)} handles`,
      );
    }
    await until('every handle is closed', 5_000, () => handlesOf(server) <= handlesBefore);
    const slope = slopeOf(memories.slice(ROUNDS / 2));
    console.log(
      `${ROUNDS * CONNECTIONS} connects and disconnects in ${Math.round((Date.now() - started) / 1000)} s: ` +
        `${slope.toFixed(1)} bytes held more per connection over the second half, ` +
        `${handlesOf(server) - handlesBefore} handles left`,
    );
    if (slope > SLOPE_BYTES)
      throw new Error(`memory grows by ${slope.toFixed(1)} bytes with each connection`);
  } finally {
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
