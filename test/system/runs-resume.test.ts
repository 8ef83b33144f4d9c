import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkUnion, type Dropped, outputOf, resume, startAndDrop } from './runs-seed.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { until } from './waiting.ts';

/** The seed's scenario, six events, a drop and a resume, for all that can be run and wherever the run is by then. */

/** As long as the script stays away, in ms. */
const AWAY_MS = 3_000;

const RUNNABLE = [
  { path: 'agents/storyteller', ends: 'RunCompleted', awayMs: AWAY_MS },
  { path: 'teams/story-team', ends: 'TeamRunCompleted', awayMs: AWAY_MS },
  { path: 'workflows/content-creation-workflow', ends: 'WorkflowCompleted', awayMs: 1_000 }, // it takes 4 s
] as const;

async function untilEnded(url: string, dropped: Dropped): Promise<void> {
  await until(`${dropped.path} ends`, 40_000, async () => {
    return (await outputOf(url, dropped)).status !== 'RUNNING';
  });
}

async function inFolder(use: (store: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-resume-'));
  try {
    await use(`sqlite:${join(folder, 'store.db')}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('a run that is left after six events and resumed', () => {
  let servers: readonly ServerProcess[] = [];
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'continuo-resume-'));
    const store = `sqlite:${join(folder, 'store.db')}`;
    servers = [await startServer({ store }), await startServer({ store })];
    return async () => {
      for (const server of servers) await server.kill();
      rmSync(folder, { recursive: true, force: true });
    };
  }, 60_000);

  const LIVE = ['catch_up', 'subscribed'];
  const SITUATIONS = [
    { when: 'while it runs', ended: false, server: 0, meta: LIVE },
    { when: 'while it runs, on another server', ended: false, server: 1, meta: LIVE },
    { when: 'when it has ended', ended: true, server: 0, meta: ['replay'] },
    { when: 'when it has ended, on another server', ended: true, server: 1, meta: ['replay'] },
  ].flatMap((situation) => RUNNABLE.map((runnable) => ({ ...situation, ...runnable })));

  it.concurrent.each(SITUATIONS)(
    'R-3 has every event once: $path $when',
    async ({ path, ends, ended, server, meta, awayMs }) => {
      const urls = servers.map(({ url }) => url);
      const [first = '', second = first] = urls;
      const dropped = await startAndDrop(first, path);
      if (ended) await untilEnded(first, dropped);
      else await sleep(awayMs);
      const resumed = await resume(urls[server] ?? '', dropped);
      expect(resumed.meta).toEqual(meta);
      for (const url of [first, second]) {
        const stored = await outputOf(url, dropped);
        expect(stored.status).toBe('COMPLETED');
        expect(checkUnion(dropped, resumed, stored)).toBe(ends);
      }
    },
  );
});

describe('a run that is left after six events, whose server starts again', () => {
  it.concurrent('R-7 is replayed when it had ended', () =>
    inFolder(async (store) => {
      let server = await startServer({ store });
      try {
        const dropped = await Promise.all(RUNNABLE.map(({ path }) => startAndDrop(server.url, path)));
        await Promise.all(dropped.map((each) => untilEnded(server.url, each)));
        expect(await server.stop()).toBe(0);
        server = await startServer({ store });
        for (const [index, each] of dropped.entries()) {
          const resumed = await resume(server.url, each);
          expect(resumed.meta).toEqual(['replay']);
          expect(checkUnion(each, resumed, await outputOf(server.url, each))).toBe(RUNNABLE[index]?.ends);
        }
      } finally {
        await server.kill();
      }
    }));

  it.concurrent('R-22 goes on or ends when it was under way, and is whole either way', () =>
    inFolder(async (store) => {
      let server = await startServer({ store });
      try {
        const dropped = await Promise.all(RUNNABLE.map(({ path }) => startAndDrop(server.url, path)));
        await server.kill();
        server = await startServer({ store });
        const ends = await Promise.all(
          dropped.map(async (each) => {
            const resumed = await resume(server.url, each);
            const end = checkUnion(each, resumed, await outputOf(server.url, each));
            const again = resumed.events.some(({ event }) => /^(Team)?RunAttempt$/.test(String(event)));
            return { end, again };
          }),
        );
        for (const { end, again } of ends) {
          if (again) expect(end).toMatch(/Completed$/);
          else expect(end).toMatch(/Error$/);
        }
      } finally {
        await server.kill();
      }
    }));
});
