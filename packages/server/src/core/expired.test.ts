import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { countCalls, interceptStore } from '../../test/intercept.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { findYounger } from './expired.ts';

const LOG = 'channel:a';

/** A log with one entry every 10 ms, of which the first `gone` were trimmed. */
async function createLog(
  count: number,
  gone = 0,
): Promise<{ find(since: number): Promise<number | null>; reads(): number }> {
  const clock = createFakeClock(0);
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  for (let offset = 1; offset <= count; offset++) {
    await store.logs.append(LOG, [{ id: `e${offset}`, type: 'test', data: null }]);
    await clock.advance(10);
  }
  await store.logs.trim(LOG, gone + 1);
  const counted = countCalls(store);
  return {
    async find(since) {
      const [head] = await store.logs.heads([LOG]);
      if (!head) throw new Error('there is no log');
      return findYounger(counted.store.logs, LOG, { head, since });
    },
    reads: () => counted.calls('read').length,
  };
}

describe('what is younger than a time', () => {
  it('is found wherever it begins, as reading everything would find it', async () => {
    for (const gone of [0, 7]) {
      const { find } = await createLog(33, gone);
      for (let since = -10; since <= 340; since += 5) {
        const first = Math.max(gone + 1, Math.ceil(since / 10) + 1);
        expect(await find(since), `since ${since}`).toBe(first > gone + 1 ? Math.min(first, 34) : null);
      }
    }
  });

  it('is found with few reads', async () => {
    const { find, reads } = await createLog(1_000);
    await find(5_000);
    expect(reads()).toBeLessThanOrEqual(11);
  });

  it('is nothing new in an empty log', async () => {
    const { find, reads } = await createLog(3, 3);
    expect(await find(1_000)).toBeNull();
    expect(reads()).toBe(0);
  });

  it('is not said of a log that somebody else trims meanwhile', async () => {
    let reads = 0;
    const clock = createFakeClock(0);
    const store = createMemoryStore({ clock, random: createSeededRandom(1) });
    for (let offset = 1; offset <= 16; offset++)
      await store.logs.append(LOG, [{ id: `e${offset}`, type: 'test', data: null }]);
    const trimmed = interceptStore(store, async (call, go) => {
      if (call.name === 'read' && ++reads === 2) await store.logs.trim(LOG, 17);
      return go();
    });
    const [head] = await store.logs.heads([LOG]);
    if (!head) throw new Error('there is no log');
    expect(await findYounger(trimmed.logs, LOG, { head, since: 1 })).toBeNull();
  });
});
