import { setTimeout as delay } from 'node:timers/promises';
import { type Holder, startHolder } from '../holder.ts';
import { measure, sumOf, type Window } from '../measure.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import type { Memory } from '../servers/report.ts';
import type { System } from '../systems.ts';
import { takeTurns } from '../turns.ts';

/** Connections that have joined and wait: what opening and holding one costs. */

const CONNECTIONS = 10_000;
/** Opened in as many slices as there are turns. */
const TURNS = 10;
/** Opened and closed beforehand, so that what a server loads once is not counted. */
const WARM_UP_CONNECTIONS = 300;
const SETTLE_MS = 500;
const IDLE_MS = 4_000;

/** Each figure is of one connection, unless it says otherwise. */
export interface Idle {
  readonly rssKib: number;
  readonly heapKib: number;
  /** CPU time of the server to connect and join, one figure of each turn. */
  readonly connectUs: readonly number[];
  /** Of all connections: the share of a core. */
  readonly idleShare: number;
  /** CPU time of the server per second. */
  readonly idleUs: number;
  readonly connecting: Window;
}

interface Stage {
  readonly server: ServerProcess;
  readonly holder: Holder;
  /** Before the connections, and with all of them. */
  readonly memory: Memory[];
  /** The server's CPU time when idling began, and when it ended. */
  readonly idleCpuUs: number[];
}

async function lookAtMemory(stages: readonly Stage[]): Promise<void> {
  await delay(SETTLE_MS);
  await Promise.all(stages.map(async ({ server, memory }) => memory.push(await server.memory())));
  await delay(SETTLE_MS);
}

async function lookAtCpu(stages: readonly Stage[]): Promise<void> {
  await Promise.all(stages.map(async ({ server, idleCpuUs }) => idleCpuUs.push(await server.cpuUs())));
}

/** The last less the first. */
function growth(values: readonly number[]): number {
  return (values.at(-1) ?? Number.NaN) - (values[0] ?? Number.NaN);
}

function idleOf({ memory, idleCpuUs }: Stage, slices: readonly Window[]): Idle {
  const idleUs = growth(idleCpuUs) / (IDLE_MS / 1_000);
  return {
    rssKib: growth(memory.map(({ rssBytes }) => rssBytes)) / 1_024 / CONNECTIONS,
    heapKib: growth(memory.map(({ heapBytes }) => heapBytes)) / 1_024 / CONNECTIONS,
    connectUs: slices.map(({ serverCpu }) => (serverCpu / (CONNECTIONS / TURNS)) * 1e6),
    idleShare: idleUs / 1e6,
    idleUs: idleUs / CONNECTIONS,
    connecting: sumOf(slices),
  };
}

/** One repeat: a fresh server for each system, all of them at once. In the order of `systems`. */
export async function runIdle(systems: readonly System[]): Promise<Idle[]> {
  const stages: Stage[] = [];
  try {
    for (const system of systems) {
      const server = await startServer(system);
      stages.push({ server, holder: startHolder(system, server.port), memory: [], idleCpuUs: [] });
    }
    for (const { holder } of stages) {
      await holder.open(WARM_UP_CONNECTIONS);
      await holder.close();
    }
    await lookAtMemory(stages);
    const slices = await takeTurns({
      stages,
      turns: TURNS,
      deadlineMs: 0, // a connection stays: no slice can be done again
      run: ({ server, holder }) => measure(server, () => holder.open(CONNECTIONS / TURNS), holder),
    });
    await lookAtMemory(stages);
    await lookAtCpu(stages);
    await delay(IDLE_MS);
    await lookAtCpu(stages);
    return stages.map((stage, index) => idleOf(stage, slices[index] ?? []));
  } finally {
    await Promise.all(stages.flatMap(({ server, holder }) => [holder.stop(), server.stop()]));
  }
}
