import type { AgentOutput, Component, Content, HistoryMessage, RunContext } from '@continuo/protocol';
import { createFakeClock, type FakeClock } from '@continuo/testing';

/** A run without a server: time stands still, what `once` stored outlives a start. */
export interface RunWorld {
  readonly clock: FakeClock;
  /** What `once` stored, as the store would give it back. */
  readonly stored: Map<string, unknown>;
  /** What the agent waited for with `sleep`, in ms. */
  readonly sleeps: number[];
  /** What the agent reported to the server. */
  readonly reports: unknown[];
  /** Aborts the run. */
  stop(): void;
  /** What a run is given. */
  context(input?: Content): RunContext;
  /** Begins a run, or begins it again, and reads all it yields. */
  start(component: Component, input?: Content): Run;
  /** As `start`, as the engine does it after a pause: in the same attempt. */
  resume(component: Component, input?: Content): Run;
}

export interface Run {
  /** What it has yielded so far. */
  readonly events: readonly AgentOutput[];
  /** Resolves when it is over, rejects with what it threw. */
  readonly done: Promise<void>;
  /** As a server that dies: nothing more is asked of it, and nothing is told it. */
  abandon(): void;
}

export function createRunWorld(options: { readonly history?: readonly HistoryMessage[] } = {}): RunWorld {
  const { history = [] } = options;
  const clock = createFakeClock();
  const stored = new Map<string, unknown>();
  const sleeps: number[] = [];
  const reports: unknown[] = [];
  const controller = new AbortController();
  let attempt = 0;

  function contextOf(input: Content, continues: boolean): RunContext {
    const { signal } = controller;
    return {
      runId: 'run_1',
      sessionId: 'ses_1',
      messageId: 'm1',
      user: 'ann',
      input,
      attempt: continues ? attempt : ++attempt,
      approvals: [],
      continues,
      signal,
      history: async () => history,
      async once<T>(key: string, work: () => Promise<T>): Promise<T> {
        const before = stored.get(key);
        if (typeof before === 'string') return JSON.parse(before);
        const result = await work();
        stored.set(key, JSON.stringify(result));
        return result;
      },
      sleep(ms) {
        sleeps.push(ms);
        return new Promise((resolve, reject) => {
          const stop = clock.schedule(clock.now() + ms, resolve);
          signal.addEventListener('abort', () => {
            stop();
            reject(new Error('The run was stopped.'));
          });
        });
      },
      report: (error) => void reports.push(error),
    };
  }

  function begin(component: Component, context: RunContext): Run {
    const events: AgentOutput[] = [];
    const outputs = component.run(context)[Symbol.asyncIterator]();
    let abandoned = false;
    const read = async (): Promise<void> => {
      for (;;) {
        const next = await outputs.next();
        if (next.done || abandoned) return;
        events.push(next.value);
      }
    };
    const done = read();
    done.catch(() => {}); // it is the test that looks
    return {
      events,
      done,
      abandon() {
        abandoned = true;
      },
    };
  }

  return {
    clock,
    stored,
    sleeps,
    reports,
    stop: () => controller.abort(),
    context: (input = 'hi') => contextOf(input, false),
    start: (component, input = 'hi') => begin(component, contextOf(input, false)),
    resume: (component, input = 'hi') => begin(component, contextOf(input, true)),
  };
}
