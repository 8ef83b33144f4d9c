import type { Draft } from '@continuo/protocol';
import type { Appended, AppendOptions, Bus, Clock, Head, Logs, Report } from '../ports.ts';

/** How much is kept of a log, where it differs from the default. */
export interface RetentionLimits {
  readonly maxEntries?: number;
  readonly maxBytes?: number;
}

/** What is kept of a log. */
export interface Retention extends Required<RetentionLimits> {
  /**
   * Called before entries below an offset are forgotten. Stores what must outlive them and returns the offset below
   * which they may go: the same, or a lower one.
   */
  beforeTrim?(log: string, before: number): Promise<number>;
}

export interface JournalOptions {
  readonly logs: Logs;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly report: Report;
  retentionOf(log: string): Retention;
}

/** The one way in: nothing is sent to anyone that was not appended here first. */
export interface Journal {
  /** As `Logs.append` (stored when it resolves, idempotent by id), then wakes the log's readers and keeps its size. */
  append(log: string, drafts: readonly Draft[], options?: AppendOptions): Promise<Appended>;
  /** Trims no more. */
  close(): void;
}

/** A log that grows is trimmed when it is this much beyond its limits, so that a trim is rare. */
const SLACK = 1.1;
/** A log that has stopped growing for so long is trimmed to its limits, in ms. */
const QUIET_MS = 1_000;
/** What one read takes at most where entries are weighed. */
const WEIGHED = { entries: 1_000, bytes: 256 * 1024 };

export function createJournal({ logs, bus, clock, report, retentionOf }: JournalOptions): Journal {
  const trimming = new Set<string>();
  /** Logs beyond their limits but within the slack, and when they last grew: the longest quiet first. */
  const over = new Map<string, number>();
  let stopTimer: (() => void) | null = null;
  let closed = false;

  /** Down to the limits, or a little below: entries are taken to be alike in size. */
  async function trimRoughly(
    log: string,
    head: Head,
    { maxEntries, maxBytes, beforeTrim }: Retention,
  ): Promise<void> {
    const kept = head.offset - head.oldest + 1;
    const share = head.bytes > maxBytes ? maxBytes / head.bytes : 1;
    const before = head.offset + 1 - Math.max(1, Math.floor(Math.min(maxEntries, kept * share)));
    await logs.trim(log, beforeTrim ? await beforeTrim(log, before) : before);
  }

  /** Down to the limits, and nothing below them: what goes for its bytes is weighed. Stops where the log grows again. */
  async function trimExactly(log: string): Promise<void> {
    const { maxEntries, maxBytes } = retentionOf(log);
    while (!closed && !over.has(log)) {
      const [head] = await logs.heads([log]);
      if (!head) return;
      const { offset, oldest, epoch } = head;
      const excess = head.bytes - maxBytes;
      let before = Math.max(oldest, offset + 1 - maxEntries);
      if (before === oldest && excess > 0 && oldest < offset) {
        const limit = { ...WEIGHED, bytes: Math.min(WEIGHED.bytes, excess) };
        const page = await logs.read(log, { epoch, offset: oldest - 1 }, limit);
        if (page.kind === 'reset') continue; // another server trimmed it meanwhile
        before = Math.min(page.next.offset + 1, offset); // the newest stays, however large it is
      }
      if (before === oldest) return;
      await logs.trim(log, before);
    }
  }

  function start(log: string, trim: () => Promise<void>): void {
    if (trimming.has(log)) return;
    trimming.add(log);
    trim()
      .catch((error: unknown) => report(`trimming ${log}`, error))
      .finally(() => trimming.delete(log));
  }

  function onTimer(): void {
    const now = clock.now();
    for (const [log, at] of over) {
      if (at + QUIET_MS > now) break;
      over.delete(log);
      if (trimming.has(log)) over.set(log, now);
      else start(log, () => trimExactly(log));
    }
    setTimer();
  }

  function setTimer(): void {
    const [oldest] = over.values();
    stopTimer = oldest === undefined || closed ? null : clock.schedule(oldest + QUIET_MS, onTimer);
  }

  function keepSize(log: string, head: Head): void {
    const retention = retentionOf(log);
    const kept = head.offset - head.oldest + 1;
    const factor = Math.max(kept / retention.maxEntries, head.bytes / retention.maxBytes);
    if (factor > SLACK) start(log, () => trimRoughly(log, head, retention));
    // What must outlive a trim costs a write each time: those logs keep their slack.
    if (factor <= 1 || retention.beforeTrim) return;
    over.delete(log);
    over.set(log, clock.now());
    if (stopTimer === null) setTimer();
  }

  return {
    async append(log, drafts, options) {
      const appended = await logs.append(log, drafts, options);
      if (appended.stored === 0) return appended;
      bus.wake(log, appended.head.offset);
      if (!closed) keepSize(log, appended.head);
      return appended;
    },
    close() {
      closed = true;
      stopTimer?.();
    },
  };
}
