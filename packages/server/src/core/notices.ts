import type { Logs, Random, Report } from '../ports.ts';
import type { Feed, Feeds } from './feed.ts';
import type { Journal, Retention } from './log.ts';
import { logOf } from './names.ts';
import { NO_DIALECT, NOBODY } from './nobody.ts';

/** A consumer that is held as `holder` somewhere was changed by somebody else. */
export interface Notice {
  readonly key: string;
  readonly holder: string;
}

/** What servers tell each other about consumers: a hint that makes them look at a record sooner than they would. */
export interface Notices {
  /** From now on `onTold` is called for what others tell. */
  listen(): void;
  /** At most once, in order; what is lost is found when the record is looked at next. */
  tell(notice: Notice): void;
  close(): void;
}

/** They are old as soon as they are read. */
export const NOTICES: { readonly retention: Retention } = {
  retention: { maxEntries: 1_000, maxBytes: 1024 * 1024 },
};

export function createNotices(options: {
  readonly logs: Logs;
  readonly journal: Journal;
  readonly feeds: Feeds;
  readonly random: Random;
  readonly report: Report;
  onTold(notice: Notice): void;
}): Notices {
  const { logs, journal, feeds, random, report, onTold } = options;
  const log = logOf.notices();
  let feed: Promise<Feed | null> | null = null;
  let isClosed = false;

  async function open(): Promise<Feed | null> {
    const [standing] = await logs.heads([log]);
    const head = standing ?? (await logs.append(log, [])).head;
    if (isClosed) return null;
    return feeds.open({
      log,
      head,
      after: { epoch: head.epoch, offset: head.offset },
      peer: NOBODY,
      dialect: NO_DIALECT,
      onMoved(entries) {
        for (const { data } of entries) onTold(data as Notice);
      },
      onReset: ({ to }) => to,
    });
  }

  return {
    listen() {
      if (feed || isClosed) return;
      feed = open().catch((error: unknown) => {
        report('listening for what other servers tell', error);
        feed = null;
        return null;
      });
    },
    tell(notice) {
      journal
        .append(log, [{ id: random.id(), type: 'consumer', data: notice }])
        .catch((error: unknown) => report('telling other servers', error));
    },
    close() {
      isClosed = true;
      feed?.then(
        (open) => open?.close(),
        () => {},
      );
    },
  };
}
