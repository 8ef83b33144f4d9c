import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERRORS, retryRuleOf, WireError } from './errors.ts';

const WORDS = new Map([
  ['never', 'never'],
  ['now', 'now'],
  ['after a delay', 'after'],
  ['with a new token', 'with-new-token'],
]);

/** The table under L-11, one row a code. */
function publishedTable(): Record<string, unknown> {
  const text = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8');
  const table: Record<string, unknown> = {};
  for (const [, codes = '', status, close, words = ''] of text.matchAll(
    /^\| (`[^|]+) \| (\d{3}) \| (\d{4}) \| ([^|]+) \|$/gm,
  )) {
    for (const [, code = ''] of codes.matchAll(/`(\w+)`/g)) {
      table[code] = { status: Number(status), close: Number(close), retry: WORDS.get(words) };
    }
  }
  return table;
}

describe('the table of errors', () => {
  it('L-11 is the one that PROTOCOL.md publishes, code by code', () => {
    expect(ERRORS).toEqual(publishedTable());
  });

  it('L-11 gives every code the retry rule of its close code, so that a client needs to see only the close', () => {
    for (const [code, row] of Object.entries(ERRORS)) {
      expect(retryRuleOf(row.close), code).toBe(row.retry);
    }
  });

  it('L-11 keeps to the close codes that applications may use', () => {
    for (const [code, { close }] of Object.entries(ERRORS)) {
      expect(close >= 4000 && close <= 4999, code).toBe(true);
    }
  });

  it('L-11 takes a close with 1000 as final', () => {
    expect(retryRuleOf(1000)).toBe('never');
  });

  it.each([0, 1001, 1005, 1006, 1011, 1012, 3000, 4000, 4999, Number.NaN])(
    'L-11 takes a close with %d, which is not in the table, as a broken connection',
    (code) => {
      expect(retryRuleOf(code)).toBe('now');
    },
  );
});

describe('a wire error', () => {
  it('keeps its cause, its code and what else the frame says', () => {
    const cause = new Error('disk full');
    const error = new WireError('internal', 'Try again.', { cause, details: { retry_after: 3 } });
    expect(error).toMatchObject({
      name: 'WireError',
      code: 'internal',
      message: 'Try again.',
      cause,
      details: { retry_after: 3 },
    });
    expect(error).toBeInstanceOf(Error);
  });

  it('has no cause where none was given, and no details', () => {
    const error = new WireError('invalid', 'Send a message.');
    expect('cause' in error).toBe(false);
    expect(error.details).toEqual({});
  });
});
