import type { Bus, Clock } from '../ports.ts';
import { createMemoryBus } from './memory.ts';

export interface SqliteBusOptions {
  readonly clock: Pick<Clock, 'soon'>;
  /** Called with true when the first log is watched, with false when none is any more. */
  readonly watch: (on: boolean) => void;
}

/**
 * Wakes for the processes that share a file. Within the process at once; the store's thread asks the file every 20 ms
 * whether another process changed it (`PRAGMA data_version`) and wakes what did.
 */
export function createSqliteBus({ clock, watch }: SqliteBusOptions): Bus {
  const local = createMemoryBus(clock);
  let watched = 0;
  return {
    wake: local.wake,
    watch(log, onWake) {
      const stop = local.watch(log, onWake);
      if (++watched === 1) watch(true);
      let stopped = false;
      return () => {
        if (stopped) return;
        stopped = true;
        stop();
        if (--watched === 0) watch(false);
      };
    },
  };
}
