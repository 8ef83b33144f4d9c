import { setTimeout as delay } from 'node:timers/promises';
import { openAll } from '../client.ts';
import { measure, sumOf, type Window } from '../measure.ts';
import { profiled } from '../profiling.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import { takeTurns } from '../turns.ts';
import type { Recovering, Viewer } from '../viewers.ts';

/** Two thousand viewers of one stream drop, miss a hundred messages, and all come back at once. */

const VIEWERS = 2_000;
const MISSED = 100;
/** Of one repeat. */
const TURNS = 3;
/** Connections that are opened at once. */
const DIALLING = 200;
/** What a server needs to notice that everybody is gone, in ms. */
const GONE_MS = 300;
/** How long all of it may take, in ms. */
const ARRIVAL_MS = 20_000;

/** One figure of each turn. */
export interface Recovery {
  /** Until everybody has everything. */
  readonly seconds: readonly number[];
  /** CPU seconds of the server for all of them. */
  readonly serverCpu: readonly number[];
  readonly window: Window;
}

interface Stage {
  readonly server: ServerProcess;
  /** Drops everybody and takes them back; throws when somebody got anything but what it missed. */
  round(): Promise<Window>;
  close(): Promise<void>;
}

function comeBack(viewers: readonly Viewer[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let awaited = viewers.length;
    const late = setTimeout(
      () => reject(new Error(`${awaited} viewers wait for what they missed`)),
      ARRIVAL_MS,
    );
    const onAll = (): void => {
      if (--awaited > 0) return;
      clearTimeout(late);
      resolve();
    };
    const left = viewers.values();
    openAll(viewers.length, DIALLING, async () => left.next().value?.comeBack(MISSED, onAll)).catch(reject);
  });
}

async function openStage(subject: Recovering): Promise<Stage> {
  const server = await startServer(subject);
  let viewers: readonly Viewer[] = [];
  async function close(): Promise<void> {
    for (const viewer of viewers) viewer.drop();
    await server.stop();
  }
  try {
    const room = await subject.open(server.port);
    viewers = await openAll(VIEWERS, DIALLING, () => room.enter());
    return {
      server,
      async round() {
        for (const viewer of viewers) viewer.drop();
        await delay(GONE_MS);
        await room.append(MISSED);
        const window = await measure(server, () => comeBack(viewers));
        for (const viewer of viewers) viewer.check();
        return window;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One repeat: a fresh server for each subject, all of them at once. In the order of `subjects`. */
export async function runRecovery(subjects: readonly Recovering[], deadlineMs: number): Promise<Recovery[]> {
  const stages: Stage[] = [];
  try {
    for (const subject of subjects) stages.push(await openStage(subject));
    for (const stage of stages) await stage.round();
    const run = (stage: Stage): Promise<Window> => profiled(stage.server, 'recovery', () => stage.round());
    const slices = await takeTurns({ stages, turns: TURNS, deadlineMs, run });
    return slices.map((windows) => ({
      seconds: windows.map(({ seconds }) => seconds),
      serverCpu: windows.map(({ serverCpu }) => serverCpu),
      window: sumOf(windows),
    }));
  } finally {
    await Promise.all(stages.map((stage) => stage.close()));
  }
}
