import type { Component, Entry } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { createApprovals } from '../src/core/approvals.ts';
import { type AbortCause, createDriver, type Drive } from '../src/core/driver.ts';
import { createJournal } from '../src/core/log.ts';
import { createMemoryBook } from '../src/core/memories.ts';
import { type RunState, UNUSED } from '../src/core/run.ts';
import { createSteering } from '../src/core/steering.ts';
import type { Task } from '../src/core/worker.ts';
import type { Store } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { only } from './pick.ts';
import { createPuppet, type PuppetRun } from './puppet.ts';

/** One run, and whoever drives it. */
const LOG = 'run:me:run_1';

export interface DriveWorld {
  /** Whether the driver's server has the lease without doubt. */
  isHeld: boolean;
  readonly clock: FakeClock;
  readonly store: Store;
  /** What the server's log was given. */
  readonly reports: readonly { readonly problem: string; readonly error: unknown }[];
  /** Drives the run to its end, or until it is stopped: at once, with `stopped`. */
  drive(component: Component, more?: Partial<Task>, stopped?: AbortCause): Driven;
  entries(): Promise<readonly Entry[]>;
  /** What the log says of the run's end. */
  end(): Promise<unknown>;
}

export interface Driven {
  readonly done: Promise<'ended' | 'paused' | 'left'>;
  stop(cause: AbortCause): void;
}

export function createDriveWorld(): DriveWorld {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const retentionOf = (): { maxEntries: number; maxBytes: number } => ({ maxEntries: 1e6, maxBytes: 1e9 });
  const journal = createJournal({ ...store, clock, report: () => {}, retentionOf });
  const { records } = store;
  const approvals = createApprovals({
    logs: store.logs,
    records,
    journal,
    clock,
    random: createSeededRandom(2),
    workers: () => {
      throw new Error('nobody answers here');
    },
  });
  const reports: { problem: string; error: unknown }[] = [];
  const driver = createDriver({
    journal,
    records,
    approvals,
    steering: createSteering({ ...store, clock, random: createSeededRandom(3) }),
    memories: createMemoryBook({ records, clock, random: createSeededRandom(4) }),
    clock,
    report: (problem, error) => void reports.push({ problem, error }),
  });
  let token = 0;

  async function entries(): Promise<readonly Entry[]> {
    const page = await store.logs.read(LOG, { offset: 0 }, { entries: 10_000, bytes: 1 << 30 });
    return page.kind === 'page' ? page.entries : [];
  }

  const world: DriveWorld = {
    isHeld: true,
    clock,
    store,
    reports,
    drive(component, more = {}, stopped) {
      const controller = new AbortController();
      let cause = stopped ?? null;
      if (cause) controller.abort();
      const drive: Drive = {
        task: {
          log: LOG,
          ownLog: true,
          component: 'agent:puppet',
          runId: 'run_1',
          messageId: 'm1',
          sessionId: 's1',
          user: 'me',
          input: 'hello',
          state: null,
          history: async () => [],
          ...more,
        },
        component,
        fence: { run: 'run_1', token: ++token },
        signal: controller.signal,
        cause: () => cause,
        isHeld: () => world.isHeld,
        serial: 0,
        cancelReason: async () => 'somebody asked',
      };
      return {
        done: driver.drive(drive),
        stop(why) {
          cause = why;
          controller.abort();
        },
      };
    },
    entries,
    async end() {
      const ends = (await entries()).filter(({ id }) => id === 'run_1:end');
      return ends.length === 0 ? null : only(ends).data;
    },
  };
  return world;
}

/** A run that has begun, and the agent's side of it. */
export async function begin(
  world: DriveWorld,
  more?: Partial<Component>,
): Promise<Driven & { run: PuppetRun }> {
  const puppet = createPuppet('puppet', more);
  const driven = world.drive(puppet.component);
  await world.clock.settle();
  return { ...driven, run: only(puppet.runs) };
}

/** A run of which the log says that somebody has begun it. */
export const RUNNING: RunState = {
  runId: 'run_1',
  status: 'running',
  attempt: 1,
  crashes: 0,
  isHandedOver: false,
  startedAt: 0,
  activeSince: 0,
  messageId: 'm1',
  text: 'what it had said',
  approvals: [],
  used: UNUSED,
};
