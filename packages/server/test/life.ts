import type { Clock, Store } from '../src/ports.ts';
import { interceptStore } from './intercept.ts';

/** The life of one server's process: when it ends, its timers never fire and its store never answers it. */
export interface Life {
  readonly clock: Clock;
  readonly store: Store;
  end(): void;
}

export function createLife(clock: Clock, store: Store): Life {
  let alive = true;
  const whileAlive = (run: () => void) => (): void => {
    if (alive) run();
  };
  const never = new Promise<never>(() => {});
  return {
    clock: {
      now: clock.now,
      schedule: (at, run) => clock.schedule(at, whileAlive(run)),
      soon: (run) => clock.soon(whileAlive(run)),
    },
    store: {
      ...interceptStore(store, async (_call, go) => {
        if (!alive) return never;
        const answer = await go();
        return alive ? answer : never;
      }),
      bus: {
        wake(log, offset) {
          if (alive) store.bus.wake(log, offset);
        },
        watch: (log, onWake) =>
          store.bus.watch(log, (offset) => {
            if (alive) onWake(offset);
          }),
      },
    },
    end() {
      alive = false;
    },
  };
}
