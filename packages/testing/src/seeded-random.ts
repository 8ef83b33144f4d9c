import type { Random } from '@continuo/server/ports';

/** Chance that comes out the same for the same seed. */
export interface SeededRandom extends Random {
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  pick<T>(items: readonly [T, ...T[]]): T;
  pick<T>(items: readonly T[]): T | undefined;
  /** Another stream of chance, so that one part's draws do not move another's. */
  fork(): SeededRandom;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** Mulberry32. */
export function createSeededRandom(seed: number): SeededRandom {
  let state = (seed ^ 0x9e3779b9) >>> 0;

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  const int = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));

  function pick<T>(items: readonly [T, ...T[]]): T;
  function pick<T>(items: readonly T[]): T | undefined;
  function pick<T>(items: readonly T[]): T | undefined {
    return items[int(0, items.length - 1)];
  }

  return {
    next,
    id: () => Array.from({ length: 22 }, () => LETTERS[int(0, LETTERS.length - 1)]).join(''),
    int,
    chance: (probability) => next() < probability,
    pick,
    fork: () => createSeededRandom(int(0, 0x7fffffff)),
  };
}
