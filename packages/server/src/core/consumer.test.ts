import type { Reset } from '@continuo/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import {
  ack,
  type ConsumerState,
  committedOf,
  createConsumerState,
  isUnacked,
  markDelivered,
  moveConsumer,
  recoverConsumer,
} from './consumer.ts';

/** The same bookkeeping with a plain set: slow, and plain to see. */
interface Model {
  delivered: number;
  readonly unacked: Set<number>;
}

type Step =
  | { readonly kind: 'deliver'; readonly skip: number; readonly count: number }
  | { readonly kind: 'ack'; readonly offset: number }
  | { readonly kind: 'trim'; readonly to: number };

const HIGHEST = 60;
const RUNS = { seed: 42, numRuns: 500 };
const START: ConsumerState = createConsumerState('e', 0);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('deliver' as const), skip: fc.nat(3), count: fc.nat(6) }),
  fc.record({ kind: fc.constant('ack' as const), offset: fc.nat(HIGHEST) }),
  fc.record({ kind: fc.constant('trim' as const), to: fc.nat(20) }),
);

function resetTo(offset: number, more: Partial<Reset> = {}): Reset {
  return { log: 'channel:a', reason: 'trimmed', from: { offset: 0 }, to: { epoch: 'e', offset }, ...more };
}

function play(state: ConsumerState, model: Model, each: Step): ConsumerState {
  switch (each.kind) {
    case 'deliver': {
      const from = model.delivered + 1 + each.skip;
      const to = from + each.count - 1;
      for (const offset of range(from, to)) model.unacked.add(offset);
      model.delivered = Math.max(model.delivered, to);
      return markDelivered(state, from, to);
    }
    case 'ack':
      model.unacked.delete(each.offset);
      return ack(state, each.offset);
    case 'trim':
      for (const offset of range(0, each.to)) model.unacked.delete(offset);
      model.delivered = Math.max(model.delivered, each.to);
      return moveConsumer(state, resetTo(each.to));
    default:
      return each satisfies never;
  }
}

function playAll(steps: readonly Step[]): { state: ConsumerState; model: Model } {
  const model: Model = { delivered: 0, unacked: new Set() };
  let state = START;
  for (const each of steps) state = play(state, model, each);
  return { state, model };
}

describe('a consumer', () => {
  it('knows what was handed out and not acked, whatever the order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { state, model } = playAll(steps);
        expect(state.delivered).toBe(model.delivered);
        const offsets = range(0, model.delivered + 5).filter((offset) => isUnacked(state, offset));
        expect(offsets).toEqual([...model.unacked].toSorted((a, b) => a - b));
      }),
      RUNS,
    );
  });

  it('keeps its ranges ascending and apart, so that they are as few as can be', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { unacked, delivered } = playAll(steps).state;
        let last = -1;
        for (const [from, to] of unacked) {
          expect(from).toBeGreaterThan(last + 1);
          expect(to).toBeGreaterThanOrEqual(from);
          last = to;
        }
        expect(last).toBeLessThanOrEqual(delivered);
      }),
      RUNS,
    );
  });

  it('P-3 never commits past a message that was not acked', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { state, model } = playAll(steps);
        const expected = model.unacked.size > 0 ? Math.min(...model.unacked) - 1 : model.delivered;
        expect(committedOf(state)).toBe(expected);
      }),
      RUNS,
    );
  });

  it('is not changed by acking what is acked, or was never handed out', () => {
    const state = ack(markDelivered(START, 1, 5), 3);
    for (const offset of [0, 3, 6, 1_000]) expect(ack(state, offset)).toEqual(state);
  });

  it('takes over, at a lost position, only what lies after it', () => {
    const state = ack(markDelivered(START, 1, 10), 8);
    expect(moveConsumer(state, resetTo(4, { from: { offset: 1 } }))).toMatchObject({
      epoch: 'e',
      delivered: 10,
      unacked: [
        [5, 7],
        [9, 10],
      ],
      reset: { reason: 'trimmed', from: 1, to: 4 },
    });
  });

  it.each(['epoch', 'ahead'] as const)('starts over when nothing of what it knew counts: %s', (reason) => {
    const lost = resetTo(0, { reason, from: { offset: 10 }, to: { epoch: 'f', offset: 0 } });
    expect(moveConsumer(markDelivered(START, 1, 10), lost)).toMatchObject({
      epoch: 'f',
      delivered: 0,
      unacked: [],
      reset: { reason, from: 10, to: 0 },
    });
  });

  it('P-9 tells two losses in a row as one, from where the first began', () => {
    const once = moveConsumer(markDelivered(START, 1, 3), resetTo(5, { from: { offset: 3 } }));
    expect(moveConsumer(once, resetTo(9, { from: { offset: 5 } })).reset).toEqual({
      reason: 'trimmed',
      from: 3,
      to: 9,
    });
  });
});

describe('a consumer that comes back', () => {
  const MAX = 7;

  it('P-6 counts as handed out all that may have been: too much, never too little', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 20 }),
        fc.nat(MAX), // handed out after the last time it was stored
        fc.nat(20), // what the log has beyond that
        (steps, unstored, beyond) => {
          const { state: stored } = playAll(steps);
          const handedOut = markDelivered(stored, stored.delivered + 1, stored.delivered + unstored);
          const head = handedOut.delivered + beyond;
          const back = recoverConsumer({ ...stored, holder: 'h', clean: false }, head, MAX);
          for (const offset of range(1, handedOut.delivered)) {
            if (isUnacked(handedOut, offset)) expect(isUnacked(back, offset)).toBe(true);
            else expect(isUnacked(back, offset)).toBe(isUnacked(stored, offset));
          }
          expect(back.delivered).toBeGreaterThanOrEqual(handedOut.delivered);
          expect(back.delivered).toBeLessThanOrEqual(
            Math.max(stored.delivered, Math.min(head, stored.delivered + MAX)),
          );
        },
      ),
      RUNS,
    );
  });

  it('P-5 is exactly as it left, when it left in good order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat(100), (steps, head) => {
        const { state } = playAll(steps);
        expect(recoverConsumer({ ...state, holder: 'h', clean: true }, head, MAX)).toEqual(state);
      }),
      RUNS,
    );
  });
});
