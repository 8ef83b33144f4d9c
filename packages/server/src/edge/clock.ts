import { randomBytes } from 'node:crypto';
import type { Clock, Random } from '../ports.ts';

/** A timer waits no longer than this at once: Node fires longer ones immediately. Milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The machine's time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(at, run) {
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      const ms = at - Date.now();
      timer = ms > MAX_TIMER_MS ? setTimeout(wait, MAX_TIMER_MS) : setTimeout(run, Math.max(0, ms));
    };
    wait();
    return () => clearTimeout(timer);
  },
  soon: (run) => void setImmediate(run),
};

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The machine's chance: ids are 22 letters and digits, about 130 bits that nobody can guess. */
export const systemRandom: Random = {
  next: () => Math.random(),
  id() {
    let id = '';
    while (id.length < 22) {
      for (const byte of randomBytes(32)) {
        if (byte < 248 && id.length < 22) id += LETTERS[byte % 62]; // 248 = 4 x 62: every letter is as likely
      }
    }
    return id;
  },
};
