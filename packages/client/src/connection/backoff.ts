import { checkOption } from '../check-option.ts';

/** How long to wait between attempts to connect. */
export interface Backoff {
  /** The first delay, in ms: above 0. */
  readonly initialMs: number;
  /** No delay is longer, jitter included, in ms: at least `initialMs`, below 2^31. */
  readonly maxMs: number;
  /** At least 1. */
  readonly multiplier: number;
  /** Share of the delay, 0 to 1, by which chance makes it shorter or longer. */
  readonly jitter: number;
}

export const BACKOFF: Backoff = { initialMs: 1_000, maxMs: 30_000, multiplier: 2, jitter: 0.2 };

/** The delay before attempt `attempt` (0 is the first retry). `random` is 0 to 1. */
export function backoffDelay(backoff: Backoff, attempt: number, random: number): number {
  const { initialMs, maxMs, multiplier, jitter } = backoff;
  const base = Math.min(maxMs, initialMs * multiplier ** attempt); // the power may be Infinity: the minimum is not
  return Math.min(maxMs, base * (1 - jitter + 2 * jitter * random));
}

/** Throws a sentence that names the option that cannot be. */
export function checkBackoff(backoff: Backoff): Backoff {
  const { initialMs, maxMs, multiplier, jitter } = backoff;
  const check = (name: keyof Backoff, isGood: boolean): void =>
    checkOption(`backoff.${name}`, backoff[name], 'number', isGood);
  check('initialMs', initialMs > 0);
  check('maxMs', maxMs >= initialMs && maxMs < 2 ** 31); // timers hold 31 bits
  check('multiplier', multiplier >= 1);
  check('jitter', jitter >= 0 && jitter <= 1);
  return backoff;
}
