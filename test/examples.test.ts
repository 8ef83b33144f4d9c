import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Every example runs as its reader would run it. */

const FOLDER = fileURLToPath(new URL('../examples/', import.meta.url));
const EXAMPLES = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'));
/** As this test was started: from the sources. */
const CONDITIONS = process.execArgv.filter((argument) => argument.startsWith('--conditions='));
/** What a reader can install. */
const PUBLIC =
  /^(node:[\w/]+|@continuo\/(client|server|agents|protocol)|express|fastify|hono|@hono\/node-server|ws)$/;

interface Ended {
  readonly code: number | null;
  readonly errors: string;
}

function run(name: string): Promise<Ended> {
  const child = spawn(process.execPath, [...CONDITIONS, `${FOLDER}${name}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
    timeout: 60_000,
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, errors })));
}

describe('the examples', () => {
  it('run from the sources', () => {
    expect(CONDITIONS).toHaveLength(1);
  });

  it('are there: those of the clients, and one for each framework', () => {
    expect(EXAMPLES.map((name) => name.replace('.ts', '')).sort()).toEqual([
      'app-snapshot',
      'backoff',
      'batch-job',
      'gap-and-state',
      'in-express',
      'in-fastify',
      'in-hono',
      'push-agent',
      'push-polling',
      'push-presence',
      'push-publish',
      'push-transport',
      'push-wait',
      'run-resume',
      'simplest',
      'version-mismatch',
    ]);
  });

  it.each(EXAMPLES)('%s asserts, in under 60 lines, with what a reader can install', (name) => {
    const text = readFileSync(`${FOLDER}${name}`, 'utf8');
    expect(text.trimEnd().split('\n').length).toBeLessThan(60);
    expect(text).toMatch(/\bassert\b/);
    const imported = [...text.matchAll(/ from '([^']+)'/g)].map((match) => match[1] ?? '');
    expect(imported.filter((source) => !PUBLIC.test(source))).toEqual([]);
  });

  it.concurrent.each(EXAMPLES)('%s ends with 0 and without a word on standard error', async (name) => {
    expect(await run(name)).toEqual({ code: 0, errors: '' });
  });
});
