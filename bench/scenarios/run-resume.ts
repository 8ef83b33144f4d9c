import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  makeLongRun,
  type LongRead,
  readLongRun,
  resumeLongRun,
  RUN_EVENTS,
  type View,
} from '../long-run.ts';
import { measure, median, sumOf, type Window } from '../measure.ts';
import { profiled } from '../profiling.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import type { Subject } from '../systems.ts';
import { takeTurns } from '../turns.ts';

/** A run of ten thousand events, stored by SQLite, is resumed from its beginning: each event, and collapsed. */

/** Fresh servers of one repeat, for each view. */
const COLD = 3;
/** Of a server that has warmed up. */
const TURNS = 9;
const WARM_UP = 5;

interface Resumed extends Window {
  readonly bytes: number;
}

/** Medians of one repeat. */
export interface RunResume {
  /** From the request to the last byte: the first request that a fresh server gets. */
  readonly coldMs: number;
  readonly warmMs: number;
  /** CPU of the server, warm. */
  readonly cpuMs: number;
  readonly kib: number;
  readonly window: Window;
}

interface Stage {
  readonly view: View;
  readonly server: ServerProcess;
}

/** The two views of the same run. */
export const VIEWS: readonly (Subject & { readonly view: View })[] = (['exact', 'collapsed'] as const).map(
  (view) => ({ name: `continuo, ${view}`, server: 'runs', args: [], view }),
);

async function resumeOnce({ view, server }: Stage, runId: string): Promise<Resumed & { read: LongRead }> {
  let bytes: Buffer = Buffer.alloc(0);
  const window = await measure(server, async () => {
    bytes = await resumeLongRun(server.port, runId, view);
  });
  return { ...window, bytes: bytes.byteLength, read: readLongRun(bytes) };
}

/** One repeat: the run is made anew, and read by fresh servers. In the order of `subjects`. */
export async function runResume(subjects: typeof VIEWS, deadlineMs: number): Promise<RunResume[]> {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-bench-'));
  const args = [join(folder, 'continuo.db')];
  const servers: ServerProcess[] = [];

  async function start(subject: Subject): Promise<ServerProcess> {
    const server = await startServer({ ...subject, args });
    servers.push(server);
    return server;
  }

  try {
    const [first] = subjects;
    if (!first) return [];
    const writer = await start(first);
    const runId = await makeLongRun(writer.port);
    const whole = readLongRun(await resumeLongRun(writer.port, runId, 'exact'));
    await writer.stop();

    function check(view: View, { events, text, lastIndex }: LongRead): void {
      if (view === 'exact' ? events !== RUN_EVENTS : events >= RUN_EVENTS) {
        throw new Error(`${view}: ${events} events`);
      }
      if (lastIndex !== RUN_EVENTS - 1) throw new Error(`${view} ends at the index ${lastIndex}`);
      if (text !== whole.text) throw new Error(`${view}: the text differs from what was said`);
    }

    const colds: number[][] = [];
    for (const subject of subjects) {
      const times: number[] = [];
      for (let count = 0; count < COLD; count++) {
        const server = await start(subject);
        const { read, seconds } = await resumeOnce({ view: subject.view, server }, runId);
        check(subject.view, read);
        times.push(seconds * 1_000);
        await server.stop();
      }
      colds.push(times);
    }

    const stages: Stage[] = [];
    for (const subject of subjects) stages.push({ view: subject.view, server: await start(subject) });
    const resume = async (stage: Stage): Promise<Resumed> => {
      const { read, ...resumed } = await resumeOnce(stage, runId);
      check(stage.view, read);
      return resumed;
    };
    for (const stage of stages) for (let count = 0; count < WARM_UP; count++) await resume(stage);
    const run = (stage: Stage): Promise<Resumed> => profiled(stage.server, 'run-resume', () => resume(stage));
    const slices = await takeTurns({ stages, turns: TURNS, deadlineMs, run });
    return slices.map((windows, index) => ({
      coldMs: median(colds[index] ?? []),
      warmMs: median(windows.map(({ seconds }) => seconds * 1_000)),
      cpuMs: median(windows.map(({ serverCpu }) => serverCpu * 1_000)),
      kib: median(windows.map(({ bytes }) => bytes / 1024)),
      window: sumOf(windows),
    }));
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}
