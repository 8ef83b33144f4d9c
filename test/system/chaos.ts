import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSeededRandom } from '@continuo/testing';
import { type Consumer, startConsumer } from './consumer.ts';
import { deadLettersOf } from './dead-letters.ts';
import { type HttpProxy, startHttpProxy } from './http-proxy.ts';
import { isDoomed, type Letter, lettersOf } from './letters.ts';
import { publishAll } from './publisher.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { makeTrouble, PROXIES, refuseInTurn } from './trouble.ts';
import { until } from './waiting.ts';

/** How often a WebSocket is tried again while polling, in ms. */
const PROBE_MS = 1_500;
const DELIVERY = { ackTimeoutMs: 1_000, maxRetries: 3, retryBackoff: 1.2 };
/** Longer than one time for an ack, and shorter than all of them. */
const HANG_MS = 2_000;
/** From the last message until everything is handled or given up. */
const SETTLE_MS = 60_000;

export interface ChaosOptions {
  readonly seed: number;
  readonly consumers: number;
  readonly channels: number;
  readonly messages: number;
  /** Between two messages of a channel, in ms. */
  readonly everyMs: number;
  /** Times at which the server is killed, in ms from the first message. */
  readonly killsAtMs: readonly number[];
}

export interface ChaosReport {
  readonly seed: number;
  /** Pairs of a message and a consumer whose handler was done with it. */
  readonly handled: number;
  readonly deadLetters: number;
  readonly cuts: number;
  readonly kills: number;
  /** Moves of a consumer from one transport to another. */
  readonly toPolling: number;
  readonly toWebSocket: number;
  /** Messages on the wire, and those of them that were marked. */
  readonly sent: number;
  readonly redelivered: number;
  readonly handlerFailures: number;
  readonly publishedAgain: number;
  readonly ms: number;
}

/**
 * Consumers on channels whose connections are cut, whose WebSockets are refused and let through again, whose handlers
 * fail and hang, and whose server is killed and restarted. Rejects when a promise does not hold.
 */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, everyMs, killsAtMs } = options;
  const random = createSeededRandom(seed);
  const messages = lettersOf({
    random: random.fork(),
    channels: options.channels,
    messages: options.messages,
  });
  const channels = [...messages.keys()];
  const folder = mkdtempSync(join(tmpdir(), 'continuo-chaos-'));
  const config = join(folder, 'continuo.config.mjs');
  const push = { enabled: true, delivery: DELIVERY };
  writeFileSync(config, `export default ${JSON.stringify({ push, limits: 'off' })};`);
  const start = (port: number): Promise<ServerProcess> =>
    startServer({ store: `sqlite:${join(folder, 'store.db')}`, args: ['--config', config], port });
  let server = await start(0);
  const { port } = server;
  const proxies: HttpProxy[] = [];
  const consumers: Consumer[] = [];
  const over = new AbortController();
  try {
    for (let index = 0; index < PROXIES; index++) proxies.push(await startHttpProxy(port));
    await Promise.all(
      Array.from({ length: options.consumers }, async (_, index) => {
        const consumer = await startConsumer({
          port: proxies[index % PROXIES]?.port ?? 0,
          channel: channels[Math.floor(index / PROXIES) % channels.length] ?? '',
          clientId: `consumer-${index}`,
          hangMs: HANG_MS,
          probeMs: PROBE_MS,
          backoff: { initialMs: 100, maxMs: 1_000 },
        });
        consumers.push(consumer);
      }),
    );

    const startedAt = Date.now();
    const trouble = makeTrouble(proxies, random.fork(), over.signal);
    const refusing = refuseInTurn(proxies, random.fork(), over.signal);
    const killing = (async () => {
      for (const at of killsAtMs) {
        await sleep(Math.max(0, startedAt + at - Date.now()));
        await server.kill();
        await sleep(random.int(0, 800));
        server = await start(port);
      }
    })();
    const publishedAgain = await publishAll({ port, messages, everyMs });
    await killing;
    over.abort();
    await Promise.all([trouble.stopped, refusing]);

    const expected = expectedOf(consumers, messages);
    await until('every message is handled', SETTLE_MS, () =>
      consumers.every((consumer) => consumer.handled.size >= (expected.get(consumer)?.handled.length ?? 0)),
    ).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${missingOf(expected)}`, { cause: error });
    });
    const doomed = [...expected.values()].flatMap((of) => of.doomed).toSorted();
    let dead: readonly string[] = [];
    await until('what cannot be handled is given up', SETTLE_MS, async () => {
      dead = (await deadLettersOf(port, channels)).map(({ clientId, eventId }) => `${clientId} ${eventId}`);
      return dead.length >= doomed.length;
    }).catch((error: unknown) => {
      const missing = doomed.filter((letter) => !dead.includes(letter));
      throw new Error(`seed ${seed}: not given up: ${missing.slice(0, 5).join(', ')}`, { cause: error });
    });
    await sleep(500); // nothing more may be given up, and nothing come again
    dead = (await deadLettersOf(port, channels)).map(({ clientId, eventId }) => `${clientId} ${eventId}`);
    const surplus = dead
      .toSorted()
      .filter((letter, at, all) => !doomed.includes(letter) || letter === all[at - 1]);
    if (surplus.length > 0)
      throw new Error(
        `seed ${seed}: given up twice or, marked *, that should not be: ${surplus
          .slice(0, 5)
          .map((letter) => `${letter}${doomed.includes(letter) ? '' : '*'}`)
          .join(', ')}`,
      );
    const wrong = consumers.flatMap((consumer) => [
      ...consumer.wrong,
      ...consumer.wire.unmarked.map((id) => `P-6: ${consumer.clientId} got ${id} again, unmarked`),
    ]);
    if (wrong.length > 0)
      throw new Error(`seed ${seed}: ${wrong.length} wrong: ${wrong.slice(0, 5).join('; ')}`);
    if (server.errors !== '') throw new Error(`seed ${seed}: the server said ${server.errors.slice(0, 500)}`);

    const sum = (of: (consumer: Consumer) => number): number =>
      consumers.reduce((total, consumer) => total + of(consumer), 0);
    const moves = (to: string): number =>
      sum(({ transports }) => transports.filter((name, at) => at > 0 && name === to).length);
    return {
      seed,
      handled: sum(({ handled }) => handled.size),
      deadLetters: dead.length,
      cuts: trouble.cuts,
      kills: killsAtMs.length,
      toPolling: moves('polling'),
      toWebSocket: moves('websocket'),
      sent: sum(({ wire }) => wire.messages),
      redelivered: sum(({ wire }) => wire.redelivered),
      handlerFailures: sum(({ failures }) => failures),
      publishedAgain,
      ms: Date.now() - startedAt,
    };
  } finally {
    over.abort();
    for (const { client } of consumers) client.disconnect();
    for (const proxy of proxies) await proxy.close();
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Expected {
  /** By event id. */
  readonly handled: readonly string[];
  /** By client and event id. */
  readonly doomed: readonly string[];
}

function expectedOf(
  consumers: readonly Consumer[],
  messages: ReadonlyMap<string, readonly Letter[]>,
): ReadonlyMap<Consumer, Expected> {
  return new Map(
    consumers.map((consumer) => {
      const letters = messages.get(consumer.channel) ?? [];
      const handled = letters.filter((letter) => !isDoomed(letter)).map(({ id }) => id);
      return [
        consumer,
        { handled, doomed: letters.filter(isDoomed).map(({ id }) => `${consumer.clientId} ${id}`) },
      ];
    }),
  );
}

function missingOf(expected: ReadonlyMap<Consumer, Expected>): string {
  const handledOf = [...expected.values()].map(({ handled }) => handled.length);
  const missing = [...expected].flatMap(([consumer, { handled }]) =>
    handled.filter((id) => !consumer.handled.has(id)).map((id) => `${id} at ${consumer.clientId}`),
  );
  const behind = [...expected.keys()].filter(({ handled }, at) => handled.size < (handledOf[at] ?? 0));
  const states = behind.map(({ client, clientId, transports }) => {
    return `${clientId} is ${client.state} over ${client.transportName}, before that ${transports.join(', ')}`;
  });
  return `P-3: ${missing.length} lost: ${[...missing.slice(0, 5), ...states.slice(0, 5)].join('; ')}`;
}
