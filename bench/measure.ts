import { cpus } from 'node:os';

/** A process of the bench. */
export interface Busy {
  /** CPU time that it has used so far, in microseconds. */
  cpuUs(): Promise<number>;
}

/** What one stretch of work took, in seconds of time and of CPU. */
export interface Window {
  readonly seconds: number;
  /** Of the server process, all its threads. */
  readonly serverCpu: number;
  readonly generatorCpu: number;
  /** What went to neither of the two: other processes, and the host's other guests. */
  readonly othersCpu: number;
}

/** Seconds that the machine's cores have idled, all together. */
function idleSeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0) / 1_000;
}

const thisProcess: Busy = {
  async cpuUs() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
};

/** Measures while `work` runs. Nothing else of the bench may be under way. */
export async function measure(
  server: Busy,
  work: () => Promise<void>,
  generator: Busy = thisProcess,
): Promise<Window> {
  const serverBeforeUs = await server.cpuUs();
  const generatorBeforeUs = await generator.cpuUs();
  const idleBefore = idleSeconds();
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  const idle = idleSeconds() - idleBefore;
  const generatorCpu = ((await generator.cpuUs()) - generatorBeforeUs) / 1e6;
  const serverCpu = ((await server.cpuUs()) - serverBeforeUs) / 1e6;
  const othersCpu = cpus().length * seconds - idle - serverCpu - generatorCpu;
  return { seconds, serverCpu, generatorCpu, othersCpu };
}

export function sumOf(windows: readonly Window[]): Window {
  const sum = (pick: (window: Window) => number): number =>
    windows.reduce((total, window) => total + pick(window), 0);
  return {
    seconds: sum((window) => window.seconds),
    serverCpu: sum((window) => window.serverCpu),
    generatorCpu: sum((window) => window.generatorCpu),
    othersCpu: sum((window) => window.othersCpu),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
