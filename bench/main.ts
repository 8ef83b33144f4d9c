import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runFanOut } from './scenarios/fan-out.ts';
import { runIdle } from './scenarios/idle.ts';
import { SYSTEMS, type System } from './systems.ts';
import { fanOutTables, idleTables, type Measured } from './tables.ts';

/**
 * `npm run bench -- [fan-out] [idle] [--repeats 3] [--only NAME]...`. This process is the load generator; every server is a
 * process of its own. Tables go to stdout, progress to stderr.
 */

/** Until then disturbed turns are done again: all of it takes less than five minutes. */
const RETRY_UNTIL_MS = 150_000;
/** For the ports and the pages of the servers that have just ended. */
const REST_MS = 500;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeats: { type: 'string', default: '3' },
    /** Systems whose name contains it; more than once for several. */
    only: { type: 'string', multiple: true, default: [''] },
  },
});
const repeats = Number(values.repeats);
if (!Number.isInteger(repeats) || repeats < 1 || repeats > 20) {
  throw new Error(`--repeats is "${values.repeats}": it must be 1 to 20`);
}
const wanted = SYSTEMS.filter(({ name }) => values.only.some((part) => name.includes(part)));

/** Every repeat begins with another system. */
async function repeat<R>(
  systems: readonly System[],
  run: (order: readonly System[]) => Promise<readonly R[]>,
): Promise<Measured<R>[]> {
  const runs = new Map(systems.map((system) => [system, [] as R[]]));
  for (let round = 0; round < repeats; round++) {
    process.stderr.write(`  ${round + 1} of ${repeats}\n`);
    const first = round % systems.length;
    const order = [...systems.slice(first), ...systems.slice(0, first)];
    const results = await run(order);
    for (const [index, result] of results.entries()) {
      const system = order[index];
      if (system) runs.get(system)?.push(result);
    }
    await delay(REST_MS);
  }
  return systems.map((system) => ({ system, runs: runs.get(system) ?? [] }));
}

const deadlineMs = performance.now() + RETRY_UNTIL_MS;
const SCENARIOS: Readonly<Record<string, () => Promise<string>>> = {
  'fan-out': async () => fanOutTables(await repeat(wanted, (order) => runFanOut(order, deadlineMs))),
  /** Three systems: the generator has 20,000 file descriptors. */
  async idle() {
    const compared = wanted.filter(({ name }) => !['continuo, sqlite', 'joined writes'].includes(name));
    return idleTables(await repeat(compared, runIdle));
  },
};
const names = positionals.length > 0 ? positionals : Object.keys(SCENARIOS);
for (const name of names) {
  if (!Object.hasOwn(SCENARIOS, name)) {
    throw new Error(`there is no scenario "${name}": take ${Object.keys(SCENARIOS).join(' or ')}`);
  }
}
console.log(`Node ${process.version}, ${cpus().length} cores, medians of ${repeats}`);
for (const name of names) {
  process.stderr.write(`${name}\n`);
  const report = await SCENARIOS[name]?.();
  console.log(`\n${report}`);
}
process.exit(0);
