import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import {
  ack,
  type ConsumerState,
  createConsumerState,
  isUnacked,
  markDelivered,
  reopen,
} from './consumer.ts';
import {
  dueOf,
  feedFrom,
  handedAt,
  handOut,
  nackOf,
  nextDueAt,
  type RetryTerms,
  startAgain,
  waitOf,
} from './redelivery.ts';

const TERMS: RetryTerms = { ackTimeoutMs: 100, maxRetries: 3, retryBackoff: 2 };
const RUNS = { seed: 7, numRuns: 500 };

/** Offsets 1 to `count`, handed out one each ms from `at` on. */
function handed(count: number, at: number): ConsumerState {
  let state = createConsumerState('e', 0);
  for (const offset of range(1, count)) {
    state = markDelivered(state, offset, offset);
    state = handOut(state, offset, at + offset);
  }
  return state;
}

const offsetsOf = (state: ConsumerState, now: number): number[] =>
  dueOf(state, TERMS, now)
    .map(({ offset }) => offset)
    .toSorted((a, b) => a - b);

describe('what waits for an ack', () => {
  it('P-16 is due when its time is over, each by the time it was handed out', () => {
    const state = ack(handed(5, 1_000), 2);
    expect(offsetsOf(state, 1_100)).toEqual([]);
    expect(offsetsOf(state, 1_103)).toEqual([1, 3]);
    expect(offsetsOf(state, 2_000)).toEqual([1, 3, 4, 5]);
    expect(nextDueAt(state, TERMS)).toBe(1_101);
  });

  it('P-16 waits twice as long after each failure', () => {
    expect(range(0, 3).map((failures) => waitOf(TERMS, failures))).toEqual([100, 200, 400, 800]);
    expect(waitOf({ ...TERMS, ackTimeoutMs: 1e9, retryBackoff: 10 }, 30)).toBe(2 ** 31 - 1);
  });

  it('P-16 is never due early, and late by a 32nd of the ack timeout at most', () => {
    const terms = { ...TERMS, ackTimeoutMs: 30_000 };
    fc.assert(
      fc.property(fc.nat(1e7), (now) => {
        const at = handedAt(now, terms);
        expect(at).toBeGreaterThanOrEqual(now);
        expect(at).toBeLessThanOrEqual(now + 30_000 / 32);
      }),
      RUNS,
    );
  });

  it('keeps few marks, however many ticks a delivery takes', () => {
    const terms = { ...TERMS, ackTimeoutMs: 30_000 };
    let state = createConsumerState('e', 0);
    for (const offset of range(1, 3_000)) {
      state = handOut(markDelivered(state, offset, offset), offset, handedAt(offset * 10, terms));
    }
    expect(state.handed.length).toBeLessThan(35);
  });

  it('P-17 is due at once when it was nacked', () => {
    const state = nackOf(handed(3, 1_000), 2, { terms: TERMS, now: 1_010 });
    expect(dueOf(state, TERMS, 1_010)).toEqual([{ offset: 2, failures: 1, at: 0 }]);
    expect(nextDueAt(state, TERMS)).toBe(0);
  });

  it('P-18 is to be given up after its last retry was nacked, and tells one death from the next', () => {
    let state = handed(1, 1_000);
    for (const now of [1, 2, 3, 4, 9]) state = nackOf(state, 1, { terms: TERMS, now });
    expect(dueOf(state, TERMS, 5)).toEqual([{ offset: 1, failures: 4, at: 4 }]);
  });
});

describe('a consumer that comes back', () => {
  it('P-16 gets what failed by the retries at once, the rest by its feed', () => {
    const before = nackOf(handed(5, 1_000), 2, { terms: TERMS, now: 1_010 });
    const state = startAgain(before, 0, TERMS);
    expect(feedFrom(state)).toBe(0);
    expect(state.handed).toEqual([]);
    expect(dueOf(state, TERMS, 1_010)).toEqual([{ offset: 2, failures: 1, at: 0 }]);
    expect(feedFrom(ack(state, 1))).toBe(2);
  });

  it('P-14 waits on for what it confirmed to have received', () => {
    const state = startAgain(handed(5, 1_000), 3, TERMS);
    expect(offsetsOf(state, 2_000)).toEqual([1, 2, 3]);
    expect(offsetsOf(state, 1_102)).toEqual([1, 2]);
  });

  it('P-18 is not given again what is to be given up', () => {
    let before = handed(1, 1_000);
    for (const now of [1, 2, 3, 4]) before = nackOf(before, 1, { terms: TERMS, now });
    expect(startAgain(before, 0, TERMS).retries).toEqual([{ offset: 1, failures: 4, at: 4 }]);
  });
});

describe('a message that was given up', () => {
  it('P-19 is due at once when it is wanted again, and nothing before it', () => {
    const done = ack(handed(5, 1_000), 1, 5);
    const state = reopen(done, 3);
    expect(dueOf(state, TERMS, 1_000)).toEqual([{ offset: 3, failures: 0, at: 0 }]);
    expect(feedFrom(state)).toBe(5);
    expect(isUnacked(ack(state, 3), 3)).toBe(false);
    expect(ack(state, 3).retries).toEqual([]);
  });

  it('cannot be wanted again before it was handed out', () => {
    expect(reopen(handed(5, 1_000), 6)).toEqual(handed(5, 1_000));
  });
});

describe('the next look', () => {
  type Step = { readonly kind: 'hand' | 'ack' | 'nack' | 'reopen'; readonly offset: number };
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom('hand', 'ack', 'nack', 'reopen'),
    offset: fc.integer({ min: 1, max: 30 }),
  });

  it('P-16 is never later than what is due first', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state = createConsumerState('e', 0);
        let now = 1_000;
        for (const { kind, offset } of steps) {
          now += 7;
          if (kind === 'hand') {
            const next = state.delivered + 1;
            state = handOut(markDelivered(state, next, next), next, now);
          } else if (kind === 'ack') state = ack(state, offset);
          else if (kind === 'nack' && isUnacked(state, offset))
            state = nackOf(state, offset, { terms: TERMS, now });
          else if (kind === 'reopen') state = reopen(state, offset);
          const next = nextDueAt(state, TERMS);
          if (state.unacked.length === 0) expect(next).toBeNull();
          else {
            const first =
              range(now, now + 1_000).find((at) => dueOf(state, TERMS, at).length > 0) ?? now + 1_000;
            expect(next).not.toBeNull();
            expect(next ?? 0).toBeLessThanOrEqual(first);
          }
        }
      }),
      RUNS,
    );
  });
});
