/** How long to wait between attempts to connect. */
export interface Backoff {
  /** The first delay, in ms. */
  readonly initialMs: number;
  /** No delay is longer, jitter included. */
  readonly maxMs: number;
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

/** Timers hold 31 bits: a longer one fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Throws a sentence that names the option that cannot be. */
export function checkBackoff(backoff: Backoff): Backoff {
  const { initialMs, maxMs, multiplier, jitter } = backoff;
  if (!(initialMs > 0)) throw new RangeError(`backoff.initialMs must be above 0, not ${initialMs}`);
  if (!(maxMs >= initialMs))
    throw new RangeError(`backoff.maxMs must be at least initialMs (${initialMs}), not ${maxMs}`);
  if (maxMs > MAX_TIMER_MS)
    throw new RangeError(`backoff.maxMs must be at most ${MAX_TIMER_MS}, not ${maxMs}`);
  if (!(multiplier >= 1)) throw new RangeError(`backoff.multiplier must be at least 1, not ${multiplier}`);
  if (!(jitter >= 0 && jitter <= 1)) throw new RangeError(`backoff.jitter must be 0 to 1, not ${jitter}`);
  return backoff;
}
