import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFakeClock } from '@continuo/testing';
import { expect, it, onTestFinished } from 'vitest';
import { openSqliteStore } from './index.ts';
import { newestEntryAt } from './newest.ts';

function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-newest-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'data.db');
}

it('says when the newest entry was stored, beside the store that has the file open', async () => {
  const path = temporaryFile();
  const clock = createFakeClock();
  const store = await openSqliteStore({ path, clock: { ...clock, soon: (run) => void setImmediate(run) } });
  onTestFinished(() => store.close());
  expect(newestEntryAt(path)).toBeNull();
  const at: number[] = [];
  for (const log of ['a', 'b', 'a']) {
    at.push(clock.now());
    await store.logs.append(log, [{ id: `${log}${at.length}`, type: 'x', data: null }]);
    await clock.advance(1_000);
  }
  for (const log of ['b', 'c']) await store.logs.append(log, []); // changed last, with nothing new
  expect(newestEntryAt(path)).toBe(at.at(-1));
});

it('throws where there is no such file', () => {
  expect(() => newestEntryAt(temporaryFile())).toThrow(/unable to open/);
});
