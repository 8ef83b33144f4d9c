import { describe, expect, it } from 'vitest';
import { WireError } from './errors.ts';
import { negotiate } from './version.ts';

function refusalOf(min: unknown, max: unknown): WireError {
  try {
    negotiate(min, max);
  } catch (error) {
    if (error instanceof WireError) return error;
  }
  throw new Error(`${String(min)} to ${String(max)} was not refused with a wire error`);
}

const MEET: readonly (readonly [unknown, unknown])[] = [
  [1, 1],
  [undefined, undefined],
  [null, null],
  [undefined, 1],
  [1, undefined],
  [1, 7],
  [0, 1],
  [-3, 99],
  [undefined, 2],
  [0, undefined],
];

const APART: readonly (readonly [unknown, unknown])[] = [
  [2, 2],
  [2, 9],
  [0, 0],
  [-5, -1],
];

const NO_RANGE: readonly (readonly [unknown, unknown])[] = [
  [2, 1],
  [2, undefined],
  [undefined, 0],
  [1.5, 2],
  [1, 1.5],
  [Number.NaN, 1],
  [1, Number.NaN],
  [1, Number.POSITIVE_INFINITY],
  [Number.NEGATIVE_INFINITY, 1],
  ['1', '1'],
  [1, '1'],
  ['', 1],
  [true, true],
  [false, 1],
  [[1], [1]],
  [{}, {}],
  [1n, 1n],
];

describe('the version of a connection', () => {
  it.each(MEET)('G-4 is 1 for %s to %s, the highest that both sides speak', (min, max) => {
    expect(negotiate(min, max)).toBe(1);
  });

  it.each(APART)('G-4 does not exist for %s to %s: the client is told what the server speaks', (min, max) => {
    const refusal = refusalOf(min, max);
    expect(refusal.code).toBe('version_unsupported');
    expect(refusal.details).toEqual({ server_min_version: 1, server_max_version: 1 });
    expect(refusal.message).toContain(`${String(min)} to ${String(max)}`);
  });

  it.each(NO_RANGE)('G-4 cannot be found for %s to %s, which is no range', (min, max) => {
    expect(refusalOf(min, max).code).toBe('invalid_protocol_hello');
  });
});
