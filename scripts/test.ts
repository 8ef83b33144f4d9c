import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addCounters, COUNTED, type Counters, createCounters } from '../sim/counters.ts';
import { MUTANTS } from '../sim/mutants.ts';
import { setUpBrowser } from './setup-browser.ts';

/** `npm test`: the rules, the simulation with its mutants, then every other test. Ends with how many passed and failed. */

const SEEDS = 2_000;
const MUTANT_SEEDS = 500;
const MUTANT_FROM = 1_001;
/** Processes at once. */
const AT_ONCE = 2;

interface Ended {
  readonly ok: boolean;
  readonly output: string;
}

function run(command: string, args: readonly string[], show: boolean): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.once('close', (code) => resolve({ ok: code === 0, output: output.trim() }));
  });
}

const node = (args: readonly string[]): Promise<Ended> =>
  run(process.execPath, ['--conditions=continuo-source', ...args], false);

async function all<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const take = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
}

let passed = 0;
let failed = 0;
const started = Date.now();

function judge(ok: boolean, what: string): void {
  if (ok) passed++;
  else failed++;
  const seconds = ((Date.now() - started) / 1000).toFixed(0).padStart(4);
  console.log(`${seconds} s  ${ok ? 'ok    ' : 'FAILED'}  ${what}`);
}

async function checkRules(): Promise<void> {
  const { ok, output } = await node(['scripts/rules.ts']);
  judge(ok, `rules: ${output}`);
}

async function checkSize(): Promise<void> {
  const { ok, output } = await node(['scripts/size.ts']);
  judge(ok, `size: ${output}`);
}

async function simulate(): Promise<void> {
  const sum = createCounters();
  const part = SEEDS / AT_ONCE;
  await all(
    Array.from({ length: AT_ONCE }, (_, index) => index * part + 1),
    async (from) => {
      const { ok, output } = await node([
        'sim/main.ts',
        '--seeds',
        String(part),
        '--from',
        String(from),
        '--json',
      ]);
      if (ok) addCounters(sum, JSON.parse(output) as Counters);
      judge(ok, ok ? `simulation: ${part} seeds from ${from}, every promise held` : `simulation: ${output}`);
    },
  );
  console.log(COUNTED.map((name) => `          ${name}: ${sum[name]}`).join('\n'));
  const never = COUNTED.filter((name) => sum[name] === 0);
  judge(
    never.length === 0,
    never.length === 0 ? 'simulation: everything happened' : `never happened: ${never.join(', ')}`,
  );
}

async function mutate(): Promise<void> {
  await all(MUTANTS, async ({ name }) => {
    const { ok, output } = await node([
      'sim/main.ts',
      '--seeds',
      String(MUTANT_SEEDS),
      '--from',
      String(MUTANT_FROM),
      '--mutant',
      name,
    ]);
    judge(ok, `mutant ${output.split('\n')[0]}`);
  });
}

async function testAll(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-test-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { ok } = await run(process.execPath, ['node_modules/.bin/vitest', 'run', ...reporters], true);
  const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8')) as {
    readonly numPassedTests: number;
    readonly numFailedTests: number;
  };
  rmSync(folder, { recursive: true });
  passed += numPassedTests;
  failed += numFailedTests;
  if (!ok && numFailedTests === 0) judge(false, 'vitest');
}

function setUp(): void {
  try {
    const { path, skipped } = setUpBrowser();
    judge(true, `Chromium: ${path ?? `its tests are left out (${skipped})`}`);
  } catch (error) {
    judge(false, error instanceof Error ? error.message : String(error));
  }
}

setUp();
const built = await run(process.execPath, ['node_modules/.bin/tsc', '-b'], true);
judge(built.ok, 'build');
if (built.ok) {
  await checkRules();
  await checkSize();
  await simulate();
  await mutate();
  await testAll();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
