import type { Component, Content, Entry } from '@continuo/protocol';
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

export interface Run extends RunRecord {
  readonly log: string;
}

export interface RunReport {
  /** `null`: it has not started. */
  readonly state: RunState | null;
  /** The newest, as many as {@link REPORT} allows. */
  readonly entries: readonly Entry[];
}

export interface Runs {
  /** Stores a run: some server will drive it. */
  create(options: {
    readonly owner: string;
    readonly component: Component;
    readonly input: Content;
    readonly sessionId?: string | undefined;
  }): Promise<{ readonly run: Run; readonly head: Head }>;
  /** The owner's run of that component; `null`: unknown, also when it is another's. */
  find(owner: string, component: Component, runId: string): Promise<Run | null>;
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
  readonly limits?: RetentionLimits | undefined;
}): Runs {
  const { logs, records, journal, sessions, workers, clock, random } = options;

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

  /** The run's end is told to its session, under an id that stores it once. */
  async function settled(log: string): Promise<void> {
    const name = parseLog(log);
    const run = name.kind === 'run' ? await load(name.owner, name.id) : null;
    if (!run) return;
    const [head] = await logs.heads([log]);
    if (!head?.ended) return;
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
    await logs.keep(log, clock.now() + KEEP_MS);
  }

  return {
    async create({ owner, component, input, sessionId }) {
      const componentName = `${component.kind}:${component.id}`;
      const create = sessionId !== undefined;
      const { session } = await sessions.open({ owner, component: componentName, sessionId, create });
      const runId = `run_${random.id()}`;
      const record: RunRecord = {
        runId,
        owner,
        sessionId: session.sessionId,
        component: componentName,
        messageId: `msg_${random.id()}`,
        input,
        createdAt: clock.now(),
      };
      const log = logOf.run(owner, runId);
      const data = { messageId: record.messageId, runId, content: input, copy: true };
      await journal.append(session.log, [
        { id: `copy:${runId}:message`, type: 'message', data, source: owner },
      ]);
      const head = await workers().announce(log, componentName, async () => {
        const [appended] = await Promise.all([
          logs.append(log, []),
          records.put(keyOf.run(owner, runId), record, { expiresAt: clock.now() + KEEP_MS }),
          logs.keep(log, clock.now() + KEEP_MS),
        ]);
        return appended.head;
      });
      return { run: { ...record, log }, head };
    },

    async find(owner, component, runId) {
      const run = await load(owner, runId);
      return run?.component === `${component.kind}:${component.id}` ? run : null;
    },

    report,
    tasks: { due, settled },
    retention: { maxEntries: 1_000_000, maxBytes: 64 * 1024 * 1024, ...options.limits },
  };
}

/** The position before the oldest entry. */
function startOf(head: Head | null): { epoch: string; offset: number } {
  return { epoch: head?.epoch ?? '', offset: (head?.oldest ?? 1) - 1 };
}
