import type { Content } from '@continuo/protocol';
import type { Clock, Logs, Records } from '../ports.ts';
import { keyOf, logOf } from './names.ts';

/** How long a run is kept after its last step, in ms. */
export const KEEP_MS: number = 7 * 24 * 3_600_000;

/** Characters of JSON above which an input is kept aside: lists read many records. */
const INPUT_CHARACTERS = 4 * 1024;
/** Characters of a long input that lists show. */
const PREVIEW_CHARACTERS = 500;
/** Runs of an owner that a list looks through at most. */
const LOOKED_THROUGH = 10_000;
const LIST_PAGE = 500;

/** A run that was asked for by itself (door 4) and has a log of its own. */
export interface RunRecord {
  readonly runId: string;
  readonly owner: string;
  readonly sessionId: string;
  /** `agent:echo`, `team:story-team`. */
  readonly component: string;
  readonly messageId: string;
  readonly input: Content;
  readonly createdAt: number;
  /** The idempotency key that started it. */
  readonly key?: string;
}

export interface Run extends RunRecord {
  readonly log: string;
}

/** A run without what may be long. */
export interface RunListing extends Omit<Run, 'input'> {
  /** The input, or its beginning. */
  readonly preview: Content;
  readonly isCut: boolean;
}

/** What a key has started: the record `start/<owner>/<component>/<key>`. */
export interface Start {
  readonly runId: string;
  readonly sessionId: string;
  readonly digest: string;
}

/** As it is stored: `run/<owner>/<id>`, with a long input in a record of its own. */
interface StoredRun extends Omit<RunRecord, 'input'> {
  readonly input: Content | null;
  readonly preview: Content;
}

/** The run as a list shows it. */
export function listingOf({ input, ...rest }: Run): RunListing {
  const text = JSON.stringify(input);
  if (text.length <= INPUT_CHARACTERS) return { ...rest, preview: input, isCut: false };
  const preview = (typeof input === 'string' ? input : text).slice(0, PREVIEW_CHARACTERS);
  return { ...rest, preview, isCut: true };
}

export interface RunRecords {
  load(owner: string, runId: string): Promise<Run | null>;
  /** Stores a new one; false: it was there. */
  add(run: Run): Promise<boolean>;
  /** Its time begins anew, and that of all that belongs to it. */
  keep(run: Run): Promise<void>;
  /** The owner's, newest first. */
  list(owner: string, isWanted: (run: RunListing) => boolean): Promise<readonly RunListing[]>;
}

export function createRunRecords({
  logs,
  records,
  clock,
}: {
  readonly logs: Logs;
  readonly records: Records;
  readonly clock: Clock;
}): RunRecords {
  async function put(run: Run, expiresAt: number, only: { readonly ifVersion?: number }): Promise<boolean> {
    const { owner, runId, input } = run;
    const { log, isCut, preview, ...rest } = listingOf(run);
    const stored: StoredRun = { ...rest, input: isCut ? null : input, preview };
    if (isCut) await records.put(keyOf.input(owner, runId), input, { expiresAt });
    const [version] = await Promise.all([
      records.put(keyOf.run(owner, runId), stored, { ...only, expiresAt }),
      logs.keep(log, expiresAt),
    ]);
    return version !== null;
  }

  return {
    async load(owner, runId) {
      const found = await records.get(keyOf.run(owner, runId));
      if (!found) return null;
      const { preview, ...stored } = found.value as StoredRun;
      const log = logOf.run(owner, runId);
      if (stored.input !== null) return { ...stored, input: stored.input, log };
      const aside = await records.get(keyOf.input(owner, runId));
      return { ...stored, input: (aside?.value as Content | undefined) ?? preview, log };
    },

    add: (run) => put(run, clock.now() + KEEP_MS, { ifVersion: 0 }),

    async keep(run) {
      const { owner, component, key } = run;
      const expiresAt = clock.now() + KEEP_MS;
      await put(run, expiresAt, {});
      if (key === undefined) return;
      const at = keyOf.start(owner, component, key);
      const start = await records.get(at);
      if (start) await records.put(at, start.value, { expiresAt });
    },

    async list(owner, isWanted) {
      const prefix = keyOf.run(owner, '');
      const found: RunListing[] = [];
      let seen = 0;
      for (let after = prefix; seen < LOOKED_THROUGH; ) {
        const page = await records.list(prefix, { after, limit: LIST_PAGE });
        seen += page.length;
        for (const { value } of page) {
          const { input, ...stored } = value as StoredRun;
          const run = { ...stored, isCut: input === null, log: logOf.run(owner, stored.runId) };
          if (isWanted(run)) found.push(run);
        }
        const last = page.at(-1);
        if (!last || page.length < LIST_PAGE) break;
        after = last.key;
      }
      return found.sort((a, b) => b.createdAt - a.createdAt);
    },
  };
}
