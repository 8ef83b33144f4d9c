import { describe, expect, it } from 'vitest';
import { createSeededRandom } from './seeded-random.ts';

const many = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

describe('seeded random', () => {
  it('comes out the same for the same seed, for ever: pinned seeds must stay what they were', () => {
    expect(many(3, createSeededRandom(1).next)).toEqual([
      0.18967728852294385, 0.31778763560578227, 0.7830808095168322,
    ]);
    expect(createSeededRandom(1).id()).toBe('gl2t2y4yonwvtjco9lnufw');
  });

  it('comes out otherwise for another seed', () => {
    const first = new Set([0, 1, 2, -1, 2 ** 31].map((seed) => createSeededRandom(seed).next()));
    expect(first.size).toBe(5);
  });

  it('is at least 0 and below 1, and spreads over all of it', () => {
    const draws = many(10_000, createSeededRandom(7).next);
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws)).toBeLessThan(1);
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = draws.filter((draw) => Math.floor(draw * 10) === tenth).length;
      expect(share > 850 && share < 1_150, `tenth ${tenth}: ${share}`).toBe(true);
    }
  });

  it('draws whole numbers with both ends included', () => {
    const random = createSeededRandom(7);
    expect(new Set(many(200, () => random.int(-1, 2)))).toEqual(new Set([-1, 0, 1, 2]));
    expect(random.int(5, 5)).toBe(5);
  });

  it('takes a chance of 0 never and of 1 always, and of a fifth in a fifth of the cases', () => {
    const random = createSeededRandom(7);
    const hits = (probability: number): number =>
      many(5_000, () => random.chance(probability)).filter(Boolean).length;
    expect([hits(0), hits(1)]).toEqual([0, 5_000]);
    expect(Math.abs(hits(0.2) - 1_000)).toBeLessThan(100);
  });

  it('picks every item, and none where there is none', () => {
    const random = createSeededRandom(7);
    expect(new Set(many(100, () => random.pick(['a', 'b', 'c'])))).toEqual(new Set(['a', 'b', 'c']));
    expect(random.pick([])).toBeUndefined();
  });

  it('makes ids of 22 letters and digits, no two alike', () => {
    const random = createSeededRandom(7);
    const ids = many(1_000, random.id);
    for (const id of ids) expect(id).toMatch(/^[a-z0-9]{22}$/);
    expect(new Set(ids).size).toBe(1_000);
  });

  it('forks into chance of its own: what one part draws does not move the other', () => {
    const drawn = (extra: number): number[] => {
      const random = createSeededRandom(7);
      const fork = random.fork();
      many(extra, fork.next);
      return many(5, random.next);
    };
    expect(drawn(0)).toEqual(drawn(100));
    const random = createSeededRandom(7);
    const [one, two] = [random.fork(), random.fork()];
    expect(many(5, one.next)).not.toEqual(many(5, two.next));
  });
});
