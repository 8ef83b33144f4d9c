import {
  AgentOutput,
  type Approval,
  type Component,
  type Lineage,
  type Question,
  type RunContext,
  type RunLimits,
  type RunMetrics,
  type TellsUser,
  WireError,
} from '@continuo/protocol';
import type { Clock, Fence, Records, Report } from '../ports.ts';
import type { Approvals } from './approvals.ts';
import type { Journal } from './log.ts';
import type { MemoryBook } from './memories.ts';
import { keyOf } from './names.ts';
import { crashesOf, openApprovals, type RunState, UNUSED } from './run.ts';
import { beyondTime, createMeter, type Meter, RUN_LIMITS } from './run-limits.ts';
import { createRunWriter, type Ending, MAX_QUESTIONS, type RunWriter } from './run-writer.ts';
import type { Steering } from './steering.ts';
import type { Task } from './worker.ts';

/** Why a run is stopped: another server may have it (nothing more is written), somebody asked, the server closes. */
export type AbortCause = 'lost' | 'cancelled' | 'drained';

/** A run whose servers have died this often takes them down with it: it is ended instead. */
const MAX_CRASHES = 5;
/** How long the result of a `once` step is kept after it was last read, in ms: longer than a run waits at once. */
const ONCE_KEEP_MS = 8 * 24 * 3_600_000;
/** A result that was stored longer ago, in ms, is stored again when it is read. */
const ONCE_RENEW_MS = 24 * 3_600_000;

export interface Drive {
  readonly task: Task;
  readonly component: Component;
  /** What the lease's holder may write with. */
  readonly fence: Fence;
  readonly signal: AbortSignal;
  /** Why the signal was aborted. */
  cause(): AbortCause | null;
  /** Whether the lease is this server's without doubt: it is not a sleeper who has just woken. */
  isHeld(): boolean;
  /** Of all drives under this lease, which one it is: what they store must not be taken for one another. */
  readonly serial: number;
  cancelReason(): Promise<string | null>;
}

export interface Driver {
  /**
   * Brings a run to its one terminal entry, or to its next pause. Without either it resolves only when the lease was lost,
   * or where another server is to go on with the run.
   */
  drive(drive: Drive): Promise<'ended' | 'paused' | 'left'>;
}

/** The record `once/<log>/<run>/<key>`. */
interface FinishedStep {
  readonly result: unknown;
  /** Unix milliseconds. */
  readonly at: number;
}

/** The agent returned with questions open. */
interface Pause {
  readonly status: 'paused';
  readonly questions: readonly Question[];
}

/** The last moment a clock knows: a limit may be infinite. */
const MAX_TIME = 8.64e15;
const SERVER_DIED = 'The server that ran it died.';
const TAKEN_OVER = 'Its server died or was shut down: it starts over from what was finished.';
/** What a person is told of an error that was not made for them. */
const AGENT_FAILED = 'The agent failed. The server has noted why.';

export function createDriver(deps: {
  readonly journal: Journal;
  readonly records: Records;
  readonly approvals: Approvals;
  readonly steering: Steering;
  readonly memories: MemoryBook;
  /** Where a component has none of its own. */
  readonly runLimits?: Partial<RunLimits> | undefined;
  readonly clock: Clock;
  /** Gets what an agent threw, and what it reports. */
  readonly report: Report;
}): Driver {
  const { journal, records, approvals, steering, memories, clock, report } = deps;

  function contextOf(
    { task, component, isHeld }: Drive,
    start: {
      readonly attempt: number;
      readonly continues: boolean;
      readonly signal: AbortSignal;
      readonly limits: RunLimits;
    },
  ): RunContext {
    const { log, runId, sessionId, messageId, user, input } = task;
    const { attempt, continues, signal, limits } = start;
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
      limits,
      depth: 0,
      memories: {
        list: () => memories.list(user),
        add: (text, key) => memories.add(user, text, key === undefined ? undefined : `${runId}.${key}`),
        remove: (memoryId) => memories.remove(user, memoryId),
      },
      async steered(step, last = false) {
        return component.steerable ? steering.take(task, step, last) : [];
      },
      history: () => task.history(),
      async once<T>(key: string, work: () => Promise<T>): Promise<T> {
        const recordKey = keyOf.once(log, runId, key);
        const at = clock.now();
        const expiresAt = at + ONCE_KEEP_MS;
        const done = await records.get(recordKey);
        if (done) {
          const step = done.value as FinishedStep;
          // A run that waits for a person again and again may grow older than its first steps would be kept.
          if (at - step.at > ONCE_RENEW_MS) await records.put(recordKey, { ...step, at }, { expiresAt });
          return step.result as T;
        }
        // Another server may have this run by now. Until that is known, the agent waits: a failure would be something to store.
        if (!isHeld()) return abortable(new Promise<never>(() => {}), signal);
        const result = await work();
        // What another server finished meanwhile stands.
        const step: FinishedStep = { result, at };
        if ((await records.put(recordKey, step, { ifVersion: 0, expiresAt })) !== null) return result;
        const first = await records.get(recordKey);
        return first ? ((first.value as FinishedStep).result as T) : result;
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
  async function run(
    drive: Drive,
    {
      writer,
      meter,
      context,
    }: { readonly writer: RunWriter; readonly meter: Meter; readonly context: RunContext },
  ): Promise<Ending | Pause> {
    const { task, component } = drive;
    const { signal, limits } = context;
    const asked: Question[] = task.state ? openApprovals(task.state).map(questionOf) : [];
    let events: AsyncIterator<AgentOutput> | null = null;
    try {
      signal.throwIfAborted();
      events = component.run(context)[Symbol.asyncIterator]();
      for (;;) {
        const next = await abortable(events.next(), signal);
        if (next.done) {
          return asked.length > 0 ? { status: 'paused', questions: asked } : { status: 'completed' };
        }
        const output = AgentOutput.parse(next.value);
        meter.count(output);
        if (output.type === 'approval.requested') {
          const question = await abortable(approvals.request(task, output), signal);
          if (asked.some(({ approvalId }) => approvalId === question.approvalId)) continue; // the log tells of it
          if (asked.length >= MAX_QUESTIONS)
            throw new WireError('invalid', `A run may have ${MAX_QUESTIONS} questions open, no more.`);
          asked.push(question);
          const { by } = output;
          await abortable(writer.write({ type: 'approval.requested', ...question, by }), signal);
        } else await abortable(writer.write(output), signal);
      }
    } catch (error) {
      tellToStop(events);
      if (writer.failure) throw writer.failure;
      const cause = drive.cause();
      if (cause === null && signal.aborted) return failed(beyondTime(limits));
      if (cause === 'cancelled')
        return { status: 'cancelled', reason: (await drive.cancelReason()) ?? 'cancelled' };
      if (cause === 'drained') return { status: 'interrupted', reason: 'The server was shut down.' };
      if (cause === null) report(`${nameOf(component, task.runId)} failed`, error);
      return failed(error);
    }
  }

  function metricsOf(used: RunState['used'], since: number): RunMetrics {
    return { ...used, durationMs: Math.max(0, Math.round(clock.now() - since)) };
  }

  return {
    async drive(drive) {
      const { task, component, fence, cause } = drive;
      const { state } = task;
      const stopped = await endingOf(drive);
      const continues = state?.status === 'paused' && stopped === null;
      const starts = !continues && stopped === null;
      const attempt = (state?.attempt ?? 0) + (starts ? 1 : 0);
      const { kind, id, name } = component;
      const lineage: Lineage = {
        runId: task.runId,
        messageId: task.messageId,
        attempt,
        component: { kind, id, name },
      };
      let handedOver = false;
      const writer = createRunWriter({
        journal,
        clock,
        log: task.log,
        ownLog: task.ownLog,
        fence,
        serial: drive.serial,
        lineage,
        ...(state !== null && !starts && { said: state.text }),
        joinMs: component.deltaJoinMs ?? 30,
        isLost: () => handedOver || cause() === 'lost',
      });

      const limits: RunLimits = { ...RUN_LIMITS, ...deps.runLimits, ...component.limits };
      const meter = createMeter(limits, state && !starts ? state.used : UNUSED);
      const since = state === null || continues ? clock.now() : state.activeSince;

      let ending: Ending | Pause;
      if (stopped) ending = stopped;
      else {
        const { model } = component;
        if (state === null) await writer.write({ type: 'run.started', ...(model && { model }) });
        else if (continues) {
          await writer.write({ type: 'run.continued' });
          await writer.settled(); // or a server that died now would have finished steps that nobody is shown
        } else await writer.write({ type: 'run.attempt', reason: TAKEN_OVER });
        const late = new AbortController();
        const stopTimer = clock.schedule(Math.min(since + limits.timeMs, MAX_TIME), () => late.abort());
        const signal = AbortSignal.any([drive.signal, late.signal]);
        const context = contextOf(drive, { attempt, continues, signal, limits });
        ending = await run(drive, { writer, meter, context }).finally(stopTimer);
        if (cause() === 'drained' && component.onInterrupt === 'restart') {
          handedOver = true;
          await writer.handOver();
          return 'left';
        }
      }
      if (cause() === 'lost') return 'left';
      if (ending.status === 'paused') {
        await writer.pause(ending.questions);
        return 'paused';
      }

      await writer.end({ ...ending, metrics: metricsOf(meter.used, since) });
      return 'ended';
    },
  };
}

/** How a run ends without its agent being run any more; `null`: it begins, or goes on. */
async function endingOf({ task, component, cause, cancelReason }: Drive): Promise<Ending | null> {
  const { state } = task;
  if (state === null) return null;
  if (cause() === 'cancelled') return { status: 'cancelled', reason: (await cancelReason()) ?? 'cancelled' };
  const expired = state.approvals.find(({ answer }) => answer?.expired);
  if (expired) {
    const reason = `Nobody answered in time whether "${expired.name}" may be done.`;
    return { status: 'rejected', reason, code: 'approval_expired' };
  }
  if (state.status === 'paused') return null;
  const mayRestart = component.onInterrupt === 'restart' && crashesOf(state) < MAX_CRASHES;
  return mayRestart ? null : { status: 'interrupted', reason: SERVER_DIED };
}

/** What a person is told of an error, and for programs the code of the limit that was passed. */
function failed(error: unknown): Ending {
  const code = error instanceof WireError ? error.details.code : undefined;
  return {
    status: 'failed',
    reason: tellsUser(error) ? error.message : AGENT_FAILED,
    ...(typeof code === 'string' && { code }),
  };
}

function questionOf({ approvalId, callId, name, args, expiresAt }: Approval): Question {
  return { approvalId, callId, name, ...(args !== undefined && { args }), expiresAt };
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
