import { ERRORS, retryRuleOf } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ruleOfClose, ruleOfCode } from './retry.ts';

/** `now` is for whoever was cut off; a request that is refused so is tried again after the delay. */
const refused = (retry: string): string => (retry === 'now' ? 'after' : retry);

describe('whether to come back', () => {
  it.each(Object.entries(ERRORS))('L-11 after %s is as the table of the protocol says', (code, row) => {
    expect(ruleOfCode(code)).toBe(refused(row.retry));
    expect(ruleOfClose(row.close)).toBe(retryRuleOf(row.close));
  });

  it('L-11 after a close with 1000 is never, and after one that is in no table it is a broken connection', () => {
    expect(ruleOfClose(1000)).toBe('never');
    for (const code of [1001, 1005, 1006, 1011, 1012, 4000, 4402, 4999])
      expect(ruleOfClose(code)).toBe('after');
  });

  it('is never after an error that is not known', () => {
    for (const code of ['', 'something_new', 'internal_affairs', 'rate_of_exchange', 'slow', 'constructor'])
      expect(ruleOfCode(code)).toBe('never');
  });
});
