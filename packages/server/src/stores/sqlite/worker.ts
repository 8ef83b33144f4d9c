import { parentPort, workerData } from 'node:worker_threads';
import { createEngine, type Engine } from './engine.ts';
import type { FromWorker, Reply, ToWorker } from './messages.ts';
import { type Durability, type OpenFile, openFile } from './open.ts';

/** The thread that owns the file, so that an fsync never stalls a socket. */

/** How often the file is asked whether another process changed it, while anything is watched, in ms. */
const WATCH_MS = 20;

const { path, durability } = workerData as { path: string; durability: Durability };
if (!parentPort) throw new Error('the SQLite worker runs as a worker thread only');
const port = parentPort;
const say = (message: FromWorker): void => port.postMessage(message);
/** The bytes of packed pages are handed over, not copied. */
function answer(id: number, replies: readonly Reply[]): void {
  const bytes = replies.flatMap((reply) => {
    const entries = reply !== null && typeof reply === 'object' && 'entries' in reply ? reply.entries : [];
    return 'data' in entries ? [entries.data.buffer] : [];
  });
  port.postMessage({ kind: 'batch', id, replies } satisfies FromWorker, bytes);
}
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

let file: OpenFile | undefined;
let engine: Engine | undefined;
let watching: ReturnType<typeof setInterval> | undefined;

try {
  file = openFile(path, durability);
  engine = createEngine(file.db);
  say({ kind: 'ready' });
} catch (error) {
  say({ kind: 'failed', message: reason(error) });
  port.close();
}

function watch(): void {
  try {
    const heads = engine?.changes() ?? [];
    if (heads.length > 0) say({ kind: 'changed', heads });
  } catch {
    // The file is busy: the next tick asks again, and the heads timer of the server heals what is missed.
  }
}

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'batch':
      try {
        answer(message.id, engine?.run(message.requests) ?? []);
      } catch (error) {
        say({ kind: 'batch-failed', id: message.id, message: reason(error) });
      }
      return;
    case 'watch':
      clearInterval(watching);
      watching = message.on ? setInterval(watch, WATCH_MS) : undefined;
      return;
    case 'close':
      clearInterval(watching);
      try {
        file?.close();
      } catch {
        // Another process holds the file: what was committed is safe, only the clean mark is missing.
      }
      say({ kind: 'closed' });
      port.close();
      return;
    default:
      message satisfies never;
  }
});
