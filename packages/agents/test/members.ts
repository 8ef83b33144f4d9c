import type { AgentOutput, Component, RunContext } from '@continuo/protocol';

/** Members that need no model. */

/** An agent that does `run`; `runs` counts how often it was run. */
export function agentOf(id: string, run: Component['run']): Component & { readonly runs: () => number } {
  let count = 0;
  return {
    kind: 'agent',
    id,
    name: id.toUpperCase(),
    run(context) {
      count++;
      return run(context);
    },
    runs: () => count,
  };
}

/** Says its id and what it was told. */
export const echoing = (id: string): ReturnType<typeof agentOf> =>
  agentOf(id, async function* ({ input }) {
    yield { type: 'text.delta', text: `${id}: ` };
    yield { type: 'text.delta', text: String(input) };
  });

/** Says a word, then waits for `gate` before it says another. */
export const waiting = (id: string, gate: () => Promise<void>): ReturnType<typeof agentOf> =>
  agentOf(id, async function* () {
    yield { type: 'text.delta', text: 'one ' };
    await gate();
    yield { type: 'text.delta', text: 'two' };
  });

/** Asks a person, then says what was answered. */
export const asking = (id: string): ReturnType<typeof agentOf> =>
  agentOf(id, async function* ({ approvals }: RunContext) {
    const answer = approvals.at(-1)?.answer;
    if (!answer) {
      yield { type: 'text.delta', text: 'May I? ' };
      yield { type: 'approval.requested', callId: 'c', name: 'do_it', args: { id } };
    } else yield { type: 'text.delta', text: answer.approved ? 'Done.' : 'Left.' };
  });

export const failing = (id: string, error: Error): ReturnType<typeof agentOf> =>
  agentOf(id, async function* (): AsyncGenerator<AgentOutput> {
    yield { type: 'text.delta', text: 'half' };
    throw error;
  });

/** `run_1.a text.delta "hi"`: whose event, and what it says. */
export function linesOf(events: readonly AgentOutput[]): readonly string[] {
  return events.map((event) => {
    const whose = event.by ? `${event.by.runId.replace(/^run_1/, '')}${stepOf(event)} ` : '';
    return `${whose}${event.type}${wordsOf(event)}`;
  });
}

function stepOf({ by }: AgentOutput): string {
  return by?.step === undefined ? '' : `@${by.step}`;
}

function wordsOf(event: AgentOutput): string {
  switch (event.type) {
    case 'text.delta':
    case 'text.completed':
      return ` ${JSON.stringify(event.text)}`;
    case 'tool.started':
      return ` ${event.callId} ${JSON.stringify(event.args)}`;
    case 'tool.completed':
      return ` ${event.callId} ${JSON.stringify(event.result)}`;
    case 'tool.failed':
      return ` ${event.callId} ${event.error}`;
    case 'step.started':
      return ` ${event.index} ${event.step}`;
    case 'step.completed':
      return ` ${event.index} ${event.step} ${JSON.stringify(event.content)}`;
    case 'run.ended':
      return ` ${event.status} ${JSON.stringify(event.content)}${event.reason ? ` ${event.reason}` : ''}`;
    default:
      return '';
  }
}
