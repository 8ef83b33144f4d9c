/** How often each thing happened: a simulation in which something never happened has not tested it. */
export const COUNTED = [
  'cuts',
  'half-open sockets',
  'stalls',
  'refused dials',
  'lost wakes',
  'doubled wakes',
  'late wakes',
  'server deaths',
  'freezes',
  'drains',
  'lease expiries',
  'take-overs',
  'trims',
  'lost logs',
  'replays',
  'resets',
  'redeliveries',
  'messages nacked',
  'poll answers lost',
  'runs resumed',
  'runs cancelled',
  'turns paused',
  'turns aborted',
  'approvals answered',
  'approvals in conflict',
  'approvals expired',
  'messages answered',
  'messages acked',
  'events checked',
] as const;

export type Counted = (typeof COUNTED)[number];
export type Counters = Record<Counted, number>;

export function createCounters(): Counters {
  return Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counters;
}

export function addCounters(sum: Counters, more: Counters): void {
  for (const name of COUNTED) sum[name] += more[name];
}

/** What the simulation found: the product broke a promise. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export function must(holds: boolean, promise: string): asserts holds {
  if (!holds) throw new Violation(promise);
}
