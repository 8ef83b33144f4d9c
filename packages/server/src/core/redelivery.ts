import { type ConsumerState, type Handed, type Retry, setRetry } from './consumer.ts';

/** When what is not acked comes again. Pure: a consumer's state and the time give what is due. */

export interface RetryTerms {
  /** How long the first delivery may wait for its ack, in ms. Default 30,000. */
  readonly ackTimeoutMs: number;
  /** Deliveries after the first before a message is given up. Default 3. */
  readonly maxRetries: number;
  /** Each retry waits so many times as long as the one before. Default 2. */
  readonly retryBackoff: number;
}

export const RETRY_TERMS: RetryTerms = { ackTimeoutMs: 30_000, maxRetries: 3, retryBackoff: 2 };

/** Longer no timer waits, in ms. */
const LONGEST_MS = 2 ** 31 - 1;
/** Times of delivery are kept in steps of this share of the ack timeout: as many marks at most, however many ticks. */
const STEPS = 32;

/** The time of a delivery as it is kept: at most one step late, so that a retry is never early. */
export function handedAt(now: number, { ackTimeoutMs }: RetryTerms): number {
  const step = Math.max(1, Math.floor(ackTimeoutMs / STEPS));
  return Math.ceil(now / step) * step;
}

/** How long a delivery waits for its ack after so many failures, in ms. */
export function waitOf({ ackTimeoutMs, retryBackoff }: RetryTerms, failures: number): number {
  return Math.min(LONGEST_MS, ackTimeoutMs * retryBackoff ** failures);
}

/** Everything up to `upTo` that was not handed out before was so at `at`. */
export function handOut(state: ConsumerState, upTo: number, at: number): ConsumerState {
  const { handed } = state;
  const last = handed.at(-1);
  if (last && upTo <= last[0]) return state;
  const time = Math.max(at, last?.[1] ?? 0); // they ascend, whatever the machine's clock does
  const before = last?.[1] === time ? handed.slice(0, -1) : handed;
  return { ...state, handed: [...before, [upTo, time]] };
}

/**
 * The state of a consumer that comes back: what it has not confirmed to have received, it gets anew, by the feed or,
 * where it failed before, by the retries. What is to be given up stays so.
 */
export function startAgain(
  state: ConsumerState,
  confirmed: number,
  { maxRetries }: RetryTerms,
): ConsumerState {
  const handed: Handed[] = [];
  let from = 0;
  for (const [upTo, at] of state.handed) {
    if (from < confirmed) handed.push([Math.min(upTo, confirmed), at]);
    from = upTo;
  }
  const retries = state.retries.map((retry) =>
    retry.offset <= confirmed || retry.failures > maxRetries ? retry : { ...retry, at: 0 },
  );
  return { ...state, handed, retries };
}

/** Where its feed begins: what goes by the retries is not for the feed. */
export function feedFrom(state: ConsumerState): number {
  const apart = new Set(state.retries.map(({ offset }) => offset));
  for (const [from, to] of state.unacked)
    for (let offset = from; offset <= to; offset++) if (!apart.has(offset)) return offset - 1;
  return state.delivered;
}

/** One failure more: it is due at once, or to be given up. One that is being given up dies once. */
export function nackOf(
  state: ConsumerState,
  offset: number,
  { terms, now }: { readonly terms: RetryTerms; readonly now: number },
): ConsumerState {
  const failures = (state.retries.find((retry) => retry.offset === offset)?.failures ?? 0) + 1;
  if (failures > terms.maxRetries + 1) return state;
  // The time tells one death of a message from the next.
  return setRetry(state, { offset, failures, at: failures > terms.maxRetries ? now : 0 });
}

/** When it is due: one that is to be given up, at once. */
function dueAt({ at, failures }: Retry, terms: RetryTerms): number {
  return at === 0 || failures > terms.maxRetries ? 0 : at + waitOf(terms, failures);
}

/** What is due at `now`: messages whose ack did not come in time, and those that are to come again. */
export function dueOf(state: ConsumerState, terms: RetryTerms, now: number): readonly Retry[] {
  const due = state.retries.filter((retry) => dueAt(retry, terms) <= now);
  const apart = new Set(state.retries.map(({ offset }) => offset));
  let from = 0;
  for (const [upTo, at] of state.handed) {
    if (at + waitOf(terms, 0) > now) break; // marks ascend in time
    for (const [first, last] of state.unacked)
      for (let offset = Math.max(first, from + 1); offset <= Math.min(last, upTo); offset++)
        if (!apart.has(offset)) due.push({ offset, failures: 0, at });
    from = upTo;
  }
  return due;
}

/** When the first of them is due, in unix ms; `null` when nothing waits for an ack. May be early, never late. */
export function nextDueAt(state: ConsumerState, terms: RetryTerms): number | null {
  let next = Number.POSITIVE_INFINITY;
  for (const retry of state.retries) next = Math.min(next, dueAt(retry, terms));
  const first = feedFrom(state) + 1;
  const mark = first > state.delivered ? undefined : state.handed.find(([upTo]) => upTo >= first);
  if (mark) next = Math.min(next, mark[1] + waitOf(terms, 0));
  return next === Number.POSITIVE_INFINITY ? null : next;
}
