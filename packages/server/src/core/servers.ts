import type { Clock, Random, Records, Report } from '../ports.ts';
import { keyOf } from './names.ts';

/** A server says again that it lives before it counts as gone, in ms. */
const REFRESH_MS = 5_000;
const GONE_MS = 15_000;
const PAGE = 500;

/** Which servers of a store live: a record each, which ends by itself when its server does. */
export interface Servers {
  /** This one's id: new with every start. */
  readonly me: string;
  /** Resolves when the others can see that this one lives; it is kept up from then on. */
  announce(): Promise<void>;
  /** The ids of all that live now. */
  list(): Promise<ReadonlySet<string>>;
  /** Takes the record away. Idempotent. */
  close(): Promise<void>;
}

export function createServers(options: {
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
}): Servers {
  const { records, clock, random, report } = options;
  let id: string | null = null;
  const myId = (): string => (id ??= random.id());
  /** From when on the record has to be put again, unix ms. */
  let dueAt = 0;
  let putting: Promise<void> | null = null;
  let stop = (): void => {};
  let closed = false;

  async function put(): Promise<void> {
    const now = clock.now();
    await records.put(keyOf.server(myId()), { since: now }, { expiresAt: now + GONE_MS });
    dueAt = now + REFRESH_MS;
  }

  function announce(): Promise<void> {
    if (closed || clock.now() < dueAt) return Promise.resolve();
    putting ??= put().finally(() => {
      putting = null;
    });
    stop();
    if (!closed) stop = clock.schedule(clock.now() + REFRESH_MS, beat);
    return putting;
  }

  function beat(): void {
    announce().catch((error: unknown) => report('saying that this server lives', error));
  }

  return {
    get me() {
      return myId();
    },
    announce,
    async list() {
      const prefix = keyOf.server('');
      const ids = new Set<string>();
      for (let after = prefix; ; ) {
        const page = await records.list(prefix, { after, limit: PAGE });
        for (const { key } of page) ids.add(key.slice(prefix.length));
        const last = page.at(-1);
        if (!last || page.length < PAGE) return ids;
        after = last.key;
      }
    },
    async close() {
      closed = true;
      stop();
      await putting?.catch(() => {}); // the record would come back
      if (dueAt > 0) await records.remove(keyOf.server(myId()));
      dueAt = 0;
    },
  };
}
