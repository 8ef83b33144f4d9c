import type { Broadcaster, Load } from '../crowd.ts';
import { type Generator, startGenerator } from '../generator.ts';
import { measure, sumOf, type Window } from '../measure.ts';
import { profiled } from '../profiling.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import { takeTurns } from '../turns.ts';

/** One channel and its subscribers: what a delivery costs. */

const WARM_UP_MS = 500;

const BURST: Load = { burst: 10, inFlight: 4, maxMs: 400, maxMessages: 20_000, turns: 7 };
const SINGLE: Load = { burst: 1, inFlight: 1, maxMs: 250, maxMessages: 2_000, turns: 15 };

interface Slice extends Window {
  readonly deliveries: number;
}

/** The figures are one of each turn, so that those of two systems can be compared turn by turn. */
export interface Delivering {
  readonly perSecond: readonly number[];
  /** CPU seconds of the server per million deliveries. */
  readonly cpuPerMillion: readonly number[];
  /** All turns together. */
  readonly window: Window;
}

export interface FanOut {
  readonly burst: Delivering;
  readonly single: Delivering;
}

/** A server with its subscribers, ready to be published to. */
interface Stage {
  readonly server: ServerProcess;
  slice(load: Load): Promise<Slice>;
  /** Throws when a subscriber got more or less than was published. */
  check(): Promise<void>;
  close(): Promise<void>;
}

async function openStage(system: Broadcaster, subscribers: number): Promise<Stage> {
  const server = await startServer(system);
  let generator: Generator;
  try {
    generator = await startGenerator(system, server.port, subscribers);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    server,
    async slice(load) {
      let messages = 0;
      const publish = async (): Promise<void> => {
        messages = await generator.publish(load);
      };
      const window = await measure(server, publish, generator);
      return { ...window, deliveries: messages * subscribers };
    },
    check: () => generator.check(),
    async close() {
      await generator.stop();
      await server.stop();
    },
  };
}

function delivering(slices: readonly Slice[]): Delivering {
  return {
    perSecond: slices.map(({ deliveries, seconds }) => deliveries / seconds),
    cpuPerMillion: slices.map(({ deliveries, serverCpu }) => (serverCpu / deliveries) * 1e6),
    window: sumOf(slices),
  };
}

export interface FanOutOptions {
  readonly subscribers: number;
  readonly deadlineMs: number;
}

/** One repeat: a fresh server for each system, all of them at once. In the order of `systems`. */
export async function runFanOut(
  systems: readonly Broadcaster[],
  { subscribers, deadlineMs }: FanOutOptions,
): Promise<FanOut[]> {
  const stages: Stage[] = [];
  async function deliver(title: string, load: Load): Promise<Delivering[]> {
    for (const stage of stages) await stage.slice({ ...load, maxMs: WARM_UP_MS });
    const { turns } = load;
    const run = (stage: Stage): Promise<Slice> => profiled(stage.server, title, () => stage.slice(load));
    return (await takeTurns({ stages, turns, deadlineMs, run })).map(delivering);
  }
  try {
    for (const system of systems) stages.push(await openStage(system, subscribers));
    const bursts = await deliver(`${subscribers} subscribers, bursts of ten`, BURST);
    const singles = await deliver(`${subscribers} subscribers, one at a time`, SINGLE);
    for (const stage of stages) await stage.check();
    return bursts.flatMap((burst, index) => {
      const single = singles[index];
      return single ? [{ burst, single }] : [];
    });
  } finally {
    await Promise.all(stages.map((stage) => stage.close()));
  }
}
