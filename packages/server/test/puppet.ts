import type { AgentOutput, Component, RunContext } from '@continuo/protocol';

/** An agent whose every word the test speaks. */
export interface Puppet {
  readonly component: Component;
  /** One for each time the agent was run, in order. */
  readonly runs: readonly PuppetRun[];
}

export interface PuppetRun {
  readonly context: RunContext;
  /** Whether the engine has told it to stop. */
  readonly stopped: boolean;
  /** How many of its words the engine has taken. */
  readonly taken: number;
  say(output: AgentOutput): void;
  /** Says what no agent may. */
  blurt(output: unknown): void;
  finish(): void;
  fail(error: unknown): void;
}

export function createPuppet(id: string, more: Partial<Component> = {}): Puppet {
  const runs: PuppetRun[] = [];

  function run(context: RunContext): AsyncIterable<AgentOutput> {
    const acts: (() => Promise<IteratorResult<AgentOutput>>)[] = [];
    let wake = (): void => {};
    let stopped = false;
    let taken = 0;
    const act = (next: () => Promise<IteratorResult<AgentOutput>>): void => {
      acts.push(next);
      wake();
    };
    runs.push({
      context,
      get stopped() {
        return stopped;
      },
      get taken() {
        return taken;
      },
      say: (value) => act(async () => ({ done: false, value })),
      blurt: (value) => act(async () => ({ done: false, value: value as AgentOutput })),
      finish: () => act(async () => ({ done: true, value: undefined })),
      fail: (error) =>
        act(async () => {
          throw error;
        }),
    });
    const iterator: AsyncIterator<AgentOutput> = {
      async next() {
        while (acts.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        taken++;
        const next = acts.shift();
        return next ? next() : { done: true, value: undefined };
      },
      async return() {
        stopped = true;
        return { done: true, value: undefined };
      },
    };
    return { [Symbol.asyncIterator]: () => iterator };
  }

  return { component: { kind: 'agent', id, name: id, run, deltaJoinMs: 0, ...more }, runs };
}
