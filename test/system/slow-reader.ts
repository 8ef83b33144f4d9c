import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { flood } from './flood.ts';
import { openRawSocket, type RawSocket } from './raw-socket.ts';
import { residentOf } from './resident.ts';
import { startServer } from './server-process.ts';
import { until } from './waiting.ts';

const SAMPLE_MS = 50;
/** After a channel has stopped growing it is trimmed to what is kept of it, within this time. */
const TRIM_MS = 2_500;
const CHANNEL = 'flood';
const RETAINED_BYTES = 2 * 1024 ** 3;

export interface SlowReaderOptions {
  readonly messages: number;
  /** Of the JSON of each. */
  readonly bytes: number;
  /** Published before, while everybody reads: what a flood costs a server that nobody keeps waiting. */
  readonly warmUp: number;
  /** How many entries of the channel are kept. */
  readonly maxEntries: number;
}

export interface SlowReaderReport {
  /** The most resident memory of the server, in bytes: while everybody read, while one did not, and while it read again. */
  readonly most: { readonly all: number; readonly stopped: number; readonly again: number };
  /** What the slow reader got before it was told of a reset, and after. Without a reset all is before. */
  readonly before: number;
  readonly after: number;
  readonly resets: number;
  readonly floodMs: number;
  readonly readMs: number;
}

interface Reader {
  readonly socket: RawSocket;
  readonly resets: readonly { readonly to: number; readonly at: number }[];
  /** The last it got. */
  readonly sequence: number;
  readonly count: number;
}

/** Reads at most once, from the start; throws what is out of order at whoever looks at it. */
async function openReader(port: number): Promise<Reader> {
  let sequence = 0;
  let count = 0;
  let wrong = '';
  const resets: { to: number; at: number }[] = [];
  const socket = await openRawSocket({
    port,
    path: '/ws',
    onFrame(text) {
      if (text.startsWith('{"type":"channel.reset"')) {
        const { to } = JSON.parse(text) as { to: number };
        resets.push({ to, at: count });
        sequence = to;
      }
      const got = /"sequence":(\d+)/.exec(text)?.[1];
      if (got === undefined) return;
      count++;
      if (Number(got) !== sequence + 1) wrong ||= `P-4: ${got} came after ${sequence}`;
      sequence = Number(got);
    },
  });
  socket.send({ type: 'channel.subscribe', channel: CHANNEL, delivery: false, since: 0 });
  return {
    socket,
    resets,
    get sequence() {
      if (wrong !== '') throw new Error(wrong);
      return sequence;
    },
    get count() {
      return count;
    },
  };
}

/**
 * One subscriber without delivery stops reading while a channel is flooded; two others read on. Rejects when anything
 * is out of order, or when the others do not get everything.
 */
export async function slowReader(options: SlowReaderOptions): Promise<SlowReaderReport> {
  const { messages, bytes, warmUp, maxEntries } = options;
  const folder = mkdtempSync(join(tmpdir(), 'continuo-slow-'));
  const config = join(folder, 'continuo.config.mjs');
  const retention = { channel: { maxEntries, maxBytes: RETAINED_BYTES } };
  writeFileSync(config, `export default ${JSON.stringify({ retention, limits: 'off' })};`);
  const server = await startServer({
    store: `sqlite:${join(folder, 'store.db')}`,
    args: ['--config', config],
  });
  const { port, pid } = server;
  const sockets: RawSocket[] = [];
  const open = async (): Promise<Reader> => {
    const reader = await openReader(port);
    sockets.push(reader.socket);
    return reader;
  };
  let most = 0;
  const sampling = setInterval(() => {
    most = Math.max(most, residentOf(pid));
  }, SAMPLE_MS);
  try {
    const slow = await open();
    const others = [await open(), await open()];
    const publish = (count: number, readers: readonly Reader[]): Promise<void> => {
      const from = Math.max(0, ...readers.map((reader) => reader.sequence));
      const read = (): number => Math.min(...readers.map((reader) => reader.sequence)) - from;
      return flood({ port, channel: CHANNEL, messages: count, bytes, read });
    };
    await publish(warmUp, [slow, ...others]);
    const all = most;
    most = 0;

    slow.socket.socket.pause();
    const head = warmUp + messages;
    const startedAt = Date.now();
    await publish(messages, others);
    const floodMs = Date.now() - startedAt;
    const stopped = most;
    most = 0;
    for (const other of others) {
      if (other.count !== head) throw new Error(`P-3: a reader that read on got ${other.count} of ${head}`);
    }
    if (slow.sequence !== warmUp) throw new Error('it was to stop reading, and has read');

    await sleep(TRIM_MS);
    const resumedAt = Date.now();
    slow.socket.socket.resume();
    await until('the slow reader has the newest', 300_000, () => slow.sequence >= head);
    const readMs = Date.now() - resumedAt;
    await sleep(200); // nothing more may come
    const before = (slow.resets[0]?.at ?? slow.count) - warmUp;
    return {
      most: { all, stopped, again: most },
      before,
      after: slow.count - warmUp - before,
      resets: slow.resets.length,
      floodMs,
      readMs,
    };
  } finally {
    clearInterval(sampling);
    for (const socket of sockets) socket.cut();
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
