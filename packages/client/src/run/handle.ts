import type { ConfirmedTool, Content, RunOutput, RunStatus } from '@continuo/protocol';
import { ConnectionError } from '../errors.ts';
import { follow, type Line, type RunClientEvent } from './follow.ts';
import type { Requests } from './requests.ts';
import { endOf, isEnded, NO_VIEW, type RunView, viewEvent, viewOutput } from './view.ts';

/** The answer to a question of a run; with its `approval_id` where several calls have one id, as those of members may. */
export type ToolAnswer = Pick<ConfirmedTool, 'tool_call_id' | 'approval_id' | 'confirmed' | 'note'>;

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
  /** Calls `listener` when the view has changed, at most once a task, and reads the run for it. Returns its remover. */
  onChange(listener: () => void): () => void;
  /** Resolves when the run has ended, however; reads it until then. Rejects on `close()`, and where the gateway refuses. */
  result(): Promise<RunResult>;
  /** Ends the run. Once is as good as twice, at any time. */
  cancel(reason?: string): Promise<void>;
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
  /** Reads no more: iterations end. The run goes on. */
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
  approve(approvalId: string, approved: boolean, note?: string): Promise<void>;
  /** The calls of the run that wait for a person. */
  asked(): Promise<readonly Omit<ToolAnswer, 'confirmed'>[]>;
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
  let reading: Promise<void> | undefined;

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
  async function* read(from: number): AsyncGenerator<RunClientEvent, void, undefined> {
    const isEnd = (event: RunClientEvent): boolean =>
      !!endOf(event) && 'event_index' in event && event.run_id === runId;
    for await (const event of follow({ requests, line, signal, path: () => path(signal), isEnd }, from)) {
      if ('event_index' in event) {
        sessionId = event.session_id;
        if (event.event_index > view.lastEventIndex) change(viewEvent(view, runId, event));
      }
      yield event;
    }
    if (signal.aborted || isEnded(view)) return;
    // It had ended before what was asked for.
    const output = await get(signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    if (output) change(viewOutput(view, output));
  }

  async function readOn(): Promise<void> {
    const events = read(Math.max(view.lastEventIndex, after));
    while (!(await events.next()).done);
  }

  /** One reading for all who want the view. */
  function keepUp(): Promise<void> {
    reading ??= readOn().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  async function get(until?: AbortSignal): Promise<RunOutput> {
    return requests.ask(await path(until), {}, until);
  }

  /** Not ended by `close()`: who cancels and leaves wants both. */
  async function post(call: string, fields: object): Promise<void> {
    const body = JSON.stringify(fields);
    await requests.ask(`${await path()}/${call}`, { body });
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
      keepUp().catch(() => {}); // `result()` tells why
      return () => listeners.delete(listener);
    },
    async result() {
      if (!isEnded(view)) await keepUp();
      if (!isEnded(view)) throw new ConnectionError('close() was called.');
      const { status, text: content, error } = view;
      return { status, content, ...(error && { error }) };
    },
    async cancel(reason) {
      await post('cancel', { reason });
    },
    async approve(approvalId, approved = true, note) {
      await options.approve(approvalId, approved, note);
    },
    async continue(tools) {
      const answers = tools ?? (await options.asked()).map((tool) => ({ ...tool, confirmed: true }));
      await post('continue', { tools: answers, stream: false, background: true });
    },
    async steer(message) {
      const message_id = platform.id();
      await post('steer', { message, message_id });
      return message_id;
    },
    get: () => get(),
    close: () => closing.abort(),
  };
  return handle;
}
