import type { ApprovalJson, ConfirmedTool, Content, RunOutput, RunStatus } from '@continuo/protocol';
import { ConnectionError, GatewayError } from '../errors.ts';
import { follow, type Line, type RunClientEvent } from './follow.ts';
import { createFuse, type Fuse } from './fuse.ts';
import type { Requests } from './requests.ts';
import { endOf, isEnded, NO_VIEW, type RunView, viewEvent, viewOutput, viewStanding } from './view.ts';

/** The answer to a question of a run; with its `approval_id` where several calls have one id, as those of members may. */
export type ToolAnswer = Pick<ConfirmedTool, 'tool_call_id' | 'approval_id' | 'confirmed' | 'note'>;

/** The answer to a question, by the question's own id. */
export interface Answer {
  readonly approvalId: string;
  readonly approved: boolean;
  readonly note: string | undefined;
}

/** How a run ended. */
export interface RunResult extends Pick<RunView, 'error'> {
  readonly status: RunStatus;
  /** All that it said. */
  readonly content: string;
}

/**
 * A run that goes on without its client. Iterating gives its events, each once and in order, over any number of broken
 * connections, to the run's end; it stays over a pause. Nothing is read ahead: who takes no event holds a position. A later
 * iteration goes on after the last event that was taken; one that runs beside another reads on a connection of its own.
 */
export interface RunHandle extends AsyncIterable<RunClientEvent> {
  readonly runId: string;
  /** `null` until it is known: of a run that was attached to, with the first event. */
  readonly sessionId: string | null;
  /** `polling` from when a proxy was found to hold streams back, for the rest of the run. */
  readonly transport: 'sse' | 'polling';
  /** As of the newest event that anybody here has read: an iteration, `result()` or `onChange()`. */
  readonly view: RunView;
  /**
   * Calls `listener` when the view has changed, at most once a task, and reads the run for it, until nobody listens or
   * waits for the result. Returns its remover.
   */
  onChange(listener: () => void): () => void;
  /** Resolves when the run has ended, however; reads it until then. Rejects on `close()`, and where the gateway refuses. */
  result(): Promise<RunResult>;
  /** Ends the run. Once is as good as twice, at any time. The signal ends the asking for it. */
  cancel(reason?: string, signal?: AbortSignal): Promise<void>;
  /** Answers a question. Rejects with `ApprovalConflictError` when it has another answer already. */
  approve(approvalId: string, approved?: boolean, note?: string): Promise<void>;
  /**
   * Answers all questions of a paused run; default: all with yes. Rejects with `conflict` where it is not paused or a
   * question is left: also when an earlier try of the same call got through and its answer was lost.
   */
  continue(tools?: readonly ToolAnswer[]): Promise<void>;
  /** A message to the running agent, for its next step. Resolves with its id; `too_late` where the agent reads no more. */
  steer(message: Content): Promise<string>;
  /** What the gateway keeps of the run. */
  get(): Promise<RunOutput>;
  /**
   * Reads no more: iterations end, and what is still asked for rejects with a `ConnectionError`, but for `cancel`. The run
   * goes on.
   */
  close(): void;
}

export interface HandleOptions {
  readonly requests: Requests;
  readonly runId: string;
  readonly sessionId: string | null;
  /** The index after which events are wanted. */
  readonly after: number;
  /** Of the run, below the gateway's url. The signal ends the asking for it. */
  path(signal?: AbortSignal): Promise<string>;
  approve(answer: Answer, signal: AbortSignal): Promise<void>;
  /** What the run waits for. */
  asked(signal: AbortSignal): Promise<readonly ApprovalJson[]>;
}

/** The one reading for all who want the view. */
interface Reading {
  readonly fuse: Fuse;
  /** How many want it. */
  users: number;
  done: Promise<void>;
}

export function createRunHandle(options: HandleOptions): RunHandle {
  const { requests, runId, after, path } = options;
  const { platform } = requests;
  const closing = new AbortController();
  const { signal } = closing;
  const line: Line = { isPolling: false, isProven: false };
  const listeners = new Set<() => void>();
  let { sessionId } = options;
  let view = NO_VIEW;
  /** Where the next iteration begins. */
  let cursor = after;
  let isTold = true;
  let reading: Reading | undefined;

  function change(next: RunView): void {
    view = next;
    if (!isTold || !listeners.size) return;
    isTold = false;
    platform.timer(0, tell);
  }

  function tell(): void {
    isTold = true;
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        console.error(error);
      }
    }
  }

  /** The events after an index. What is new in them goes into the view, whoever reads it. */
  async function* read(
    from: number,
    until: AbortSignal = signal,
  ): AsyncGenerator<RunClientEvent, void, undefined> {
    const isEnd = (event: RunClientEvent): boolean =>
      !!endOf(event) && 'event_index' in event && event.run_id === runId;
    const stands = async (status: RunStatus): Promise<void> => {
      // What was said before the first event that was asked for is not read.
      if (from < 0 || isEnded({ status }) || view.status !== 'PENDING') return;
      const open = status === 'PAUSED' ? await options.asked(until).catch(noneFor) : [];
      if (view.status === 'PENDING') change(viewStanding(view, status, open));
    };
    const events = follow({ requests, line, signal: until, path: () => path(until), isEnd, stands }, from);
    for await (const event of events) {
      if ('event_index' in event) {
        sessionId = event.session_id;
        if (event.event_index > view.lastEventIndex) change(viewEvent(view, runId, event));
      }
      yield event;
    }
    if (until.aborted || isEnded(view)) return;
    // It had ended before what was asked for.
    const output = await get(until).catch((error: unknown) => {
      if (!until.aborted) throw error;
    });
    if (output) change(viewOutput(view, output));
  }

  async function readOn(until: AbortSignal): Promise<void> {
    const events = read(Math.max(view.lastEventIndex, after), until);
    while (!(await events.next()).done);
  }

  /** Reads for one more who wants the view. `leave` is idempotent; the last to leave ends the reading. */
  function keepUp(): { readonly done: Promise<void>; leave(): void } {
    if (!reading) {
      const fuse = createFuse(platform, signal);
      const begun: Reading = { fuse, users: 0, done: Promise.resolve() };
      reading = begun;
      begun.done = readOn(fuse.signal).finally(() => end(begun));
    }
    const joined = reading;
    joined.users++;
    let isIn = true;
    return {
      done: joined.done,
      leave() {
        if (isIn && !--joined.users) end(joined);
        isIn = false;
      },
    };
  }

  function end(ended: Reading): void {
    ended.fuse.end();
    if (reading === ended) reading = undefined;
  }

  async function get(until: AbortSignal): Promise<RunOutput> {
    return requests.ask(await path(until), { has: 'run_id' }, until);
  }

  async function post(call: string, fields: object, until?: AbortSignal): Promise<void> {
    const body = JSON.stringify(fields);
    await requests.ask(`${await path(until)}/${call}`, { body }, until);
  }

  const handle: RunHandle = {
    runId,
    get sessionId() {
      return sessionId;
    },
    get transport() {
      return line.isProven ? 'polling' : 'sse';
    },
    get view() {
      return view;
    },
    async *[Symbol.asyncIterator]() {
      for await (const event of read(cursor)) {
        cursor = 'to' in event ? event.to - 1 : event.event_index;
        yield event;
      }
    },
    onChange(listener) {
      listeners.add(listener);
      const { done, leave } = keepUp();
      done.catch(() => {}); // `result()` tells why
      return () => {
        listeners.delete(listener);
        leave();
      };
    },
    async result() {
      if (!isEnded(view)) {
        const { done, leave } = keepUp();
        await done.finally(leave);
      }
      if (!isEnded(view)) throw closed();
      const { status, text: content, error } = view;
      return { status, content, ...(error && { error }) };
    },
    async cancel(reason, until) {
      await post('cancel', { reason }, until); // who cancels and leaves wants both
    },
    async approve(approvalId, approved = true, note) {
      await options.approve({ approvalId, approved, note }, signal);
    },
    async continue(tools) {
      const answers =
        tools ??
        (await options.asked(signal)).map(({ tool, approval_id }) => ({
          ...tool,
          approval_id,
          confirmed: true,
        }));
      await post('continue', { tools: answers, stream: false, background: true }, signal);
    },
    async steer(message) {
      const message_id = platform.id();
      await post('steer', { message, message_id }, signal);
      return message_id;
    },
    get: () => get(signal),
    close: () => closing.abort(closed()),
  };
  return handle;
}

function closed(): ConnectionError {
  return new ConnectionError('close() was called.');
}

/** Who may read a run need not be one who may answer for it. */
function noneFor(error: unknown): readonly ApprovalJson[] {
  if (error instanceof GatewayError) return [];
  throw error;
}
