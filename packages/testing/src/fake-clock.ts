import type { Clock } from '@continuo/server/ports';

/** A clock that stands still until it is told to go on. */
export interface FakeClock extends Clock {
  /** Lets everything happen that is due within `ms`, in order, with all promises in between. */
  advance(ms: number): Promise<void>;
  /** Lets everything happen that needs no time. */
  settle(): Promise<void>;
  /** Advances to the next timer and runs it. False when there is none before `until`. */
  step(until?: number): Promise<boolean>;
  /** Timers that are set. */
  readonly timers: number;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;
}

/** Starts at `start` (unix ms). */
export function createFakeClock(start = 1_700_000_000_000): FakeClock {
  let now = start;
  let order = 0;
  let live = 0;
  const heap: Timer[] = [];
  let soon: (() => void)[] = [];

  async function settle(): Promise<void> {
    do {
      const tasks = soon;
      soon = [];
      for (const task of tasks) task();
      await turn();
    } while (soon.length > 0);
  }

  async function step(until = Number.POSITIVE_INFINITY): Promise<boolean> {
    await settle();
    while (heap[0] && heap[0].run === null) pop(heap);
    const next = heap[0];
    if (!next || next.at > until) return false;
    now = Math.max(now, next.at);
    pop(heap);
    const { run } = next;
    next.run = null;
    live--;
    run?.();
    await settle();
    return true;
  }

  return {
    now: () => now,
    schedule(at, run) {
      const timer: Timer = { at: Math.max(at, now), order: order++, run };
      push(heap, timer);
      live++;
      return () => {
        if (timer.run) live--;
        timer.run = null;
      };
    },
    soon(run) {
      soon.push(run);
    },
    settle,
    step,
    async advance(ms) {
      const until = now + ms;
      while (await step(until));
      now = until;
    },
    get timers() {
      return live;
    },
  };
}

/** Lets every promise continuation run: one turn of the real event loop, no time. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Timer[], timer: Timer): void {
  let index = heap.push(timer) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent];
    if (!above || before(above, timer)) break;
    heap[index] = above;
    heap[parent] = timer;
    index = parent;
  }
}

function pop(heap: Timer[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = index * 2 + 1;
    const left = heap[child];
    const right = heap[child + 1];
    if (left && right && before(right, left)) child++;
    const smaller = heap[child];
    if (!smaller || before(last, smaller)) break;
    heap[index] = smaller;
    index = child;
  }
  heap[index] = last;
}
