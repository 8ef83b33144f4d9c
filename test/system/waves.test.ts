import { expect, it } from 'vitest';
import { presenceWaves } from './waves.ts';

/** The full form is `npm run soak -- presence`. */
it('P-25 clients of two servers come and go, one server is killed: who is there is right for every client', async () => {
  const report = await presenceWaves({ clients: 100, waves: 3, seed: 6 });
  expect(report.goings).toBeGreaterThan(50);
  expect(report.lost).toBeGreaterThan(10);
  expect(report.settledMs).toBeLessThan(20_000);
});
