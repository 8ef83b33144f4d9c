import { describe, expect, it } from 'vitest';
import { BACKOFF, type Backoff, backoffDelay, checkBackoff } from './backoff.ts';

/** Chance at its lowest, in the middle, at its highest. */
const CHANCES = [0, 0.5, 1];
const even = (attempt: number): number => backoffDelay(BACKOFF, attempt, 0.5);

const WRONG: readonly (readonly [Partial<Backoff>, string])[] = [
  [{ initialMs: 0 }, 'backoff.initialMs'],
  [{ initialMs: -1 }, 'backoff.initialMs'],
  [{ initialMs: Number.NaN }, 'backoff.initialMs'],
  [{ maxMs: 999 }, 'backoff.maxMs'],
  [{ maxMs: Number.NaN }, 'backoff.maxMs'],
  // Timers of every runtime hold 31 bits; above, they fire at once.
  [{ maxMs: Number.POSITIVE_INFINITY }, 'backoff.maxMs'],
  [{ maxMs: 2 ** 31 }, 'backoff.maxMs'],
  [{ multiplier: 0.99 }, 'backoff.multiplier'],
  [{ multiplier: Number.NaN }, 'backoff.multiplier'],
  [{ jitter: -0.1 }, 'backoff.jitter'],
  [{ jitter: 1.1 }, 'backoff.jitter'],
  [{ jitter: Number.NaN }, 'backoff.jitter'],
];

const EDGES: readonly Partial<Backoff>[] = [
  {},
  { initialMs: 0.5 },
  { initialMs: 30_000 },
  { multiplier: 1 },
  { multiplier: Number.MAX_VALUE },
  { jitter: 0 },
  { jitter: 1 },
];

describe('the delay before an attempt', () => {
  it('G-11 is 1,000 ms first, doubled up to 30,000', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(even)).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
    ]);
  });

  it('G-11 is made shorter or longer by chance, by a fifth at most', () => {
    const delays = (attempt: number) =>
      CHANCES.map((chance) => Math.round(backoffDelay(BACKOFF, attempt, chance)));
    expect(delays(0)).toEqual([800, 1_000, 1_200]);
    expect(delays(3)).toEqual([6_400, 8_000, 9_600]);
  });

  it('G-11 is never above the maximum, jitter included, at any attempt', () => {
    for (const jitter of [0, 0.2, 1]) {
      for (let attempt = 0; attempt < 2_000; attempt++) {
        for (const chance of CHANCES) {
          const delay = backoffDelay({ ...BACKOFF, jitter }, attempt, chance);
          expect(delay >= 0 && delay <= 30_000, `attempt ${attempt}, chance ${chance}: ${delay}`).toBe(true);
        }
      }
    }
  });

  it.each([1_023, 1_024, 1_025, 10_000, Number.MAX_SAFE_INTEGER])(
    'G-11 is the maximum at attempt %d, where the power is too large for a number',
    (attempt) => {
      expect(even(attempt)).toBe(30_000);
      expect(backoffDelay(BACKOFF, attempt, 0)).toBe(24_000);
    },
  );

  it('G-11 stays the same where the multiplier is 1', () => {
    expect(backoffDelay({ ...BACKOFF, multiplier: 1 }, 10_000, 0.5)).toBe(1_000);
  });
});

describe('the options of a backoff', () => {
  it.each(EDGES)('may be %o', (options) => {
    const backoff = { ...BACKOFF, ...options };
    expect(checkBackoff(backoff)).toEqual(backoff);
  });

  it.each(WRONG)('may not be %o: the sentence names %s and its value', (options, name) => {
    const [value] = Object.values(options);
    const check = () => checkBackoff({ ...BACKOFF, ...options });
    expect(check).toThrow(RangeError);
    expect(check).toThrow(name);
    expect(check).toThrow(`not be ${value}`);
  });
});
