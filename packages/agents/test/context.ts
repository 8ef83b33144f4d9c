import type {
  AgentOutput,
  Approval,
  Component,
  Content,
  HistoryMessage,
  Memory,
  RunContext,
  SteerMessage,
} from '@continuo/protocol';
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
  /** What the run has asked, with answers: a context that is made from then on has them. */
  readonly approvals: Approval[];
  /** Answers the open question about this call. */
  answer(callId: string, approved: boolean, note?: string): void;
  /** Sent to the run and not read: the next step that asks gets them. */
  readonly steers: SteerMessage[];
  /** The step with which the run read its last; `null`: it still reads. */
  readonly closedAt: string | null;
  readonly memories: Memory[];
  /** Aborts the run. */
  stop(): void;
  /** What a run is given. */
  context(input?: Content): RunContext;
  /** Begins a run, or begins it again, and reads all it yields. */
  start(component: Component, input?: Content): Run;
  /** As `start`, as the engine does it after a pause: in the same attempt. */
  resume(component: Component, input?: Content): Run;
}

type Asked = Extract<AgentOutput, { readonly type: 'approval.requested' }>;

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
  const approvals: Approval[] = [];
  const steers: SteerMessage[] = [];
  const steered = new Map<string, SteerMessage[]>();
  const memories: Memory[] = [];
  const controller = new AbortController();
  let attempt = 0;
  let closedAt: string | null = null;

  function contextOf(input: Content, continues: boolean): RunContext {
    const { signal } = controller;
    return {
      runId: 'run_1',
      sessionId: 'ses_1',
      messageId: 'm1',
      user: 'ann',
      input,
      attempt: continues ? attempt : ++attempt,
      approvals: [...approvals],
      continues,
      signal,
      limits: { timeMs: 60_000, toolCalls: 100, tokens: 100_000, depth: 3 },
      depth: 0,
      memories: {
        list: async () => memories,
        async add(text, key = `mem_${memories.length}`) {
          const known = memories.find(({ memoryId }) => memoryId === key);
          const memory = known ?? { memoryId: key, text, createdAt: clock.now() };
          if (!known) memories.push(memory);
          return memory;
        },
        async remove(memoryId) {
          const at = memories.findIndex((memory) => memory.memoryId === memoryId);
          if (at >= 0) memories.splice(at, 1);
          return at >= 0;
        },
      },
      async steered(step, last = false) {
        const given = [...(steered.get(step) ?? []), ...steers.splice(0)];
        steered.set(step, given);
        if (last && given.length === 0) closedAt ??= step;
        return given;
      },
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

  function ask({ callId, name, args, by, expiresInMs = 86_400_000 }: Asked): void {
    const now = clock.now();
    const [approvalId, runId] = [`apr_${approvals.length + 1}`, by?.runId ?? 'run_1'];
    const question = { approvalId, callId, name, runId, ...(args !== undefined && { args }) };
    approvals.push({ ...question, requestedAt: now, expiresAt: now + expiresInMs, answer: null });
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
        if (next.value.type === 'approval.requested') ask(next.value);
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
    approvals,
    answer(callId, approved, note) {
      const at = approvals.findIndex((each) => each.callId === callId && each.answer === null);
      const asked = approvals[at];
      if (!asked) throw new Error(`Nothing was asked about ${callId}`);
      approvals[at] = { ...asked, answer: { approved, by: 'ann', ...(note !== undefined && { note }) } };
    },
    steers,
    get closedAt() {
      return closedAt;
    },
    memories,
    stop: () => controller.abort(),
    context: (input = 'hi') => contextOf(input, false),
    start: (component, input = 'hi') => begin(component, contextOf(input, false)),
    resume: (component, input = 'hi') => begin(component, contextOf(input, true)),
  };
}
