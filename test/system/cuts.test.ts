import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSeededRandom } from '@continuo/testing';
import { expect, it } from 'vitest';
import { type Proxy as CuttingProxy, startProxy } from './proxy.ts';
import { startServer } from './server-process.ts';
import { checkEvents, finalsOf, type Viewer, watch } from './viewer.ts';
import { until } from './waiting.ts';

const VIEWERS = 25;
const CUTS_EACH = 8;

interface Cut {
  readonly viewer: number;
  /** Whether the viewer had its first token and not yet its last. */
  readonly betweenTokens: boolean;
}

it('G-11 200 cuts of the connection: every event reaches the handler once and in order, without onGap or resync', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-cuts-'));
  const server = await startServer({ store: `sqlite:${join(folder, 'store.db')}` });
  const random = createSeededRandom(200);
  const proxies: CuttingProxy[] = [];
  const viewers: Viewer[] = [];
  const cuts: Cut[] = [];

  async function talkAndCut(index: number): Promise<void> {
    const proxy = await startProxy();
    proxies.push(proxy);
    proxy.setTargets([server.port]);
    const url = `ws://127.0.0.1:${proxy.port}`;
    const viewer = watch({ url, agentId: 'storyteller', backoff: { initialMs: 20, maxMs: 200 } });
    viewers[index] = viewer;
    await viewer.client.connect();
    await viewer.client.send(`a story for ${index}`);
    const ended = (): boolean => finalsOf(viewer.events).length === 1;
    await until('the first token', 5_000, () => viewer.events.some((event) => event.type === 'token_stream'));
    for (let count = 0; count < CUTS_EACH; count++) {
      await sleep(random.int(100, 900));
      await until('a connection to cut', 5_000, () => proxy.connections.length > 0);
      cuts.push({ viewer: index, betweenTokens: !ended() });
      proxy.connections[0]?.cut();
    }
    await until('the turn ends', 20_000, ended);
  }

  try {
    await Promise.all(Array.from({ length: VIEWERS }, (_, index) => talkAndCut(index)));
    expect(cuts.length).toBe(200);
    expect(cuts.filter((cut) => cut.betweenTokens).length).toBeGreaterThanOrEqual(150);
    for (const viewer of viewers) {
      const ids = checkEvents(viewer.events);
      expect(viewer.gaps).toBe(0);
      // The message, its start, 300 words, the whole text and the end.
      expect(ids.length).toBe(304);
    }
    expect(server.errors).toBe('');
  } finally {
    for (const viewer of viewers) viewer?.client.disconnect();
    for (const proxy of proxies) await proxy.close();
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});
