import {
  AgentOutput,
  type Component,
  type EndStatus,
  type Lineage,
  type RunContext,
  type TellsUser,
  WireError,
} from '@continuo/protocol';
import type { Clock, Fence, Records, Report } from '../ports.ts';
import type { Approvals } from './approvals.ts';
import type { Journal } from './log.ts';
import { keyOf } from './names.ts';
import { createRunWriter, type RunWriter } from './run-writer.ts';
import type { Task } from './worker.ts';

/** Why a run is stopped: another server may have it (nothing more is written), somebody asked, the server closes. */
export type AbortCause = 'lost' | 'cancelled' | 'drained';

/** A run that has started over this often takes its servers down with it: it is ended instead. */
const MAX_ATTEMPTS = 5;
/** How long the result of a `once` step is kept, in ms: as long as its run's log. */
const ONCE_KEEP_MS = 7 * 24 * 3_600_000;

export interface Drive {
  readonly task: Task;
  readonly component: Component;
  /** What the lease's holder may write with. */
  readonly fence: Fence;
  readonly signal: AbortSignal;
  /** Why the signal was aborted. */
  cause(): AbortCause | null;
  cancelReason(): Promise<string | null>;
}

export interface Driver {
  /** Brings a run to its one terminal entry, or to its next pause. Without one it resolves only when the lease was lost. */
  drive(drive: Drive): Promise<void>;
}

interface Ending {
  readonly status: EndStatus;
  readonly reason?: string;
}

/** The agent returned with questions open. */
interface Pause {
  readonly status: 'paused';
  readonly approvals: readonly string[];
}

const SERVER_DIED = 'The server that ran it died.';
/** What a person is told of an error that was not made for them. */
const AGENT_FAILED = 'The agent failed. The server has noted why.';

export function createDriver(deps: {
  readonly journal: Journal;
  readonly records: Records;
  readonly approvals: Approvals;
  readonly clock: Clock;
  /** Gets what an agent threw, and what it reports. */
  readonly report: Report;
}): Driver {
  const { journal, records, approvals, clock, report } = deps;

  function contextOf(
    { task, component, signal }: Drive,
    { attempt, continues }: { readonly attempt: number; readonly continues: boolean },
  ): RunContext {
    const { log, runId, sessionId, messageId, user, input } = task;
    return {
      runId,
      sessionId,
      messageId,
      user,
      input,
      attempt,
      approvals: task.state?.approvals ?? [],
      continues,
      signal,
      history: () => task.history(),
      async once(key, work) {
        const recordKey = keyOf.once(log, runId, key);
        const done = await records.get(recordKey);
        if (done) return (done.value as { result: never }).result;
        const result = await work();
        await records.put(recordKey, { result }, { expiresAt: clock.now() + ONCE_KEEP_MS });
        return result;
      },
      sleep(ms) {
        let stop = (): void => {};
        const over = new Promise<void>((resolve) => {
          stop = clock.schedule(clock.now() + ms, resolve);
        });
        return abortable(over, signal).finally(() => stop());
      },
      report: (error) => report(`a report of ${nameOf(component, runId)}`, error),
    };
  }

  /** Runs the component to its end and stores what it yields. */
  async function run(drive: Drive, writer: RunWriter, context: RunContext): Promise<Ending | Pause> {
    const { task, component, signal } = drive;
    const asked: string[] = [];
    let events: AsyncIterator<AgentOutput> | null = null;
    try {
      signal.throwIfAborted();
      events = component.run(context)[Symbol.asyncIterator]();
      for (;;) {
        const next = await abortable(events.next(), signal);
        if (next.done) {
          return asked.length > 0 ? { status: 'paused', approvals: asked } : { status: 'completed' };
        }
        const output = AgentOutput.parse(next.value);
        if (output.type === 'approval.requested') {
          const approvalId = await abortable(approvals.request(task), signal);
          asked.push(approvalId);
          await abortable(writer.write({ ...output, approvalId }), signal);
        } else await abortable(writer.write(output), signal);
      }
    } catch (error) {
      tellToStop(events);
      if (writer.failure) throw writer.failure;
      const cause = drive.cause();
      if (cause === 'cancelled')
        return { status: 'cancelled', reason: (await drive.cancelReason()) ?? 'cancelled' };
      if (cause === 'drained') return { status: 'interrupted', reason: 'The server was shut down.' };
      if (cause === null) report(`${nameOf(component, task.runId)} failed`, error);
      return { status: 'failed', reason: tellsUser(error) ? error.message : AGENT_FAILED };
    }
  }

  return {
    async drive(drive) {
      const { task, component, fence, cause } = drive;
      const { state } = task;
      const attempts = state?.attempt ?? 0;
      const continues = state?.status === 'paused';
      const restarts = !continues && component.onInterrupt === 'restart' && attempts < MAX_ATTEMPTS;
      const goesOn = state === null || continues || restarts;
      const attempt = goesOn && !continues ? attempts + 1 : attempts;
      const { kind, id, name } = component;
      const lineage: Lineage = {
        runId: task.runId,
        messageId: task.messageId,
        attempt,
        component: { kind, id, name },
      };
      const writer = createRunWriter({
        journal,
        clock,
        log: task.log,
        ownLog: task.ownLog,
        fence,
        lineage,
        ...(state !== null && (continues || !goesOn) && { said: state.text }),
        joinMs: component.deltaJoinMs ?? 30,
        isLost: () => cause() === 'lost',
      });

      let ending: Ending | Pause = { status: 'interrupted', reason: SERVER_DIED };
      if (state !== null && cause() === 'cancelled') {
        ending = { status: 'cancelled', reason: (await drive.cancelReason()) ?? 'cancelled' };
      } else if (goesOn) {
        if (state === null) await writer.write({ type: 'run.started' });
        else if (continues) await writer.write({ type: 'run.continued' });
        else await writer.write({ type: 'run.attempt', reason: SERVER_DIED });
        ending = await run(drive, writer, contextOf(drive, { attempt, continues }));
      }
      if (cause() === 'lost') return;
      if (ending.status === 'paused') await writer.pause(ending.approvals);
      else await writer.end(ending);
    },
  };
}

function nameOf({ kind, id }: Component, runId: string): string {
  return `the ${kind} "${id}" in run ${runId}`;
}

function tellsUser(error: unknown): error is WireError | TellsUser {
  if (!(error instanceof Error) || error.message === '') return false;
  return error instanceof WireError || ('tellsUser' in error && error.tellsUser === true);
}

/** How it does so is its own matter. */
function tellToStop(events: AsyncIterator<AgentOutput> | null): void {
  Promise.resolve()
    .then(() => events?.return?.())
    .catch(() => {});
}

/** Rejects as soon as the signal aborts; what `work` then does is left to itself. */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(new Error('The run was stopped.'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
