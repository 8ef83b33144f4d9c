import { randomFillSync } from 'node:crypto';
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

const LETTERS = Buffer.from('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz');
const ID_LETTERS = 22;
/** Random bytes are asked for in stock: asking costs more than the bytes. */
const stock = Buffer.alloc(4_096);
let used = stock.byteLength;

function nextByte(): number {
  if (used === stock.byteLength) {
    randomFillSync(stock);
    used = 0;
  }
  return stock[used++] ?? 0;
}

const letters = Buffer.alloc(ID_LETTERS);

/** The machine's chance: ids are 22 letters and digits, about 130 bits that nobody can guess. */
export const systemRandom: Random = {
  next: () => Math.random(),
  id() {
    for (let count = 0; count < ID_LETTERS; ) {
      const byte = nextByte();
      if (byte < 248) letters[count++] = LETTERS[byte % 62] ?? 0; // 248 = 4 x 62: every letter is as likely
    }
    return letters.toString('latin1'); // one flat string: a sum of letters would keep its parts
  },
};
