import { describe, expect, it } from 'vitest';
import { killRound } from './kill.ts';

/** The full form is `npm run soak -- kill`. */
describe('kill -9 of a server in mid-turn and in mid-run', () => {
  it.concurrent.each([1, 2, 3])('L-8 is survived on restart: seed %i', async (seed) => {
    const { outcomes, endedAfterMs } = await killRound({ seed, servers: 1 });
    expect(outcomes).toEqual(['interrupted', 'ok', 'TeamRunError']);
    expect(endedAfterMs).toBeGreaterThan(0);
  });

  it.concurrent.each([11, 12, 13])(
    'L-8 is survived by the other server on the file: seed %i',
    async (seed) => {
      const { outcomes, endedAfterMs } = await killRound({ seed, servers: 2 });
      expect(outcomes.slice(0, 2)).toEqual(['interrupted', 'ok']);
      expect(endedAfterMs).toBeGreaterThan(0);
    },
  );
});
