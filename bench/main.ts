import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ECHOES } from './echoes.ts';
import { echoTables, fanOutTables, idleTables, recoveryTables, turnTables } from './reports.ts';
import { RECOVERING } from './rooms.ts';
import { runEcho } from './scenarios/echo.ts';
import { runFanOut } from './scenarios/fan-out.ts';
import { runIdle } from './scenarios/idle.ts';
import { runRecovery } from './scenarios/recovery.ts';
import { runTurn } from './scenarios/turn.ts';
import { type Subject, SYSTEMS } from './systems.ts';
import type { Measured } from './tables.ts';

/**
 * `npm run bench -- [fan-out] [idle] [echo] [turn] [recovery] [--repeats 3] [--only NAME]...`. This process is the load
 * generator, but for `idle`; every server is a process of its own. Tables go to stdout, progress to stderr.
 */

/** How long, from a scenario's beginning, disturbed turns are done again: each takes less than 90 s, `fan-out` 150 s. */
const RETRY_MS = 30_000;
const FAN_OUT_RETRY_MS = 120_000;
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

/** Every repeat begins with another subject. */
async function repeat<S extends Subject, R>(
  among: readonly S[],
  run: (order: readonly S[], deadlineMs: number) => Promise<readonly R[]>,
  retryMs = RETRY_MS,
): Promise<Measured<R>[]> {
  const subjects = among.filter(({ name }) => values.only.some((part) => name.includes(part)));
  const deadlineMs = performance.now() + retryMs;
  const runs = new Map(subjects.map((subject) => [subject, [] as R[]]));
  for (let round = 0; round < repeats; round++) {
    process.stderr.write(`  ${round + 1} of ${repeats}\n`);
    const first = round % subjects.length;
    const order = [...subjects.slice(first), ...subjects.slice(0, first)];
    const results = await run(order, deadlineMs);
    for (const [index, result] of results.entries()) {
      const subject = order[index];
      if (subject) runs.get(subject)?.push(result);
    }
    await delay(REST_MS);
  }
  return subjects.map((subject) => ({ subject, runs: runs.get(subject) ?? [] }));
}

const IDLE = SYSTEMS.filter(({ name }) => !['continuo, sqlite', 'joined writes'].includes(name));
const DURABLE: readonly Subject[] = SYSTEMS.filter(({ name }) => name === 'continuo, sqlite');
const SCENARIOS: Readonly<Record<string, () => Promise<string>>> = {
  'fan-out': async () => fanOutTables(await repeat(SYSTEMS, runFanOut, FAN_OUT_RETRY_MS)),
  idle: async () => idleTables(await repeat(IDLE, runIdle)),
  echo: async () => echoTables(await repeat(ECHOES, runEcho)),
  turn: async () => turnTables(await repeat(DURABLE, runTurn)),
  recovery: async () => recoveryTables(await repeat(RECOVERING, runRecovery)),
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
