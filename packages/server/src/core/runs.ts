import { type Approval, type Component, type Content, type Draft, WireError } from '@continuo/protocol';
import { type Clock, type Head, type Logs, type Random, type Records, StoreError } from '../ports.ts';
import type { Journal, Retention, RetentionLimits } from './log.ts';
import { keyOf, logOf, parseLog } from './names.ts';
import { isDue, type RunState } from './run.ts';
import { createRunFold, type RunReport, type RunStanding } from './run-fold.ts';
import { createRunRecords, KEEP_MS, type Run, type RunListing, type Start } from './run-records.ts';
import type { Sessions } from './sessions.ts';
import type { Due, Task, TaskSource, Workers } from './worker.ts';

export type { RunReport, RunStanding } from './run-fold.ts';
export { REPORT } from './run-fold.ts';
export { listingOf, type Run, type RunListing } from './run-records.ts';

/** What a list shows. */
const LISTED = 100;

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
  ): Promise<readonly { readonly run: RunListing; readonly standing: RunStanding }[]>;
  standing(run: Pick<Run, 'log'>, head: Head): Promise<RunStanding>;
  /** What its log says of it now; `null`: it has not started. */
  state(run: Run): Promise<RunState | null>;
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
  const stored = createRunRecords(options);
  const fold = createRunFold(options);

  async function due(log: string): Promise<Due> {
    const task = await taskOf(log);
    if (task?.state?.status !== 'paused') return { next: task, paused: [] };
    return { next: isDue(task.state) ? task : null, paused: [task] };
  }

  /** The run of the log, unless it has ended. */
  async function taskOf(log: string): Promise<Task | null> {
    const name = parseLog(log);
    const [head = null] = await logs.heads([log]);
    const run = name.kind === 'run' && !head?.ended ? await stored.load(name.owner, name.id) : null;
    if (!run) return null;
    return {
      log,
      ownLog: true,
      component: run.component,
      runId: run.runId,
      messageId: run.messageId,
      sessionId: run.sessionId,
      user: run.owner,
      input: run.input,
      state: await fold.state(log),
      async history() {
        const session = await sessions.state(logOf.session(run.owner, run.sessionId));
        const { messages } = session.state;
        const own = messages.findIndex((message) => message.messageId === run.messageId);
        return messages.slice(0, own < 0 ? undefined : own);
      },
    };
  }

  /** The run's end is told to its session, and so is what it asks meanwhile, under ids that store each once. */
  async function settled(log: string): Promise<void> {
    const name = parseLog(log);
    const run = name.kind === 'run' ? await stored.load(name.owner, name.id) : null;
    const [head] = await logs.heads([log]);
    if (!run || !head) return;
    await tell(run, head.ended ? await endOf(run, head) : await questionsOf(run));
    await stored.keep(run); // also where it waits for a person: its time begins anew
    if (!head.ended) await sessions.keep(run.owner, run.sessionId, clock.now() + KEEP_MS); // it goes on in its conversation
  }

  async function tell(run: Run, drafts: readonly Draft[]): Promise<void> {
    const log = logOf.session(run.owner, run.sessionId);
    const [session] = drafts.length > 0 ? await logs.heads([log]) : [];
    if (session) await journal.append(log, drafts); // else its time is over
  }

  async function endOf({ runId, log }: Run, { epoch, offset }: Head): Promise<readonly Draft[]> {
    const last = await logs.read(log, { epoch, offset: offset - 1 }, { entries: 1, bytes: 1 });
    const end = last.kind === 'page' ? last.entries[0] : undefined;
    if (!end) return [];
    const { type, data, source } = end;
    const copy = { id: `copy:${runId}:end`, type, data: { ...(data as object), copy: true } };
    return [{ ...copy, ...(source && { source }) }];
  }

  async function questionsOf(run: Run): Promise<readonly Draft[]> {
    const state = await fold.state(run.log);
    return state?.approvals.flatMap((approval) => copiesOf(approval, state, run)) ?? [];
  }

  /** The ids of a new run, or those of the one that the key has started. */
  async function idsOf(
    { owner, input, sessionId, key }: NewRun,
    component: string,
  ): Promise<Start & { readonly isFresh: boolean }> {
    const fresh: Start = {
      runId: `run_${random.id()}`,
      sessionId: sessionId ?? `ses_${random.id()}`,
      digest: key === undefined ? '' : digest(JSON.stringify([input, sessionId ?? null])),
    };
    if (key === undefined) return { ...fresh, isFresh: true };
    const at = keyOf.start(owner, component, key);
    const put = { ifVersion: 0, expiresAt: clock.now() + KEEP_MS };
    if ((await records.put(at, fresh, put)) !== null) return { ...fresh, isFresh: true };
    const first = (await records.get(at))?.value as Start | undefined;
    if (!first) throw new WireError('unavailable', 'The run of this key has just expired. Try again.');
    if (first.digest === fresh.digest) return { ...first, isFresh: false };
    throw new WireError(
      'conflict',
      'This Idempotency-Key has started a run with another message or session. Take a new key.',
      { details: { run_id: first.runId } },
    );
  }

  async function start(
    { owner, input, key }: NewRun,
    component: string,
    { runId, sessionId }: Start,
  ): Promise<{ readonly run: Run; readonly head: Head; readonly isNew: boolean }> {
    const { session } = await sessions.open({ owner, component, sessionId, create: true });
    const run: Run = {
      runId,
      owner,
      sessionId: session.sessionId,
      component,
      messageId: `msg_${runId.slice(4)}`,
      input,
      createdAt: clock.now(),
      log: logOf.run(owner, runId),
      ...(key !== undefined && { key }),
    };
    const data = { messageId: run.messageId, runId, content: input, copy: true };
    await journal.append(session.log, [
      { id: `copy:${runId}:message`, type: 'message', data, source: owner },
    ]);
    return workers().announce(run.log, component, async () => {
      const [{ head }, isNew] = await Promise.all([logs.append(run.log, []), stored.add(run)]);
      return { run, head, isNew };
    });
  }

  return {
    async create(wanted) {
      const { owner, key } = wanted;
      const component = `${wanted.component.kind}:${wanted.component.id}`;
      const { isFresh, ...ids } = await idsOf(wanted, component);
      const before = isFresh ? null : await stored.load(owner, ids.runId);
      if (before) {
        // Also where it ended: whoever stored it may have died before any worker saw it.
        const { head } = await workers().announce(before.log, component, () => logs.append(before.log, []));
        return { run: before, head, isNew: false };
      }
      try {
        return await start(wanted, component, ids);
      } catch (error) {
        // What was refused has started nothing: its key is free.
        const isRefused =
          error instanceof WireError || (error instanceof StoreError && error.code === 'too_large');
        if (isFresh && key !== undefined && isRefused)
          await records.remove(keyOf.start(owner, component, key));
        throw error;
      }
    },

    async find(owner, component, runId) {
      const run = runId.isWellFormed() ? await stored.load(owner, runId) : null;
      return component === null || run?.component === `${component.kind}:${component.id}` ? run : null;
    },

    async list(owner, { component, sessionId, isWanted = () => true }) {
      const name = component && `${component.kind}:${component.id}`;
      const found = await stored.list(
        owner,
        (run) =>
          (name === undefined || run.component === name) &&
          (sessionId === undefined || run.sessionId === sessionId) &&
          isWanted(run.component),
      );
      const newest = found.slice(0, LISTED);
      const heads = await logs.heads(newest.map(({ log }) => log));
      return Promise.all(
        newest.map(async (run, index) => ({
          run,
          standing: await fold.standing(run.log, heads[index] ?? null),
        })),
      );
    },

    standing: ({ log }, head) => fold.standing(log, head),
    state: ({ log }) => fold.state(log),
    report: ({ log }) => fold.report(log),
    tasks: { due, settled },
    retention: {
      maxEntries: 1_000_000,
      maxBytes: 64 * 1024 * 1024,
      ...options.limits,
      beforeTrim: fold.beforeTrim,
    },
  };
}

/** A question of a run, and its answer, as its session is told of them. */
function copiesOf(
  { approvalId, callId, name, args, expiresAt, runId, answer }: Approval,
  { attempt }: RunState,
  { messageId, component }: Run,
): readonly Draft[] {
  const colon = component.indexOf(':');
  const [kind, id] = [component.slice(0, colon), component.slice(colon + 1)];
  const lineage = { runId, messageId, attempt, component: { kind, id, name: id }, copy: true };
  const asked = { approvalId, callId, name, ...(args !== undefined && { args }), expiresAt, ...lineage };
  const drafts: Draft[] = [{ id: `copy:${approvalId}`, type: 'approval.requested', data: asked }];
  if (!answer) return drafts;
  const { by: resolvedBy, ...said } = answer;
  const data = { approvalId, ...said, resolvedBy, ...lineage };
  return [...drafts, { id: `copy:${approvalId}:answer`, type: 'approval.resolved', data }];
}
