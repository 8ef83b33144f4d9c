import { type Component, type Content, type EndStatus, type Entry, WireError } from '@continuo/protocol';
import type { Clock, Head, Logs, Random, Records } from '../ports.ts';
import { foldLog } from './fold.ts';
import type { Journal, Retention, RetentionLimits } from './log.ts';
import { keyOf, logOf, parseLog } from './names.ts';
import { isAnswered, type RunState, reduceRun } from './run.ts';
import type { Sessions } from './sessions.ts';
import type { Due, Task, TaskSource, Workers } from './worker.ts';

/** How long a run is kept after its last step, in ms. */
const KEEP_MS = 7 * 24 * 3_600_000;

/** What a report holds of a run's entries at most. */
export const REPORT: { readonly entries: number; readonly bytes: number } = {
  entries: 10_000,
  bytes: 4 * 1024 * 1024,
};

/** Runs of an owner that a list looks through at most, and what it shows. */
const LOOKED_THROUGH = 10_000;
const LISTED = 100;
const LIST_PAGE = 500;
/** How a run stands is read from its end, one entry after another: questions are few, and may be large. */
const ONE = { entries: 1, bytes: 1 };

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
}

/** The record `start/<owner>/<component>/<key>`: what a key has started. */
interface Start {
  readonly runId: string;
  readonly sessionId: string;
  readonly digest: string;
}

export interface Run extends RunRecord {
  readonly log: string;
}

export interface RunReport {
  /** `null`: it has not started. */
  readonly state: RunState | null;
  /** The newest, as many as {@link REPORT} allows. */
  readonly entries: readonly Entry[];
}

/** How a run stands: `pending` until it has begun. */
export type RunStanding = RunState['status'] | 'pending';

export interface NewRun {
  readonly owner: string;
  readonly component: Component;
  readonly input: Content;
  readonly sessionId?: string | undefined;
  /** An idempotency key of the owner's for this component. */
  readonly key?: string | undefined;
}

export interface Runs {
  /**
   * Stores a run: some server will drive it. The same `key` again gives the same run, and throws `conflict` where the
   * input or the session is another. `isNew`: this call has started it.
   */
  create(options: NewRun): Promise<{ readonly run: Run; readonly head: Head; readonly isNew: boolean }>;
  /** The owner's run, of that component unless it is `null`; `null`: unknown, also when it is another's. */
  find(owner: string, component: Component | null, runId: string): Promise<Run | null>;
  /** The owner's runs, newest first, at most 100. */
  list(
    owner: string,
    which: {
      readonly component?: Component | undefined;
      readonly sessionId?: string | undefined;
      /** Whether runs of such a component, `team:story-team`, are wanted. Default: all. */
      isWanted?(component: string): boolean;
    },
  ): Promise<readonly { readonly run: Run; readonly standing: RunStanding }[]>;
  standing(run: Run, head: Head): Promise<RunStanding>;
  /** All that its log says now. */
  report(run: Run): Promise<RunReport>;
  /** Where the workers find the runs that are due. */
  readonly tasks: TaskSource;
  readonly retention: Retention;
}

export function createRuns(options: {
  readonly logs: Logs;
  readonly records: Records;
  readonly journal: Journal;
  readonly sessions: Sessions;
  readonly workers: () => Workers;
  readonly clock: Clock;
  readonly random: Random;
  /** Two texts with one digest are the same text. */
  digest(text: string): string;
  readonly limits?: RetentionLimits | undefined;
}): Runs {
  const { logs, records, journal, sessions, workers, clock, random, digest } = options;

  async function load(owner: string, runId: string): Promise<Run | null> {
    const stored = await records.get(keyOf.run(owner, runId));
    return stored && { ...(stored.value as RunRecord), log: logOf.run(owner, runId) };
  }

  async function report(run: Run): Promise<RunReport> {
    const [head = null] = await logs.heads([run.log]);
    const kept: { entry: Entry; bytes: number }[] = [];
    let bytes = 0;
    let state: RunState | null = null;
    await foldLog(logs, run.log, startOf(head), (entry) => {
      state = reduceRun(state, entry);
      const size = JSON.stringify(entry.data).length;
      kept.push({ entry, bytes: size });
      bytes += size;
      while (kept.length > REPORT.entries || (bytes > REPORT.bytes && kept.length > 1))
        bytes -= kept.shift()?.bytes ?? 0;
    });
    return { state, entries: kept.map(({ entry }) => entry) };
  }

  async function due(log: string): Promise<Due> {
    const task = await taskOf(log);
    if (task?.state?.status !== 'paused') return { next: task, paused: [] };
    return { next: isAnswered(task.state) ? task : null, paused: [task] };
  }

  /** By its last entry; of a paused run, by the last that is not the answer to a question. */
  async function standing({ log }: Run, head: Head | null): Promise<RunStanding> {
    if (!head || head.offset === 0) return 'pending';
    for (let at = head.offset; at >= head.oldest; at--) {
      const page = await logs.read(log, { epoch: head.epoch, offset: at - 1 }, ONE);
      if (page.kind === 'reset') break; // trimmed meanwhile: what is left is of a run under way
      const [last] = page.entries;
      if (last?.type === 'run.ended' && head.ended) return (last.data as { status: EndStatus }).status;
      if (last && last.type !== 'approval.resolved') return last.type === 'run.paused' ? 'paused' : 'running';
    }
    return 'running';
  }

  /** The run of the log, unless it has ended. */
  async function taskOf(log: string): Promise<Task | null> {
    const name = parseLog(log);
    const [head = null] = await logs.heads([log]);
    const run = name.kind === 'run' && !head?.ended ? await load(name.owner, name.id) : null;
    if (!run) return null;
    let state: RunState | null = null;
    await foldLog(logs, log, startOf(head), (entry) => {
      state = reduceRun(state, entry);
    });
    return {
      log,
      ownLog: true,
      component: run.component,
      runId: run.runId,
      messageId: run.messageId,
      sessionId: run.sessionId,
      user: run.owner,
      input: run.input,
      state,
      async history() {
        const session = await sessions.state(logOf.session(run.owner, run.sessionId));
        const { messages } = session.state;
        const own = messages.findIndex((message) => message.messageId === run.messageId);
        return messages.slice(0, own < 0 ? undefined : own);
      },
    };
  }

  async function keep({ log, ...record }: Run): Promise<void> {
    const until = clock.now() + KEEP_MS;
    await Promise.all([
      records.put(keyOf.run(record.owner, record.runId), record, { expiresAt: until }),
      logs.keep(log, until),
    ]);
  }

  /** The run's end is told to its session, under an id that stores it once. */
  async function settled(log: string): Promise<void> {
    const name = parseLog(log);
    const run = name.kind === 'run' ? await load(name.owner, name.id) : null;
    if (!run) return;
    const [head] = await logs.heads([log]);
    if (!head?.ended) return keep(run); // it waits for a person: its time begins anew
    const last = await logs.read(
      log,
      { epoch: head.epoch, offset: head.offset - 1 },
      { entries: 1, bytes: 1 },
    );
    const end = last.kind === 'page' ? last.entries[0] : undefined;
    if (!end) return;
    const { data, source } = end;
    const copy = { id: `copy:${run.runId}:end`, type: end.type, data: { ...(data as object), copy: true } };
    await journal.append(logOf.session(run.owner, run.sessionId), [{ ...copy, ...(source && { source }) }]);
    await keep(run);
  }

  /** The ids of a new run, or those of the one that the key has started. */
  async function idsOf({ owner, input, sessionId, key }: NewRun, component: string): Promise<Start> {
    const fresh: Start = {
      runId: `run_${random.id()}`,
      sessionId: sessionId ?? `ses_${random.id()}`,
      digest: key === undefined ? '' : digest(JSON.stringify([input, sessionId ?? null])),
    };
    if (key === undefined) return fresh;
    const at = keyOf.start(owner, component, key);
    const put = { ifVersion: 0, expiresAt: clock.now() + KEEP_MS };
    if ((await records.put(at, fresh, put)) !== null) return fresh;
    const first = (await records.get(at))?.value as Start | undefined;
    if (!first) throw new WireError('unavailable', 'The run of this key has just expired. Try again.');
    if (first.digest === fresh.digest) return first;
    throw new WireError(
      'conflict',
      'This Idempotency-Key has started a run with another message or session. Take a new key.',
      { details: { run_id: first.runId } },
    );
  }

  return {
    async create(wanted) {
      const { owner, component, input } = wanted;
      const componentName = `${component.kind}:${component.id}`;
      const { runId, sessionId } = await idsOf(wanted, componentName);
      const before = wanted.key === undefined ? null : await load(owner, runId);
      if (before) {
        // Also where it ended: whoever stored it may have died before any worker saw it.
        const head = await workers().announce(before.log, componentName, () => logs.append(before.log, []));
        return { run: before, head: head.head, isNew: false };
      }
      const { session } = await sessions.open({ owner, component: componentName, sessionId, create: true });
      const record: RunRecord = {
        runId,
        owner,
        sessionId: session.sessionId,
        component: componentName,
        messageId: `msg_${runId.slice(4)}`,
        input,
        createdAt: clock.now(),
      };
      const log = logOf.run(owner, runId);
      const data = { messageId: record.messageId, runId, content: input, copy: true };
      await journal.append(session.log, [
        { id: `copy:${runId}:message`, type: 'message', data, source: owner },
      ]);
      const { head, isNew } = await workers().announce(log, componentName, async () => {
        const [appended, version] = await Promise.all([
          logs.append(log, []),
          records.put(keyOf.run(owner, runId), record, { ifVersion: 0, expiresAt: clock.now() + KEEP_MS }),
          logs.keep(log, clock.now() + KEEP_MS),
        ]);
        return { head: appended.head, isNew: version !== null };
      });
      return { run: { ...record, log }, head, isNew };
    },

    async find(owner, component, runId) {
      const run = runId.isWellFormed() ? await load(owner, runId) : null;
      return component === null || run?.component === `${component.kind}:${component.id}` ? run : null;
    },

    async list(owner, { component, sessionId, isWanted = () => true }) {
      const name = component && `${component.kind}:${component.id}`;
      const prefix = keyOf.run(owner, '');
      const found: Run[] = [];
      let seen = 0;
      for (let after = prefix; seen < LOOKED_THROUGH; ) {
        const page = await records.list(prefix, { after, limit: LIST_PAGE });
        seen += page.length;
        for (const { value } of page) {
          const record = value as RunRecord;
          if (name !== undefined && record.component !== name) continue;
          if (!isWanted(record.component)) continue;
          if (sessionId !== undefined && record.sessionId !== sessionId) continue;
          found.push({ ...record, log: logOf.run(owner, record.runId) });
        }
        const last = page.at(-1);
        if (!last || page.length < LIST_PAGE) break;
        after = last.key;
      }
      const newest = found.sort((a, b) => b.createdAt - a.createdAt).slice(0, LISTED);
      const heads = await logs.heads(newest.map(({ log }) => log));
      return Promise.all(
        newest.map(async (run, index) => ({ run, standing: await standing(run, heads[index] ?? null) })),
      );
    },

    standing,

    report,
    tasks: { due, settled },
    retention: { maxEntries: 1_000_000, maxBytes: 64 * 1024 * 1024, ...options.limits },
  };
}

/** The position before the oldest entry. */
function startOf(head: Head | null): { epoch: string; offset: number } {
  return { epoch: head?.epoch ?? '', offset: (head?.oldest ?? 1) - 1 };
}
