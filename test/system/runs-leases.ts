import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RunAccepted, type RunEventJson, RunOutput, RunSummary } from '@continuo/protocol';
import { LEASE_TERMS, type LeaseTerms } from '@continuo/server';
import { createSeededRandom } from '@continuo/testing';
import { z } from 'zod';
import { checkCounts } from './runs-counts.ts';
import { type LeaseServer, startLeaseServer } from './runs-lease-process.ts';
import { openRunStore, type RunStore } from './runs-store.ts';
import { until } from './waiting.ts';

/** Rounds in which the server that drives a run of `counter` is killed or frozen, while another shares the file. */

/** A run that ends soon, and one that is still under way when a frozen server wakes up. */
const SHORT = 8;
const LONG = 100;
/** Numbers that the counter says within one lease. */
const NUMBERS_A_LEASE = 50;
/** A fault comes at any of the first numbers, or in between. */
const FAULT_NUMBERS = 7;
/** How long a thawed server is given to do what it should not, in ms. */
const THAWED_MS = 300;
/** How much later than the clock's leases a take-over may be seen: a busy machine. Milliseconds. */
const SLACK_MS = 500;
const ENDS_MS = 60_000;

export interface LeaseRounds {
  readonly rounds: number;
  /** Pairs of servers that work side by side, each on a file of its own. */
  readonly pairs: number;
  readonly seed: number;
  /** `null`: the shipped command, with the leases it has. */
  readonly lease: LeaseTerms | null;
}

export interface LeaseReport {
  readonly rounds: number;
  readonly killed: number;
  readonly frozen: number;
  /** Faults at a server that had taken the run over: another got its request. */
  readonly second: number;
  /** Faults after the end, or at a server that did not drive the run. */
  readonly missed: number;
  /** Frozen servers that woke up while the other drove. */
  readonly wokeMeanwhile: number;
  /** Servers that were frozen again elsewhere, for they were in the middle of a write. */
  readonly frozenAgain: number;
  readonly calls: number;
  /** Calls that were cut and came a second time, with the same id. */
  readonly secondLines: number;
  /** From the fault to the first entry of who took the run over, in ms. */
  readonly slowestMs: number;
}

type Counts = { -readonly [K in keyof LeaseReport]: LeaseReport[K] };

/** What is done to the servers that drive a run, one after the other. */
const PLANS: readonly { readonly count: number; readonly faults: readonly ('kill' | 'freeze')[] }[] = [
  { count: SHORT, faults: ['kill'] },
  { count: SHORT, faults: ['freeze'] },
  { count: LONG, faults: ['kill', 'kill'] },
  { count: LONG, faults: ['freeze'] },
];

/** Two servers on one file, over some rounds. */
interface Pair {
  readonly store: RunStore;
  readonly file: string;
  readonly servers: [LeaseServer, LeaseServer];
  readonly runIds: string[];
  start(): Promise<LeaseServer>;
}

interface Fault {
  /** Unix ms. */
  readonly at: number;
  /** Who held the run's lease before; `null`: nobody yet. */
  readonly holder: string | null;
}

async function outputOf({ url }: LeaseServer, runId: string): Promise<RunOutput> {
  const response = await fetch(`${url}/agents/counter/runs/${runId}`);
  if (response.status !== 200) throw new Error(`${url} answers ${response.status} for ${runId}`);
  return RunOutput.parse(await response.json());
}

async function startRun({ url }: LeaseServer, count: number): Promise<string> {
  const body = new URLSearchParams({ message: `Count to ${count}.`, stream: 'false', background: 'true' });
  const response = await fetch(`${url}/agents/counter/runs`, { method: 'POST', body });
  if (response.status !== 202) throw new Error(`${url} answers ${response.status}: ${await response.text()}`);
  return RunAccepted.parse(await response.json()).run_id;
}

/** Rejects at the first promise that does not hold. */
export async function leaseRounds({ rounds, pairs, seed, lease }: LeaseRounds): Promise<LeaseReport> {
  const terms = lease ?? LEASE_TERMS;
  const twoLeasesMs = 2 * terms.leaseMs;
  const countMs = Math.round(terms.leaseMs / NUMBERS_A_LEASE);
  const counts: Counts = {
    rounds: 0,
    killed: 0,
    frozen: 0,
    second: 0,
    missed: 0,
    wokeMeanwhile: 0,
    frozenAgain: 0,
    calls: 0,
    secondLines: 0,
    slowestMs: 0,
  };

  /** Freezes it, but not in a write: what holds the file's lock holds up everybody, whatever the leases say. */
  async function freeze(server: LeaseServer, store: RunStore): Promise<void> {
    server.freeze();
    while (store.isLocked()) {
      server.thaw();
      counts.frozenAgain++;
      await sleep(2);
      server.freeze();
    }
  }

  /** Resolves with whether another server took the run over from its holder; where it did not, nobody had to. */
  async function takenOver(store: RunStore, runId: string, fault: Fault): Promise<boolean> {
    // Who was killed or sleeps makes no entries, also none that says that the run starts over where it had not begun.
    const goesOn = (): number | null => store.firstAfter(runId, fault.at);
    const ended = (): boolean => store.logOf(runId)?.ended ?? false;
    await until(`${runId} goes on`, twoLeasesMs + SLACK_MS, () => goesOn() !== null || ended());
    const at = goesOn();
    if (at === null || store.holderOf(runId) === fault.holder) return false;
    const tookMs = at - fault.at;
    counts.slowestMs = Math.max(counts.slowestMs, tookMs);
    if (tookMs > twoLeasesMs) throw new Error(`L-8: ${runId} went on ${tookMs} ms after the fault`);
    return true;
  }

  async function round(pair: Pair, number: number): Promise<void> {
    const random = createSeededRandom(seed + number);
    const { store, servers } = pair;
    const { count, faults } = PLANS[number % PLANS.length] ?? { count: SHORT, faults: [] };
    let driving = random.int(0, 1);
    const runId = await startRun(servers[driving] ?? servers[0], count);
    pair.runIds.push(runId);
    let thaw: Promise<void> = Promise.resolve();
    for (const [index, fault] of faults.entries()) {
      await sleep(random.int(0, FAULT_NUMBERS * countMs));
      const victim = servers[driving] ?? servers[0];
      const at = driving;
      const holder = store.holderOf(runId);
      if (fault === 'kill') {
        await victim.kill();
        counts.killed++;
      } else {
        await freeze(victim, store);
        counts.frozen++;
      }
      const faultAt = Date.now();
      const drove = await takenOver(store, runId, { at: faultAt, holder });
      if (!drove) counts.missed++;
      else if (index > 0) counts.second++;
      if (fault === 'kill') servers[at] = await pair.start();
      else thaw = thawLater(victim, pair, { runId, faultAt });
      driving = 1 - driving;
    }
    await until(`${runId} ends`, ENDS_MS, () => store.logOf(runId)?.ended ?? false);
    await thaw;
    const head = store.logOf(runId)?.head;
    const outputs = await Promise.all(servers.map((server) => outputOf(server, runId)));
    const [output] = outputs;
    if (!output || JSON.stringify(outputs[0]) !== JSON.stringify(outputs[1])) {
      throw new Error(`two servers say different things of ${runId}`);
    }
    check(output, count, pair.file);
    if (store.logOf(runId)?.head !== head) throw new Error(`L-7: ${runId} has entries after its end`);
    counts.rounds++;
  }

  /** After more than two leases it goes on, as if nothing had been; whatever it wants to append is refused. */
  async function thawLater(
    server: LeaseServer,
    { store }: Pair,
    { runId, faultAt }: { readonly runId: string; readonly faultAt: number },
  ): Promise<void> {
    await sleep(Math.max(0, faultAt + twoLeasesMs + 100 - Date.now()));
    const before = store.logOf(runId);
    if (before && !before.ended) counts.wokeMeanwhile++;
    server.thaw();
    await sleep(THAWED_MS);
    const after = store.logOf(runId);
    if (before?.ended && before.head !== after?.head) {
      throw new Error(`L-7: who slept has appended to ${runId} after its end`);
    }
    // Of a run that has ended anybody may take the lease, to see that nothing is left to do.
    if (!after?.ended && before?.fence !== after?.fence) {
      throw new Error(`L-7: who slept has taken ${runId} from who drives it`);
    }
  }

  function check(output: RunOutput, count: number, file: string): void {
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const events: readonly RunEventJson[] = output.events;
    const { secondLines } = checkCounts({ events, count, lines });
    if (output.status !== 'COMPLETED' || output.content !== `Counted to ${count}.`) {
      throw new Error(`${output.run_id} ended ${output.status}: ${output.content}`);
    }
    counts.calls += count;
    counts.secondLines += secondLines;
  }

  async function work(numbers: number[]): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'continuo-leases-'));
    const path = join(folder, 'store.db');
    const file = join(folder, 'counted.txt');
    const env = { CONTINUO_COUNTER_FILE: file, CONTINUO_COUNTER_MS: String(countMs) };
    const started: LeaseServer[] = [];
    const start = async (): Promise<LeaseServer> => {
      const server = await startLeaseServer({ store: `sqlite:${path}`, env, lease });
      started.push(server);
      return server;
    };
    let store: RunStore | null = null;
    try {
      const servers: [LeaseServer, LeaseServer] = [await start(), await start()];
      store = openRunStore(path);
      const pair: Pair = { store, file, servers, runIds: [], start };
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        const which = number;
        await round(pair, which).catch((error: unknown) => {
          numbers.length = 0; // the other pairs finish their rounds, and end their servers
          throw new Error(`round ${which} of seed ${seed}: ${String(error)}`, { cause: error });
        });
      }
      for (const server of servers) await checkNoneRuns(server, pair.runIds);
    } finally {
      store?.close();
      for (const server of started) await server.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async function checkNoneRuns(server: LeaseServer, runIds: readonly string[]): Promise<void> {
    const response = await fetch(`${server.url}/agents/counter/runs`);
    const listed = z.array(RunSummary).parse(await response.json());
    if (listed.length !== runIds.length) {
      throw new Error(`R-23: ${listed.length} runs are listed, of ${runIds.length}`);
    }
    for (const { run_id, status } of listed) {
      if (status !== 'COMPLETED') throw new Error(`L-8: ${run_id} is ${status} at the end`);
    }
  }

  const numbers = Array.from({ length: rounds }, (_, index) => index);
  const works = await Promise.allSettled(Array.from({ length: pairs }, () => work(numbers)));
  for (const each of works) if (each.status === 'rejected') throw each.reason;
  return counts;
}
