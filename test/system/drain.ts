import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer } from './server-process.ts';
import { checkEvents, finalsOf, type Viewer, watch } from './viewer.ts';
import { until } from './waiting.ts';

/** Clients that connect at once. */
const AT_ONCE = 100;
/** Of so many clients, the first has a long turn under way, the others a short one. */
const STORYTELLERS = 40;
/** Turns that are under way before it is told to end. */
const BEGUN = 500;
/** How late the server's `goaway` lets a client come back, in ms; then it dials. */
const SPREAD_MS = 5_000;
const DIAL_MS = 3_000;

export interface DrainReport {
  readonly clients: number;
  /** Turns under way at the SIGTERM. */
  readonly underWay: number;
  readonly stopMs: number;
  /** From the moment the new server listens: the first and the last client to be back, in ms. */
  readonly backMs: readonly [number, number];
  readonly outcomes: Readonly<Record<string, number>>;
}

/**
 * SIGTERM under connected clients with turns under way, and a new server on the same port and file. Rejects when an
 * event or an answer is lost or doubled, or when a client is not back within the spread.
 */
export async function drain(clients: number): Promise<DrainReport> {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-drain-'));
  const store = `sqlite:${join(folder, 'store.db')}`;
  const env = { CONTINUO_LIMITS: 'off' };
  let server = await startServer({ store, env });
  const viewers: Viewer[] = [];
  const back: number[] = [];
  let restartedAt = Number.POSITIVE_INFINITY;
  try {
    const asked = new Map<Viewer, string>();
    const { url, port } = server;
    const begin = async (number: number): Promise<void> => {
      const agentId = number % STORYTELLERS === 0 ? 'storyteller' : 'slow';
      const viewer = watch({
        url,
        agentId,
        backoff: { initialMs: 200, maxMs: 1_000 },
        onStateChange(state) {
          if (state === 'connected' && Date.now() > restartedAt) back.push(Date.now() - restartedAt);
        },
      });
      viewers.push(viewer);
      await viewer.client.connect();
    };
    let next = 0;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < clients) await begin(next++);
      }),
    );
    await Promise.all(
      viewers.map(async (viewer, number) => {
        asked.set(viewer, await viewer.client.send(`question ${number}`));
      }),
    );
    const begun = (): number => viewers.filter(hasBegun).length;
    await until('turns are under way', 10_000, () => begun() >= Math.min(clients, BEGUN));
    const underWay = begun() - viewers.filter((viewer) => finalsOf(viewer.events).length > 0).length;
    const stoppedAt = Date.now();
    const code = await server.stop();
    const stopMs = Date.now() - stoppedAt;
    if (code !== 0) throw new Error(`the server ended with ${code}: ${server.errors}`);
    server = await startServer({ store, port, env });
    restartedAt = Date.now();
    await until('every client is back', SPREAD_MS + DIAL_MS, () => back.length >= clients);
    await until('every message has its answer', 30_000, () =>
      viewers.every((viewer) => finalsOf(viewer.events).length > 0),
    );
    const outcomes: Record<string, number> = {};
    for (const viewer of viewers) {
      checkEvents(viewer.events);
      if (viewer.gaps > 0) throw new Error('G-12: onGap was called');
      const finals = finalsOf(viewer.events);
      if (finals.length !== 1 || finals[0]?.messageId !== asked.get(viewer)) {
        throw new Error(`G-9: ${finals.length} answers to one message`);
      }
      for (const { outcome } of finals) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    return { clients, underWay, stopMs, backMs: [Math.min(...back), Math.max(...back)], outcomes };
  } finally {
    for (const viewer of viewers) viewer.client.disconnect();
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

function hasBegun({ events }: Viewer): boolean {
  return events.some(({ type, data }) => type === 'status' && data?.kind === 'run_started');
}
