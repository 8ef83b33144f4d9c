import { deepEqual, equal, ok } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { needsOther, type StoreCase } from './suite.ts';

/** Waits for what another thread or process does: the one place where a suite must. */
async function eventually(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (holds()) return;
    await sleep(10);
  }
  throw new Error('it did not happen within 5 s');
}

/** What every implementation of `Bus` keeps. That a wake may be lost or doubled (BUS-1) is what its users are tested for. */
export const busSuite: readonly StoreCase[] = [
  {
    id: 'BUS-2',
    title: 'a wake reaches the watchers of its log, and none that stopped',
    async run(fixture) {
      const { bus } = await fixture.open();
      const seen: string[] = [];
      bus.watch('a', () => seen.push('first'));
      const stop = bus.watch('a', () => seen.push('stopped'));
      bus.watch('b', () => seen.push('b'));
      stop();
      stop();
      bus.wake('a', 1);
      await eventually(() => seen.length > 0);
      deepEqual(new Set(seen), new Set(['first']));
    },
  },
  {
    id: 'BUS-2',
    title: 'an append of another process wakes the watchers here',
    skip: needsOther,
    async run(fixture) {
      const { bus } = await fixture.open();
      const other = await fixture.openOther?.();
      let woken = 0;
      const stop = bus.watch('a', () => woken++);
      for (let round = 1; round <= 3; round++) {
        woken = 0;
        const { head } = (await other?.logs.append('a', [{ id: `e${round}`, type: 't', data: round }])) ?? {};
        other?.bus.wake('a', head?.offset ?? 0);
        await eventually(() => woken > 0);
      }
      stop();
    },
  },
  {
    id: 'BUS-3',
    title: 'a wake calls nobody before it returns, and never throws',
    async run(fixture) {
      const { bus } = await fixture.open();
      let woken = false;
      bus.watch('a', () => {
        woken = true;
      });
      bus.wake('a', 1);
      bus.wake('nobody', 1);
      equal(woken, false);
      await eventually(() => woken);
      ok(woken);
    },
  },
];
