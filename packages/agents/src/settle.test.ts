import { expect, it } from 'vitest';
import { depthError, MemberError } from './failure.ts';
import { Paused } from './paused.ts';
import { settleAll, unlessPaused } from './settle.ts';

const PAUSED = new Paused();
const FAILED = new MemberError('No.');
const LIMIT = depthError(1, { kind: 'team', id: 't', name: 'T' });

it.each([
  [[PAUSED, FAILED], PAUSED],
  [[FAILED, PAUSED], PAUSED],
  [[PAUSED, FAILED, LIMIT], LIMIT],
  [[PAUSED, PAUSED], PAUSED],
])('of several reasons the heaviest counts: %s', async (reasons, reason) => {
  const work = [Promise.resolve(1), ...reasons.map((each) => Promise.reject<number>(each))];
  await expect(settleAll(work)).rejects.toBe(reason);
});

it('all are waited for, in their order', async () => {
  const late = Promise.withResolvers<number>();
  const all = settleAll([late.promise, Promise.resolve(2)]);
  late.resolve(1);
  expect(await all).toEqual([1, 2]);
});

it('a pause is no failure', async () => {
  expect(await unlessPaused(Promise.reject(PAUSED))).toBeNull();
  await expect(unlessPaused(Promise.reject(FAILED))).rejects.toBe(FAILED);
});
