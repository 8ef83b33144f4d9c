import type { Draft } from '@continuo/protocol';
import type { Appended, AppendOptions, Bus, Head, Logs, Report } from '../ports.ts';

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
  readonly report: Report;
  retentionOf(log: string): Retention;
}

/** The one way in: nothing is sent to anyone that was not appended here first. */
export interface Journal {
  /** As `Logs.append` (stored when it resolves, idempotent by id), then wakes the log's readers and keeps its size. */
  append(log: string, drafts: readonly Draft[], options?: AppendOptions): Promise<Appended>;
}

/** A log is trimmed when it has grown this much beyond its limits, so that a trim is rare. */
const SLACK = 1.1;

export function createJournal({ logs, bus, report, retentionOf }: JournalOptions): Journal {
  const trimming = new Set<string>();

  async function trim(
    log: string,
    head: Head,
    { maxEntries, maxBytes, beforeTrim }: Retention,
  ): Promise<void> {
    const kept = head.offset - head.oldest + 1;
    const share = head.bytes > maxBytes ? maxBytes / head.bytes : 1; // entries are taken to be alike in size
    const before = head.offset + 1 - Math.max(1, Math.floor(Math.min(maxEntries, kept * share)));
    await logs.trim(log, beforeTrim ? await beforeTrim(log, before) : before);
  }

  return {
    async append(log, drafts, options) {
      const appended = await logs.append(log, drafts, options);
      if (appended.stored === 0) return appended;
      const { head } = appended;
      bus.wake(log, head.offset);
      const retention = retentionOf(log);
      const large =
        head.offset - head.oldest + 1 > retention.maxEntries * SLACK ||
        head.bytes > retention.maxBytes * SLACK;
      if (large && !trimming.has(log)) {
        trimming.add(log);
        trim(log, head, retention)
          .catch((error: unknown) => report(`trimming ${log}`, error))
          .finally(() => trimming.delete(log));
      }
      return appended;
    },
  };
}
