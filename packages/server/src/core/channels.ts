import type { Clock, Head, Logs, Random } from '../ports.ts';
import type { Journal, Retention, RetentionLimits } from './log.ts';
import { logOf } from './names.ts';

/** How long a channel is kept after its last message, in ms. */
const KEEP_MS = 24 * 3_600_000;
/** How often a busy channel's time is moved on, in ms. */
const TOUCH_MS = 3_600_000;

export interface Published {
  readonly eventId: string;
  readonly sequence: number;
}

/** A channel is a log that is trimmed; who reads it is a matter of feeds, what was acked a matter of consumers. */
export interface Channels {
  /** Its head; creates it when missing. */
  open(name: string): Promise<Head>;
  /** Stored when it resolves. The same event id again stores nothing and returns the first position. */
  publish(
    name: string,
    message: { readonly data: unknown; readonly source?: string; readonly eventId?: string | undefined },
  ): Promise<Published>;
  readonly retention: Retention;
}

export function createChannels(options: {
  readonly logs: Logs;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: RetentionLimits | undefined;
}): Channels {
  const { logs, journal, clock, random } = options;
  const touched = new Map<string, number>();

  async function touch(log: string): Promise<void> {
    const now = clock.now();
    if (now - (touched.get(log) ?? 0) < TOUCH_MS) return;
    if (touched.size > 10_000) touched.clear();
    touched.set(log, now);
    await logs.keep(log, now + KEEP_MS + TOUCH_MS);
  }

  return {
    async open(name) {
      const log = logOf.channel(name);
      const [standing] = await logs.heads([log]);
      const head = standing ?? (await logs.append(log, [])).head;
      await touch(log);
      return head;
    },

    async publish(name, { data, source, eventId = `evt_${random.id()}` }) {
      const log = logOf.channel(name);
      const { offsets } = await journal.append(log, [
        { id: eventId, type: 'message', data, ...(source !== undefined && { source }) },
      ]);
      await touch(log);
      return { eventId, sequence: offsets[0] ?? 0 };
    },

    retention: { maxEntries: 10_000, maxBytes: 64 * 1024 * 1024, ...options.limits },
  };
}
