import type { RetryRule } from '@continuo/protocol/errors';

/**
 * The protocol's error table as far as a client needs it: without the names of most codes it is a third of the size. A
 * test holds it to the table.
 */

const LATER = /^(handshake_timeout|rate_limited|inbox_full|slow_consumer|draining|unavailable|internal)$/;
const FINAL = [1000, 4400, 4403, 4404, 4409, 4426];

/** Whether to come back after an error, by its code. One that is not known is for good. */
export function ruleOfCode(code: string): RetryRule {
  return code === 'unauthorized' ? 'with-new-token' : LATER.test(code) ? 'after' : 'never';
}

/** Whether to come back after a close. A code that is not known is a broken connection. */
export function ruleOfClose(close: number): RetryRule {
  if (close === 4401) return 'with-new-token';
  if (close === 4508) return 'now';
  return FINAL.includes(close) ? 'never' : 'after';
}
