import { expect, it } from 'vitest';
import { chaos } from './chaos.ts';

/** The full form is `npm run soak -- push`. */
it('P-3 cuts, moves between transports, handlers that fail and a kill: each message is handled by each consumer, or given up', async () => {
  const report = await chaos({
    seed: 4,
    consumers: 20,
    channels: 4,
    messages: 600,
    everyMs: 25,
    killsAtMs: [2_500],
  });
  expect(report.cuts).toBeGreaterThan(10);
  expect(report.toPolling).toBeGreaterThan(3);
  expect(report.toWebSocket).toBeGreaterThan(3);
  expect(report.redelivered).toBeGreaterThan(20);
  expect(report.deadLetters).toBeGreaterThan(0);
  expect(report.handled + report.deadLetters).toBe(20 * 150);
});
