import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { createJournal, type Journal } from '../src/core/log.ts';
import { createRuns, type Runs } from '../src/core/runs.ts';
import { createSessions, type Sessions } from '../src/core/sessions.ts';
import type { Workers } from '../src/core/worker.ts';
import { type Store, StoreError } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { interceptStore } from './intercept.ts';

/** Runs that are stored and that nobody drives. */
export interface RunWorld {
  readonly clock: FakeClock;
  readonly store: Store;
  readonly journal: Journal;
  readonly runs: Runs;
  readonly sessions: Sessions;
  /** What was announced: log and component. */
  readonly announced: readonly string[];
  /** As a server whose store answers so many writes and then no call any more. */
  dying(writes: number): Runs;
}

const WRITES: ReadonlySet<string> = new Set(['append', 'put', 'keep']);

export function createRunWorld(): RunWorld {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const random = createSeededRandom(2);
  const announced: string[] = [];
  const workers: Workers = {
    announce(log, component, add) {
      announced.push(`${log} ${component}`);
      return add();
    },
    async cancel() {},
    active: 0,
    isActive: () => false,
    async close() {},
  };
  const retentionOf = (): { maxEntries: number; maxBytes: number } => ({ maxEntries: 1e6, maxBytes: 1e9 });

  function serverOn(seen: Store): { runs: Runs; sessions: Sessions; journal: Journal } {
    const journal = createJournal({ ...seen, clock, report: () => {}, retentionOf });
    const deps = { ...seen, journal, workers: () => workers, clock, random };
    const sessions = createSessions({ ...deps, inbox: 32 });
    return { journal, sessions, runs: createRuns({ ...deps, sessions, digest: (text) => text }) };
  }

  return {
    clock,
    store,
    announced,
    ...serverOn(store),
    dying(writes) {
      let left = writes;
      const seen = interceptStore(store, async (call, go) => {
        if (WRITES.has(call.name)) left--;
        if (left < 0) throw new StoreError('unavailable', 'it has died');
        return go();
      });
      return serverOn(seen).runs;
    },
  };
}
