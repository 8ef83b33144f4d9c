export { createFakeClock, type FakeClock } from './fake-clock.ts';
export {
  type ClientEnd,
  dialLink,
  LINE_WIRE,
  type LinkOptions,
  type NetworkFaults,
  NO_FAULTS,
  type ServerInbound,
} from './network.ts';
export { createSeededRandom, type SeededRandom } from './seeded-random.ts';
export { busSuite } from './suites/bus.ts';
export { logsSuite } from './suites/logs.ts';
export { recordsSuite } from './suites/records.ts';
export { type Case, needsOther, type StoreCase, type StoreFixture } from './suites/suite.ts';
