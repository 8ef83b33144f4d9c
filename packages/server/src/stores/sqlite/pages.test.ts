import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { expect, it, onTestFinished, vi } from 'vitest';
import { range } from '../../../test/pick.ts';
import { createMemoryStore } from '../memory.ts';
import { createEngine } from './engine.ts';
import { openSqliteStore } from './index.ts';
import { openFile } from './open.ts';

it('ST-7, ST-11 pages of any size are those of the store in memory', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'continuo-pages-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const clock = createFakeClock();
  const random = createSeededRandom(5);
  const path = join(folder, 'data.db');
  const sqlite = await openSqliteStore({ path, clock: { ...clock, soon: (run) => void setImmediate(run) } });
  onTestFinished(() => sqlite.close());
  const memory = createMemoryStore({ clock, random });
  const words = ['', 'plain', 'line\nline', '"quoted\\"', 'é ü 語', '😀', '\u2028', '[1,2]', 'null'];
  for (let count = 0; count < 300; count++) {
    const text = (random.pick(words) ?? '').repeat(random.int(0, 20));
    const draft = {
      id: `${count} ${text}`,
      type: random.pick(['a', 'b"']) ?? 'a',
      data: random.pick([text, { text, deep: [count, null, true] }, count / 3, null, []]),
      ...(random.chance(0.5) && { source: text }),
    };
    const options = random.chance(0.7) ? { fence: { run: `run ${text.slice(0, 4)}`, token: 1 } } : {};
    for (const { logs } of [sqlite, memory]) await logs.append('l', [draft], options);
    await clock.advance(random.int(0, 3));
  }
  for (const { logs } of [sqlite, memory]) await logs.trim('l', 7);
  for (let round = 0; round < 120; round++) {
    const after = { offset: random.int(6, 300) };
    const limit = {
      entries: random.pick([1, 5, 32, 33, 100, 1_000]) ?? 1,
      bytes: random.pick([1, 500, 5_000, 1e6]) ?? 1,
    };
    const [page, expected] = [
      await sqlite.logs.read('l', after, limit),
      await memory.logs.read('l', after, limit),
    ];
    if (page.kind === 'reset' || expected.kind === 'reset') throw new Error('nothing was lost');
    const own = (entries: typeof page.entries): object[] => entries.map((entry) => ({ ...entry, epoch: '' }));
    expect(own(page.entries)).toEqual(own(expected.entries));
    expect([page.bytes, page.more, page.next.offset]).toEqual([
      expected.bytes,
      expected.more,
      expected.next.offset,
    ]);
  }
});

it.each([
  { of: 'all that fits', bytes: 1_000_000, scans: 1, count: 200 },
  { of: 'as much as fits', bytes: 1_000, scans: 3, count: 100 },
])('a page of $of takes $scans looks at its rows', ({ bytes, scans, count }) => {
  const file = openFile(':memory:', 'process');
  onTestFinished(() => file.close());
  const prepare = vi.spyOn(file.db, 'prepare');
  const engine = createEngine(file.db);
  const drafts = range(1, 200).map((number) => ({
    id: `${number}`,
    type: 'a',
    data: '"12345678"',
    source: null,
  }));
  const append = { log: 'l', drafts, at: 1, run: null, token: 0, epoch: null, end: false } as const;
  engine.run([{ kind: 'append', ...append }]);
  prepare.mockClear();
  const read = { log: 'l', epoch: null, after: 0, entries: 1_000, bytes, now: 1 };
  const [page] = engine.run([{ kind: 'read', ...read }]);
  const looks = prepare.mock.calls.filter(([text]) => text.includes('FROM entries'));
  expect([looks.length, page]).toMatchObject([scans, { bytes: count * 10, more: count < 200 }]);
});
