import type { Entry, Reset } from '@continuo/protocol';
import type { Clock, Report } from '../ports.ts';
import { type ConsumerState, isUnacked, type Retry } from './consumer.ts';
import { dueOf, nextDueAt, type RetryTerms } from './redelivery.ts';

/** Why a message is given up. */
export type DeathReason = 'retries' | 'expired';

export interface RedelivererOptions {
  readonly log: string;
  readonly terms: RetryTerms;
  /** How long after it was published a message is worth delivering, in ms. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly report: Report;
  state(): ConsumerState;
  isOver(): boolean;
  /** Takes over what others did to the record. False: another has the consumer now. */
  sync(): Promise<boolean>;
  read(epoch: string, offset: number): Promise<Entry | Reset>;
  /** Hands the message to the peer once more. False: it takes nothing just now. */
  send(entry: Entry, retry: Retry): boolean;
  /** The message is done with: it was given up. */
  bury(entry: Entry, reason: DeathReason, retry: Retry): Promise<void>;
  onLost(reset: Reset): void;
}

export interface Redeliverer {
  /** Something waits for an ack: it will be looked at when it is due. */
  arm(): void;
  /** Something is due now. */
  look(): void;
  stop(): void;
}

/** How long a failed look waits until the next, in ms. */
const AGAIN_MS = 500;

/**
 * Delivers again what was nacked, or not acked in time, as often as its terms say; then it is given up. One timer, for
 * what is due first: what is acked in time costs nothing.
 */
export function createRedeliverer(options: RedelivererOptions): Redeliverer {
  const { log, terms, ttlMs, clock, report, isOver } = options;
  let stopTimer: (() => void) | null = null;
  let armedAt = 0;
  /** After a look that failed, in unix ms. */
  let notBefore = 0;
  let isLooking = false;
  let again = false;

  function arm(): void {
    const dueAt = nextDueAt(options.state(), terms);
    if (isLooking || dueAt === null || isOver()) return;
    const at = Math.max(dueAt, notBefore);
    if (at <= clock.now()) return clock.soon(look);
    if (stopTimer && armedAt <= at) return;
    stopTimer?.();
    armedAt = at;
    stopTimer = clock.schedule(at, () => {
      stopTimer = null;
      look();
    });
  }

  function look(): void {
    if (isOver()) return;
    again = true;
    if (isLooking) return;
    isLooking = true;
    stopTimer?.();
    stopTimer = null;
    lookAtAll().then(
      (isDone) => {
        isLooking = false;
        if (!isDone) notBefore = clock.now() + AGAIN_MS;
        arm();
      },
      (error: unknown) => {
        isLooking = false;
        report(`delivering again on ${log}`, error);
        notBefore = clock.now() + AGAIN_MS;
        arm();
      },
    );
  }

  /** False when the peer takes no more. */
  async function lookAtAll(): Promise<boolean> {
    while (again) {
      again = false;
      if (dueOf(options.state(), terms, clock.now()).length === 0) continue;
      if (!(await options.sync())) return true;
      for (const due of dueOf(options.state(), terms, clock.now())) {
        if (!(await deliver(due))) return isOver();
      }
    }
    return true;
  }

  async function deliver({ offset, failures, at }: Retry): Promise<boolean> {
    const waits = (): boolean => !isOver() && isUnacked(options.state(), offset);
    if (!waits()) return !isOver();
    const entry = await options.read(options.state().epoch, offset);
    if (!waits()) return !isOver();
    if ('reason' in entry) {
      options.onLost(entry);
      return true;
    }
    // One that was nacked, or is being given up, has its failure counted.
    const failed = at === 0 || failures > terms.maxRetries ? failures : failures + 1;
    const isExpired = entry.at + ttlMs <= clock.now();
    if (isExpired || failed > terms.maxRetries) {
      await options.bury(entry, isExpired ? 'expired' : 'retries', { offset, failures: failed, at });
      return !isOver();
    }
    return options.send(entry, { offset, failures: failed, at: clock.now() });
  }

  return {
    arm,
    look,
    stop() {
      stopTimer?.();
      stopTimer = null;
    },
  };
}
