import type { Entry } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { createApprovals } from '../src/core/approvals.ts';
import { foldLog } from '../src/core/fold.ts';
import { LEASE_TERMS } from '../src/core/lease.ts';
import { createJournal } from '../src/core/log.ts';
import { createMemoryBook } from '../src/core/memories.ts';
import { parseLog } from '../src/core/names.ts';
import { type RunState, reduceRun } from '../src/core/run.ts';
import { createSteering } from '../src/core/steering.ts';
import { createWorkers, type Task, type TaskSource, type Workers } from '../src/core/worker.ts';
import type { Store } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { type Around, interceptStore } from './intercept.ts';
import { createLife, type Life } from './life.ts';
import type { Puppet } from './puppet.ts';

/** Workers on one store, without doors: each run log `run:me:<id>` holds the one run `<id>`. */
export interface WorkWorld {
  readonly clock: FakeClock;
  readonly store: Store;
  /** A server with these agents. */
  server(...puppets: readonly Puppet[]): Server;
  entries(runId: string): Promise<readonly Entry[]>;
  /** `type` and, where it has one, the status of every entry. */
  told(runId: string): Promise<string[]>;
  /** How often the end of a run was settled. */
  settled(runId: string): number;
}

export interface Server {
  readonly workers: Workers;
  readonly life: Life;
  readonly problems: string[];
  /** Makes a run due. */
  announce(runId: string, agent?: string): Promise<void>;
  /** From here on, what stands between this server and the store. */
  around(around: Around): void;
}

export function logOfRun(runId: string): string {
  return `run:me:${runId}`;
}

export function createWorkWorld(): WorkWorld {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const agents = new Map<string, string>();
  const settled: string[] = [];
  let seed = 1;

  async function entries(runId: string): Promise<readonly Entry[]> {
    const page = await store.logs.read(logOfRun(runId), { offset: 0 }, { entries: 10_000, bytes: 1 << 30 });
    return page.kind === 'page' ? page.entries : [];
  }

  function sourceOn({ logs }: Store): TaskSource {
    return {
      async due(log) {
        const [head] = await logs.heads([log]);
        const name = parseLog(log);
        const agent = name.kind === 'run' ? agents.get(name.id) : undefined;
        if (!head || head.ended || name.kind !== 'run' || agent === undefined)
          return { next: null, paused: [] };
        let state: RunState | null = null;
        await foldLog(logs, log, { epoch: head.epoch, offset: 0 }, (entry) => {
          state = reduceRun(state, entry);
        });
        const task: Task = {
          log,
          ownLog: true,
          component: `agent:${agent}`,
          runId: name.id,
          messageId: `m-${name.id}`,
          sessionId: 's',
          user: 'me',
          input: 'hello',
          state,
          history: async () => [],
        };
        return { next: task, paused: [] };
      },
      async settled(log) {
        settled.push(log);
      },
    };
  }

  return {
    clock,
    store,
    server(...puppets) {
      const life = createLife(clock, store);
      let around: Around = (_call, go) => go();
      const seen = interceptStore(life.store, (call, go) => around(call, go));
      const problems: string[] = [];
      const report = (problem: string, error: unknown): void =>
        void problems.push(`${problem}: ${String(error)}`);
      const retentionOf = (): { maxEntries: number; maxBytes: number } => ({
        maxEntries: 1e6,
        maxBytes: 1e9,
      });
      const source = sourceOn(seen);
      const journal = createJournal({ ...seen, clock, report, retentionOf });
      const random = createSeededRandom(++seed);
      const terms = { ...seen, journal, clock: life.clock, random };
      const workers: Workers = createWorkers({
        ...terms,
        approvals: createApprovals({ ...terms, workers: () => workers }),
        steering: createSteering(terms),
        memories: createMemoryBook(terms),
        report,
        terms: LEASE_TERMS,
        components: new Map(puppets.map(({ component }) => [`agent:${component.id}`, component])),
        sources: { session: source, run: source },
      });
      return {
        workers,
        life,
        problems,
        async announce(runId, agent = 'puppet') {
          agents.set(runId, agent);
          await workers.announce(logOfRun(runId), `agent:${agent}`, () =>
            seen.logs.append(logOfRun(runId), []),
          );
          await clock.settle();
        },
        around(next) {
          around = next;
        },
      };
    },
    entries,
    async told(runId) {
      return (await entries(runId)).map(({ type, data }) => {
        const { status } = data as { status?: string };
        return status === undefined ? type : `${type} ${status}`;
      });
    },
    settled: (runId) => settled.filter((log) => log === logOfRun(runId)).length,
  };
}
