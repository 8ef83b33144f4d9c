import { expect, it } from 'vitest';
import { leaseRounds } from './runs-leases.ts';

/** The full form, with the leases of the shipped command, is `npm run soak -- leases`. */
it('R-22 twenty rounds of a driver that is killed or frozen: runs go on within two leases, finished calls are not made again', async () => {
  const report = await leaseRounds({
    rounds: 20,
    pairs: 5,
    seed: 22,
    lease: { leaseMs: 2_500, renewMs: 700 },
  });
  expect(report).toMatchObject({ rounds: 20, killed: 15, frozen: 10 });
  expect(report.missed, 'faults after the end').toBeLessThan(5);
  expect(report.wokeMeanwhile, 'servers that woke up while the other drove').toBeGreaterThan(2);
  expect(report.secondLines, 'calls that were cut and made again').toBeGreaterThan(0);
}, 180_000);
