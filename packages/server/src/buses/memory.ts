import type { Bus, Clock } from '../ports.ts';

/** Wakes within one process. At least once per wake, after the tick in which it was given. */
export function createMemoryBus(clock: Pick<Clock, 'soon'>): Bus {
  const watchers = new Map<string, Set<(offset?: number) => void>>();
  const woken = new Map<string, number>();
  let scheduled = false;

  function deliver(): void {
    scheduled = false;
    const now = [...woken];
    woken.clear();
    for (const [log, offset] of now) for (const onWake of watchers.get(log) ?? []) onWake(offset);
  }

  return {
    wake(log, offset) {
      if (!watchers.has(log)) return;
      woken.set(log, Math.max(offset, woken.get(log) ?? 0));
      if (!scheduled) {
        scheduled = true;
        clock.soon(deliver);
      }
    },
    watch(log, onWake) {
      const mine = watchers.get(log) ?? new Set();
      watchers.set(log, mine.add(onWake));
      return () => {
        mine.delete(onWake);
        if (mine.size === 0 && watchers.get(log) === mine) watchers.delete(log);
      };
    },
  };
}
