import type { Clock, Logs, Records, Report } from '../ports.ts';
import { findYounger } from './expired.ts';
import { keyOf, logOf } from './names.ts';

/** Channels looked after at once. */
const AT_ONCE = 50;
/** Channels of which is known that they are there. Beyond, one that nobody watches is forgotten here. */
const MAX_KNOWN = 100_000;
/** The sweep runs at most once in so many ms. */
const MIN_SWEEP_MS = 1_000;

/** The record `channel/<name>`. */
export interface ChannelRecord {
  /** Unix ms. */
  readonly createdAt: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface UpkeepOptions {
  readonly logs: Logs;
  readonly records: Records;
  readonly clock: Clock;
  readonly report: Report;
  maxAgeOf(name: string): number;
  /** How many read the log in this process. */
  watchers(log: string): number;
}

/** Keeps the channels that are used, and forgets what is too old. */
export interface Upkeep {
  /** Somebody publishes or subscribes. Resolves when log and record are kept; `null`: they are already. */
  use(name: string): Promise<void> | null;
  /** Until when a channel is kept that is used now, in unix ms. */
  keepUntil(name: string): number;
  close(): void;
}

interface Known {
  used: boolean;
  /** When it is looked after next, in unix ms. */
  dueAt: number;
}

/**
 * Every channel that was used here is looked after once in a tenth of its `maxAgeMs`: what was used since, or is
 * watched, is kept for another `maxAgeMs` and two tenths; entries above that age go. One timer for all of them, none
 * where there are no channels.
 */
export function createUpkeep(options: UpkeepOptions): Upkeep {
  const { logs, records, clock, report, maxAgeOf, watchers } = options;
  const known = new Map<string, Known>();
  const learning = new Map<string, Promise<void>>();
  let stopTimer: (() => void) | null = null;
  let timerAt = Number.POSITIVE_INFINITY;
  let closed = false;

  function periodOf(name: string): number {
    return Math.max(MIN_SWEEP_MS, maxAgeOf(name) / 10);
  }

  function keepUntil(name: string): number {
    return clock.now() + maxAgeOf(name) + 2 * periodOf(name);
  }

  async function keepRecord(name: string): Promise<void> {
    const key = keyOf.channel(name);
    const stored = await records.get(key);
    const fresh: ChannelRecord = { createdAt: clock.now() };
    // Who puts in between keeps it as well.
    await records.put(key, stored?.value ?? fresh, {
      ifVersion: stored?.version ?? 0,
      expiresAt: keepUntil(name),
    });
  }

  async function keep(name: string): Promise<void> {
    await Promise.all([logs.keep(logOf.channel(name), keepUntil(name)), keepRecord(name)]);
  }

  async function learn(name: string): Promise<void> {
    try {
      await keep(name);
      if (closed) return;
      if (known.size >= MAX_KNOWN) forgetOne();
      const dueAt = clock.now() + periodOf(name);
      known.set(name, { used: false, dueAt });
      wakeAt(dueAt);
    } finally {
      learning.delete(name);
    }
  }

  function forgetOne(): void {
    for (const name of known.keys()) {
      if (watchers(logOf.channel(name)) > 0) continue;
      known.delete(name);
      return;
    }
  }

  async function lookAfter(name: string, channel: Known): Promise<void> {
    const log = logOf.channel(name);
    const used = channel.used || watchers(log) > 0;
    channel.used = false;
    if (used) {
      try {
        await keep(name);
      } catch (error) {
        channel.used = true;
        throw error;
      }
    }
    const [head] = await logs.heads([log]);
    if (!head) {
      if (!channel.used) known.delete(name);
      return;
    }
    const since = clock.now() - maxAgeOf(name);
    const before = await findYounger(logs, log, { head, since });
    if (before !== null) await logs.trim(log, before);
  }

  async function sweep(): Promise<void> {
    const now = clock.now();
    const due = [...known].filter(([, channel]) => channel.dueAt <= now);
    for (const [name, channel] of due) channel.dueAt = now + periodOf(name);
    for (let from = 0; from < due.length && !closed; from += AT_ONCE) {
      const some = due
        .slice(from, from + AT_ONCE)
        .map(([name, channel]) =>
          lookAfter(name, channel).catch((error: unknown) => report(`looking after channel ${name}`, error)),
        );
      await Promise.all(some);
    }
  }

  function onTimer(): void {
    stopTimer = null;
    timerAt = Number.POSITIVE_INFINITY;
    sweep()
      .catch((error: unknown) => report('looking after the channels', error))
      .finally(() => {
        let next = Number.POSITIVE_INFINITY;
        for (const { dueAt } of known.values()) next = Math.min(next, dueAt);
        wakeAt(Math.max(next, clock.now() + MIN_SWEEP_MS));
      });
  }

  function wakeAt(at: number): void {
    if (closed || at >= timerAt || at === Number.POSITIVE_INFINITY) return;
    stopTimer?.();
    timerAt = at;
    stopTimer = clock.schedule(at, onTimer);
  }

  return {
    use(name) {
      const channel = known.get(name);
      if (channel) {
        channel.used = true;
        return null;
      }
      let learned = learning.get(name);
      if (!learned) {
        learned = learn(name);
        learning.set(name, learned);
      }
      return learned;
    },
    keepUntil,
    close() {
      closed = true;
      stopTimer?.();
    },
  };
}
