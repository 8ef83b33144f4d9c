import type { Draft } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { type CountedStore, countCalls, interceptStore } from '../../test/intercept.ts';
import { range } from '../../test/pick.ts';
import { type Store, StoreError } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { createJournal, type Journal, type Retention } from './log.ts';

const LOG = 'channel:a';

interface World {
  readonly clock: FakeClock;
  readonly counted: CountedStore;
  readonly journal: Journal;
  readonly wakes: number[];
  readonly problems: string[];
  append(count: number, data?: unknown): Promise<void>;
  kept(): Promise<{ oldest: number; newest: number }>;
}

function createWorld(retention: Partial<Retention> = {}, through = (store: Store): Store => store): World {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const counted = countCalls(through(store));
  const wakes: number[] = [];
  const problems: string[] = [];
  const journal = createJournal({
    logs: counted.store.logs,
    bus: { wake: (_log, offset) => void wakes.push(offset), watch: () => () => {} },
    clock,
    report: (problem, error) => void problems.push(`${problem}: ${String(error)}`),
    retentionOf: () => ({ maxEntries: 100, maxBytes: 1_000_000, ...retention }),
  });
  let appended = 0;
  return {
    clock,
    counted,
    journal,
    wakes,
    problems,
    async append(count, data = null) {
      for (let left = count; left > 0; left--) {
        await journal.append(LOG, [{ id: `e${++appended}`, type: 'test', data }]);
        await clock.settle();
      }
    },
    async kept() {
      const [head] = await store.logs.heads([LOG]);
      return { oldest: head?.oldest ?? 0, newest: head?.offset ?? 0 };
    },
  };
}

describe('the journal', () => {
  it('L-1 wakes the readers of a log after the entry is stored, with the position it has', async () => {
    const { clock, counted, journal, wakes } = createWorld();
    await journal.append(LOG, [
      { id: 'a', type: 'test', data: 1 },
      { id: 'b', type: 'test', data: 2 },
    ]);
    expect(counted.calls('append')).toHaveLength(1);
    expect(wakes).toEqual([2]);
    await clock.settle();
  });

  it('L-1 wakes nobody for what was not stored', async () => {
    const drafts: Draft[] = [{ id: 'a', type: 'test', data: null }];
    const { journal, wakes } = createWorld();
    await journal.append(LOG, drafts);
    await journal.append(LOG, drafts); // the same again
    expect(wakes).toEqual([1]);

    const broken = createWorld({}, (store) =>
      interceptStore(store, async () => {
        throw new StoreError('unavailable', 'the disk is gone');
      }),
    );
    await expect(broken.journal.append(LOG, drafts)).rejects.toThrow('the disk is gone');
    expect(broken.wakes).toEqual([]);
  });

  it('keeps as many entries as it should, and trims rarely', async () => {
    const { counted, append, kept } = createWorld();
    await append(110);
    expect(await kept()).toEqual({ oldest: 1, newest: 110 });
    await append(1);
    expect(await kept()).toEqual({ oldest: 12, newest: 111 });
    await append(1_000);
    const { oldest, newest } = await kept();
    expect(newest - oldest + 1).toBeGreaterThanOrEqual(100);
    expect(newest - oldest + 1).toBeLessThanOrEqual(110);
    expect(counted.calls('trim').length).toBeLessThan(110);
  });

  it('keeps as many bytes as it should', async () => {
    const { append, kept } = createWorld({ maxBytes: 10_000 });
    await append(50, 'x'.repeat(998)); // 1,000 bytes of JSON each
    const { oldest, newest } = await kept();
    expect(newest).toBe(50);
    expect(newest - oldest + 1).toBeGreaterThanOrEqual(9);
    expect(newest - oldest + 1).toBeLessThanOrEqual(11);
  });

  it('keeps exactly what it should when a log has been quiet for a second, and nothing before that', async () => {
    const { clock, append, kept } = createWorld();
    await append(105);
    await clock.advance(999);
    await append(1); // it grows: the slack stays
    await clock.advance(999);
    expect(await kept()).toEqual({ oldest: 1, newest: 106 });
    await clock.advance(1);
    expect(await kept()).toEqual({ oldest: 7, newest: 106 });
  });

  it('keeps exactly as many bytes as it should, however the entries differ in size', async () => {
    const { clock, append, kept } = createWorld({ maxBytes: 10_000 });
    await append(2, 'x'.repeat(98));
    await append(10, 'x'.repeat(998));
    await clock.advance(1_000);
    expect(await kept()).toEqual({ oldest: 3, newest: 12 });
    await append(1, 'x'.repeat(18));
    await clock.advance(1_000);
    expect(await kept()).toEqual({ oldest: 4, newest: 13 });
  });

  it('has one timer for all logs that are over their limits, and none where there are none', async () => {
    const { clock, journal, counted } = createWorld({ maxEntries: 10 });
    const idle = clock.timers;
    const drafts = (count: number): Draft[] =>
      range(1, count).map((number) => ({ id: `e${number}`, type: 'test', data: null }));
    await journal.append('channel:a', drafts(10));
    expect(clock.timers).toBe(idle);
    for (const name of ['a', 'b', 'c']) {
      await journal.append(`channel:${name}`, drafts(11));
      await clock.advance(100);
    }
    expect(clock.timers).toBe(idle + 1);
    await clock.advance(1_000);
    expect(clock.timers).toBe(idle);
    expect(counted.calls('trim').map(({ key }) => key)).toEqual(['channel:a', 'channel:b', 'channel:c']);
  });

  it('leaves the slack to a log whose trim costs a write', async () => {
    const { clock, append, kept } = createWorld({ beforeTrim: async (_log, before) => before });
    await append(110);
    await clock.advance(10_000);
    expect(await kept()).toEqual({ oldest: 1, newest: 110 });
  });

  it('trims no more when it was closed', async () => {
    const { clock, append, kept, journal } = createWorld();
    const idle = clock.timers;
    await append(105);
    journal.close();
    expect(clock.timers).toBe(idle);
    await clock.advance(10_000);
    expect(await kept()).toEqual({ oldest: 1, newest: 105 });
  });

  it('keeps at least the newest entry, however large it is', async () => {
    const { append, kept } = createWorld({ maxBytes: 10_000 });
    await append(3, 'x'.repeat(50_000));
    expect(await kept()).toEqual({ oldest: 3, newest: 3 });
  });

  it('lets what must outlive the entries be stored before they go, and keeps what it says', async () => {
    const asked: number[] = [];
    const { append, kept } = createWorld({
      async beforeTrim(_log, before) {
        asked.push(before);
        return 5;
      },
    });
    await append(111);
    expect(asked).toEqual([12]);
    expect((await kept()).oldest).toBe(5);
  });

  it('trims nothing when that could not be stored, and says so; the append counts', async () => {
    const { append, kept, problems } = createWorld({
      async beforeTrim() {
        throw new Error('the disk is gone');
      },
    });
    await append(111);
    expect(await kept()).toEqual({ oldest: 1, newest: 111 });
    expect(problems).toEqual([expect.stringContaining('the disk is gone')]);
  });

  it('does not trim twice at once', async () => {
    let trims = 0;
    const { journal, clock } = createWorld({}, (store) =>
      interceptStore(store, async (call, go) => {
        if (call.name === 'trim') {
          trims++;
          await new Promise<void>(() => {}); // a trim that takes for ever
        }
        return go();
      }),
    );
    const drafts = range(1, 150).map((number) => ({ id: `e${number}`, type: 'test', data: null }));
    await Promise.all(drafts.map((draft) => journal.append(LOG, [draft])));
    await clock.settle();
    expect(trims).toBe(1);
  });
});
