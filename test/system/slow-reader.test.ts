import { expect, it } from 'vitest';
import { type SlowReaderReport, slowReader } from './slow-reader.ts';

/** The full form is `npm run soak -- slow`. */

const MB = 1024 * 1024;
/** 64 MB: what a server that kept them for its reader would be found by. */
const FLOOD = { messages: 40_000, bytes: 1_600, warmUp: 40_000 };

function expectNothingKept({ most }: SlowReaderReport): void {
  expect((most.stopped - most.all) / MB).toBeLessThan(32);
  expect((most.again - most.all) / MB).toBeLessThan(32);
}

it('L-5 a subscriber that stops reading costs the server no memory, and gets all when it reads again', async () => {
  const report = await slowReader({ ...FLOOD, maxEntries: 100_000 });
  expectNothingKept(report);
  expect(report).toMatchObject({ resets: 0, before: FLOOD.messages, after: 0 });
});

it('P-9 a subscriber that read too late is told of one reset, and gets what is kept', async () => {
  const report = await slowReader({ ...FLOOD, maxEntries: 10_000 });
  expectNothingKept(report);
  expect(report).toMatchObject({ resets: 1, after: 10_000 });
});
