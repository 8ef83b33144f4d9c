import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { expect, it, onTestFinished } from 'vitest';
import { createMemoryStore } from '../memory.ts';
import { openSqliteStore } from './index.ts';

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
