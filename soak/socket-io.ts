import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createSeededRandom } from '@continuo/testing';
import type { ChaosOptions } from '../test/system/chaos.ts';
import { type HttpProxy, startHttpProxy } from '../test/system/http-proxy.ts';
import { lettersOf } from '../test/system/letters.ts';
import { makeTrouble, PROXIES } from '../test/system/trouble.ts';
import { until } from '../test/system/waiting.ts';
import { openSocketIoClient, type SocketIoClient } from './socket-io-client.ts';

const SCRIPT = fileURLToPath(new URL('./socket-io-server.ts', import.meta.url));
/** For what is on its way when the last message is published, in ms. */
const SETTLE_MS = 10_000;

export interface SocketIoReport {
  /** Pairs of a message and a subscriber. */
  readonly expected: number;
  readonly lost: number;
  readonly doubled: number;
  readonly cuts: number;
}

interface ServerProcess {
  readonly port: number;
  kill(): Promise<void>;
}

async function startSocketIo(port: number): Promise<ServerProcess> {
  const child = fork(SCRIPT, [String(port)], { env: { ...process.env, NODE_OPTIONS: '' } });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const taken = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { readonly port: number }) => resolve(message.port));
    child.once('exit', () => reject(new Error('the server of Socket.IO ended')));
  });
  return {
    port: taken,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/**
 * As many subscribers of Socket.IO behind the same proxies, with the same messages, the same cuts and the same kills of
 * their server: what they do not get. Nobody refuses their WebSockets, and their handlers are not asked.
 */
export async function socketIoBeside(options: ChaosOptions): Promise<SocketIoReport> {
  const { seed, channels, messages, everyMs, killsAtMs } = options;
  const random = createSeededRandom(seed);
  const letters = lettersOf({ random: random.fork(), channels, messages });
  const names = [...letters.keys()];
  let server = await startSocketIo(0);
  const { port } = server;
  const proxies: HttpProxy[] = [];
  const clients: SocketIoClient[] = [];
  const got: Map<string, number>[] = [];
  const over = new AbortController();
  try {
    for (let index = 0; index < PROXIES; index++) proxies.push(await startHttpProxy(port));
    let subscribed = 0;
    for (let index = 0; index < options.consumers; index++) {
      const channel = names[Math.floor(index / PROXIES) % channels] ?? '';
      const own = new Map<string, number>();
      got.push(own);
      const client = openSocketIoClient({
        port: proxies[index % PROXIES]?.port ?? 0,
        onNew: (fresh) =>
          void fresh.ask('subscribe', channel).then((isDone) => (subscribed += isDone ? 1 : 0)),
        onEvent: ([, id]) => void own.set(String(id), (own.get(String(id)) ?? 0) + 1),
      });
      clients.push(client);
    }
    await until('all are subscribed', 20_000, () => subscribed >= options.consumers);

    const startedAt = Date.now();
    const trouble = makeTrouble(proxies, random.fork(), over.signal);
    const killing = (async () => {
      for (const at of killsAtMs) {
        await sleep(Math.max(0, startedAt + at - Date.now()));
        await server.kill();
        await sleep(random.int(0, 800));
        server = await startSocketIo(port);
      }
    })();
    const publisher = openSocketIoClient({ port, onNew() {}, onEvent() {} });
    clients.push(publisher);
    await Promise.all(
      [...letters].map(async ([channel, all]) => {
        for (const { id } of all) {
          while (!(await publisher.ask('publish', channel, id))) await sleep(20);
          await sleep(everyMs);
        }
      }),
    );
    await killing;
    over.abort();
    await trouble.stopped;
    await sleep(SETTLE_MS);

    let expected = 0;
    let lost = 0;
    let doubled = 0;
    for (const [index, own] of got.entries()) {
      const all = letters.get(names[Math.floor(index / PROXIES) % channels] ?? '') ?? [];
      expected += all.length;
      lost += all.filter(({ id }) => !own.has(id)).length;
      doubled += [...own.values()].filter((count) => count > 1).length;
    }
    return { expected, lost, doubled, cuts: trouble.cuts };
  } finally {
    over.abort();
    for (const client of clients) client.close();
    for (const proxy of proxies) await proxy.close();
    await server.kill();
  }
}
