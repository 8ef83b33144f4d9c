import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for what other processes do: resolves when it holds, rejects with what was awaited when it takes too long. */
export async function until(
  what: string,
  withinMs: number,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`within ${withinMs} ms it did not happen: ${what}`);
    await sleep(10);
  }
}
