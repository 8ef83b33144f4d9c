import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Consumer, startConsumer } from './consumer.ts';
import { startHttpProxy } from './http-proxy.ts';
import type { Letter } from './letters.ts';
import { publishAll } from './publisher.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { until } from './waiting.ts';

/** How often a WebSocket is tried again while polling, in ms. */
const PROBE_MS = 1_000;
/** What a probe may take beyond its time, in ms. */
const MOVE_MS = 1_500;
/** How long a probe waits for an answer that never comes, in ms. */
const SWALLOWED_MS = 10_000;
const FLOW_MS = 4_000;
const EVERY_MS = 15;
const BACKOFF = { initialMs: 50, maxMs: 500 };

let server: ServerProcess;

beforeAll(async () => {
  server = await startServer({ store: 'memory' });
});
afterAll(async () => {
  expect(server.errors).toBe('');
  await server.kill();
});

/** Messages are published until it is stopped. */
interface Flow {
  /** What was published so far. */
  readonly letters: readonly Letter[];
  /** Resolves when the newest is stored. */
  stop(): Promise<unknown>;
}

function flow(channel: string): Flow {
  const letters: Letter[] = [];
  let isOver = false;
  function* more(): Iterable<Letter> {
    while (!isOver) {
      const n = letters.length + 1;
      const letter: Letter = { id: `${channel}-${n}`, data: { n, fate: 'handled' } };
      letters.push(letter);
      yield letter;
    }
  }
  const messages = new Map([[channel, more()]]);
  const published = publishAll({ port: server.port, messages, everyMs: EVERY_MS });
  return {
    letters,
    stop() {
      isOver = true;
      return published;
    },
  };
}

async function expectAll(consumer: Consumer, { letters, stop }: Flow): Promise<void> {
  await stop();
  await until('every message is handled', 10_000, () => consumer.handled.size >= letters.length);
  expect(letters.filter(({ id }) => !consumer.handled.has(id))).toEqual([]);
  expect(consumer.wrong).toEqual([]);
  expect(consumer.wire.unmarked).toEqual([]);
}

describe.concurrent('a client of channels behind a proxy', () => {
  it.each([
    [403, 0],
    [404, 0],
    [502, 0],
    ['swallow', SWALLOWED_MS],
  ] as const)(
    'P-3 works by polling within 3 s where upgrades get %s, and is back on WebSocket soon after they pass',
    async (upgrades, lateMs) => {
      const channel = `refused-${upgrades}`;
      const proxy = await startHttpProxy(server.port, { upgrades });
      const startedAt = Date.now();
      const consumer = await startConsumer({
        port: proxy.port,
        channel,
        clientId: channel,
        hangMs: 0,
        probeMs: PROBE_MS,
        backoff: BACKOFF,
      });
      const flowing = flow(channel);
      try {
        await until('a message is handled', 5_000, () => consumer.handled.size > 0);
        expect(Date.now() - startedAt).toBeLessThan(3_000);
        expect(consumer.client.transportName).toBe('polling');
        await sleep(PROBE_MS * 1.5);
        expect(consumer.client.transportName).toBe('polling');
        proxy.behave({ upgrades: 'pass' });
        const withinMs = PROBE_MS + MOVE_MS + lateMs;
        await until('it is back', withinMs, () => consumer.client.transportName === 'websocket');
        await sleep(PROBE_MS);
        await expectAll(consumer, flowing);
        expect(consumer.transports).toEqual(['polling', 'websocket']);
        expect(proxy.refused).toBeGreaterThan(upgrades === 'swallow' ? 0 : 1);
      } finally {
        consumer.client.disconnect();
        await proxy.close();
      }
    },
  );

  it.each([
    ['that cuts every connection soon', { cutAfterMs: 600 }, 'websocket'],
    [
      'that cuts every connection soon, and lets no WebSocket through',
      { cutAfterMs: 600, upgrades: 502 },
      'polling',
    ],
    ['that keeps every answer until its end', { buffers: true }, 'websocket'],
    [
      'that keeps every answer until its end, and lets no WebSocket through',
      { buffers: true, upgrades: 403 },
      'polling',
    ],
  ] as const)('P-3 loses and doubles nothing behind one %s', async (name, manners, transport) => {
    const channel = `cut-${name.length}`;
    const proxy = await startHttpProxy(server.port, manners);
    const consumer = await startConsumer({
      port: proxy.port,
      channel,
      clientId: channel,
      hangMs: 0,
      probeMs: PROBE_MS,
      backoff: BACKOFF,
    });
    try {
      const flowing = flow(channel);
      await sleep(FLOW_MS);
      await expectAll(consumer, flowing);
      expect(consumer.transports).toContain(transport);
    } finally {
      consumer.client.disconnect();
      await proxy.close();
    }
  });
});
