import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ACKED } from './acks.ts';
import { ECHOES } from './echoes.ts';
import { profileFromNowOn, profileTables } from './profiling.ts';
import {
  ackedTables,
  echoTables,
  fanOutTables,
  idleTables,
  recoveryTables,
  runResumeTables,
  sseTables,
  turnTables,
} from './reports.ts';
import { RECOVERING } from './rooms.ts';
import { runAcked } from './scenarios/acked.ts';
import { runEcho } from './scenarios/echo.ts';
import { type FanOut, runFanOut } from './scenarios/fan-out.ts';
import { runIdle } from './scenarios/idle.ts';
import { runRecovery } from './scenarios/recovery.ts';
import { runResume, VIEWS } from './scenarios/run-resume.ts';
import { runSse } from './scenarios/sse.ts';
import { runTurn } from './scenarios/turn.ts';
import { STREAMS } from './streams.ts';
import { type Subject, SYSTEMS, type System } from './systems.ts';
import type { Measured } from './tables.ts';

/**
 * `npm run bench -- [fan-out] [acked] [recovery] [sse] [idle] [echo] [turn] [run-resume] [--repeats 3] [--only NAME]...
 * [--subscribers N]... [--profile NAME]`. This process is the load generator, but for `idle`, `fan-out` and `sse`; every
 * server is a process of its own. Tables go to stdout, progress to stderr.
 */

/** How long, from a scenario's beginning, disturbed turns are done again: each takes less than 90 s, a fan-out 200 s. */
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
    /** Of `fan-out`: some of 100, 1000 and 5000; more than once for several. */
    subscribers: { type: 'string', multiple: true, default: ['100', '1000', '5000'] },
    /** As `--only`, once, and with a table of where the servers' time goes. What is measured is then of little use. */
    profile: { type: 'string' },
  },
});
const { profile } = values;
if (profile !== undefined) profileFromNowOn();
const only = profile === undefined ? values.only : [profile];
const repeats = profile === undefined ? Number(values.repeats) : 1;
if (!Number.isInteger(repeats) || repeats < 1 || repeats > 20) {
  throw new Error(`--repeats is "${values.repeats}": it must be 1 to 20`);
}

/** Every repeat begins with another subject. */
async function repeat<S extends Subject, R>(
  among: readonly S[],
  run: (order: readonly S[], deadlineMs: number) => Promise<readonly R[]>,
  retryMs = RETRY_MS,
): Promise<Measured<R>[]> {
  const subjects = among.filter(({ name }) => only.some((part) => name.includes(part)));
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

async function fanOut(size: string): Promise<string> {
  const subscribers = Number(size);
  // Its cost over memory is that of a message, and is seen best with subscribers neither few nor many.
  const among = SYSTEMS.filter(({ name }) => subscribers === 1_000 || name !== 'continuo, sqlite');
  process.stderr.write(`  ${subscribers} subscribers\n`);
  const run = (order: readonly System[], deadlineMs: number): Promise<readonly FanOut[]> =>
    runFanOut(order, { subscribers, deadlineMs });
  return fanOutTables(subscribers, await repeat(among, run, FAN_OUT_RETRY_MS));
}

async function fanOuts(): Promise<string> {
  const tables: string[] = [];
  for (const size of values.subscribers) tables.push(await fanOut(size));
  return tables.join('\n\n');
}

const IDLING: readonly string[] = ['continuo, memory', 'ws', 'Socket.IO'];
const IDLE = SYSTEMS.filter(({ name }) => IDLING.includes(name));
const DURABLE: readonly Subject[] = SYSTEMS.filter(({ name }) => name === 'continuo, sqlite');
const SCENARIOS: Readonly<Record<string, () => Promise<string>>> = {
  'fan-out': fanOuts,
  acked: async () => ackedTables(await repeat(ACKED, runAcked)),
  recovery: async () => recoveryTables(await repeat(RECOVERING, runRecovery)),
  sse: async () => sseTables(await repeat(STREAMS, runSse)),
  idle: async () => idleTables(await repeat(IDLE, runIdle)),
  echo: async () => echoTables(await repeat(ECHOES, runEcho)),
  turn: async () => turnTables(await repeat(DURABLE, runTurn)),
  'run-resume': async () => runResumeTables(await repeat(VIEWS, runResume)),
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
if (profile !== undefined) console.log(`\n${profileTables()}`);
process.exit(0);
