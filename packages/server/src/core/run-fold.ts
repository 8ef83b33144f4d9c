import type { EndStatus, Entry } from '@continuo/protocol';
import type { Clock, Head, Logs, Records } from '../ports.ts';
import { type Checkpoint, storeCheckpoint } from './checkpoint.ts';
import { foldLog } from './fold.ts';
import { keyOf } from './names.ts';
import { type RunState, reduceRun } from './run.ts';

/** How long what stands in for trimmed entries is kept, in ms: longer than any run. */
const CHECKPOINT_KEEP_MS = 90 * 24 * 3_600_000;
/** A run's last entry. */
const ONE = { entries: 1, bytes: 1 };

/** What a report holds of a run's entries at most. */
export const REPORT: { readonly entries: number; readonly bytes: number } = {
  entries: 10_000,
  bytes: 4 * 1024 * 1024,
};

export interface RunReport {
  /** `null`: it has not started. */
  readonly state: RunState | null;
  /** The newest, as many as {@link REPORT} allows. */
  readonly entries: readonly Entry[];
}

/** How a run stands: `pending` until it has begun. */
export type RunStanding = RunState['status'] | 'pending';

/** What the logs of runs say, also where their beginnings were trimmed: a checkpoint then stands in for these. */
export interface RunFold {
  /** `null`: it has not started. */
  state(log: string): Promise<RunState | null>;
  report(log: string): Promise<RunReport>;
  /** By its last entry; of a paused run, by the last that is not the answer to a question. */
  standing(log: string, head: Head | null): Promise<RunStanding>;
  /** Stores a checkpoint. Returns the offset below which entries may go. */
  beforeTrim(log: string, before: number): Promise<number>;
}

export function createRunFold({
  logs,
  records,
  clock,
}: {
  readonly logs: Logs;
  readonly records: Records;
  readonly clock: Clock;
}): RunFold {
  /** `createEach`: gets every entry that is kept, in order; asked anew where the log is trimmed under the reading. */
  async function fold(
    log: string,
    createEach?: () => (entry: Entry) => void,
  ): Promise<{ state: RunState | null; epoch: string; offset: number }> {
    for (let overtaken = 0; ; ) {
      const [head = null] = await logs.heads([log]);
      const { epoch = '', oldest = 1 } = head ?? {};
      const stored = oldest > 1 ? await records.get(keyOf.checkpoint(log)) : null;
      const checkpoint = stored?.value as Checkpoint<RunState | null> | undefined;
      // One below what is kept was overtaken by a trim: another one is there by now.
      if (checkpoint?.epoch === epoch && checkpoint.offset + 1 < oldest && stored?.version !== overtaken) {
        overtaken = stored?.version ?? 0;
        continue;
      }
      const known = checkpoint?.epoch === epoch ? checkpoint : null;
      const each = createEach?.();
      const from = each ? oldest - 1 : Math.max(oldest - 1, known?.offset ?? 0);
      let state = known?.state ?? null;
      const reached = await foldLog(logs, log, { epoch, offset: from }, (entry) => {
        if (!known || entry.offset > known.offset) state = reduceRun(state, entry);
        each?.(entry);
      });
      if (reached) return { state, epoch: reached.epoch, offset: reached.offset };
    }
  }

  return {
    state: async (log) => (await fold(log)).state,

    async report(log) {
      let kept: { entry: Entry; bytes: number }[] = [];
      const { state } = await fold(log, () => {
        kept = [];
        let bytes = 0;
        return (entry) => {
          const size = JSON.stringify(entry.data).length;
          kept.push({ entry, bytes: size });
          bytes += size;
          while (kept.length > REPORT.entries || (bytes > REPORT.bytes && kept.length > 1))
            bytes -= kept.shift()?.bytes ?? 0;
        };
      });
      return { state, entries: kept.map(({ entry }) => entry) };
    },

    async standing(log, head) {
      if (!head || head.offset === 0) return 'pending';
      for (let at = head.offset; at >= head.oldest; at--) {
        const page = await logs.read(log, { epoch: head.epoch, offset: at - 1 }, ONE);
        if (page.kind === 'reset') break; // trimmed meanwhile: what is left is of a run under way
        const [last] = page.entries;
        if (last?.type === 'run.ended' && head.ended) return (last.data as { status: EndStatus }).status;
        if (last && last.type !== 'approval.resolved')
          return last.type === 'run.paused' ? 'paused' : 'running';
      }
      return 'running';
    },

    async beforeTrim(log, before) {
      const { state, epoch, offset } = await fold(log);
      const expiresAt = clock.now() + CHECKPOINT_KEEP_MS;
      await storeCheckpoint({ logs, records }, log, { checkpoint: { epoch, offset, state }, expiresAt });
      return Math.min(before, offset + 1);
    },
  };
}
