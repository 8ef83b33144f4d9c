import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import type { Entry } from '@continuo/protocol';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../edge/clock.ts';
import { openSqliteStore } from './index.ts';
import { openFile } from './open.ts';

/** What only processes of their own can show. */

const APPENDER = fileURLToPath(new URL('../../../test/appender.ts', import.meta.url));

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'continuo-processes-'));
  path = join(folder, 'store.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Appender {
  readonly child: ChildProcess;
  /** Batches whose append resolved. */
  readonly acknowledged: readonly number[];
  readonly ended: Promise<unknown>;
}

function startAppender(
  name: string,
  batches: number,
  size: number,
  onBatch: (count: number) => void = () => {},
): Appender {
  const args = ['--conditions=continuo-source', APPENDER, path, name, String(batches), String(size)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const acknowledged: number[] = [];
  let rest = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      acknowledged.push(Number(line.split(' ')[0]));
      onBatch(acknowledged.length);
    }
  });
  return { child, acknowledged, ended: new Promise((resolve) => child.once('close', resolve)) };
}

async function readShared(): Promise<readonly Entry[]> {
  const store = await openSqliteStore({ path, clock: systemClock });
  const page = await store.logs.read('shared', { offset: 0 }, { entries: 1_000_000, bytes: 1 << 30 });
  await store.close();
  if (page.kind === 'reset') throw new Error('a reset at the start');
  return page.entries;
}

it('ST-1 two processes that append to one log at once leave no hole and no double', async () => {
  const appenders = ['a', 'b'].map((name) => startAppender(name, 100, 5));
  await Promise.all(appenders.map((appender) => appender.ended));
  const entries = await readShared();
  expect(entries.map((entry) => entry.offset)).toEqual(
    Array.from({ length: 1_000 }, (_, index) => index + 1),
  );
  expect(new Set(entries.map((entry) => entry.id)).size).toBe(1_000);
  for (const name of ['a', 'b']) {
    const own = entries.filter((entry) => entry.id.startsWith(name)).map((entry) => entry.id);
    expect(own).toEqual(
      Array.from({ length: 500 }, (_, index) => `${name}-${Math.floor(index / 5)}-${index % 5}`),
    );
  }
});

it.each([1, 7, 23, 60])(
  'ST-4 a process killed after %i batches leaves whole batches, and all that it acknowledged',
  async (count) => {
    const appender = startAppender('a', 1_000_000, 50, (batches) => {
      if (batches === count) appender.child.kill('SIGKILL');
    });
    await appender.ended;
    const entries = await readShared();
    expect(entries.map((entry) => entry.offset)).toEqual(entries.map((_, index) => index + 1));
    expect(entries.length % 50).toBe(0);
    expect(entries.length).toBeGreaterThanOrEqual(appender.acknowledged.length * 50);
    const db = new DatabaseSync(path);
    expect(db.prepare('PRAGMA integrity_check').get()).toMatchObject({ integrity_check: 'ok' });
    db.close();
  },
);

it('ST-6 a killed process under the same boot keeps the epochs, one under another boot changes them', async () => {
  const appender = startAppender('a', 1_000_000, 1, (batches) => {
    if (batches === 5) appender.child.kill('SIGKILL');
  });
  await appender.ended;
  const [first] = await readShared();
  const [again] = await readShared();
  expect(again?.epoch).toBe(first?.epoch);

  // As if the machine had gone down while somebody had the file open.
  const open = openFile(path, 'process');
  open.db.exec("UPDATE openers SET boot = 'another'");
  open.db.close();
  const [after] = await readShared();
  expect(after?.epoch).not.toBe(first?.epoch);
  expect(after?.id).toBe(first?.id);

  const safe = openFile(path, 'power');
  safe.db.exec("UPDATE openers SET boot = 'another'");
  safe.db.close();
  const store = await openSqliteStore({ path, clock: systemClock, durability: 'power' });
  const [head] = await store.logs.heads(['shared']);
  await store.close();
  expect(head?.epoch).toBe(after?.epoch);
});

it('a file that cannot be opened, or is none of ours, is refused with a sentence', async () => {
  await expect(openSqliteStore({ path: folder, clock: systemClock })).rejects.toThrow(
    /cannot open .*store|cannot open/,
  );
  const db = new DatabaseSync(path);
  db.exec('PRAGMA user_version = 99');
  db.close();
  await expect(openSqliteStore({ path, clock: systemClock })).rejects.toThrow(/newer than this version/);
});
