import type { AgentOutput, Component, Member, RunContext } from '@continuo/protocol';

/** Agents that are what the tests need of one: quick, slow, with members, with steps. */

async function* sayBack({ input }: RunContext): AsyncGenerator<AgentOutput> {
  const text = typeof input === 'string' ? input : JSON.stringify(input);
  for (const word of `echo: ${text}`.match(/\S+\s*/g) ?? []) yield { type: 'text.delta', text: word };
}

/** Says the message back, word by word. */
export const echo: Component = { kind: 'agent', id: 'echo', name: 'Echo', run: sayBack, deltaJoinMs: 0 };

/** The same, after two seconds. */
export const slow: Component = {
  kind: 'agent',
  id: 'slow',
  name: 'Slow',
  deltaJoinMs: 0,
  async *run(context) {
    await context.sleep(2_000);
    yield* sayBack(context);
  },
};

/** A team of one member, who says it before the team does. */
export const pair: Component = {
  kind: 'team',
  id: 'pair',
  name: 'Pair',
  mode: 'coordinate',
  members: [{ id: 'echo', name: 'Echo' }],
  deltaJoinMs: 0,
  async *run({ runId, input }) {
    const by: Member = { runId: `${runId}.1`, component: { kind: 'agent', id: 'echo', name: 'Echo' } };
    yield { type: 'run.started', by };
    yield { type: 'text.delta', text: `member: ${String(input)}`, by };
    yield { type: 'run.ended', status: 'completed', content: `member: ${String(input)}`, by };
    yield { type: 'text.delta', text: `team: ${String(input)}` };
  },
};

/** A workflow of one step. */
export const chain: Component = {
  kind: 'workflow',
  id: 'chain',
  name: 'Chain',
  deltaJoinMs: 0,
  async *run() {
    yield { type: 'step.started', step: 'one', index: 0 };
    yield { type: 'step.completed', step: 'one', index: 0, content: 'done' };
  },
};

/** Every kind of thing that an agent may do, once. */
export const talkative: Component = {
  kind: 'agent',
  id: 'talkative',
  name: 'Talkative',
  deltaJoinMs: 0,
  async *run() {
    yield { type: 'reasoning.started' };
    yield { type: 'reasoning.delta', text: 'hm' };
    yield { type: 'reasoning.completed', text: 'hm' };
    yield { type: 'memory.started' };
    yield { type: 'memory.completed' };
    yield { type: 'tool.started', callId: 'c1', name: 'add', args: { a: 1 } };
    yield { type: 'tool.progress', callId: 'c1', name: 'add', progress: 0.5 };
    yield { type: 'tool.completed', callId: 'c1', name: 'add', result: 2 };
    yield { type: 'tool.started', callId: 'c2', name: 'add', args: null };
    yield { type: 'tool.failed', callId: 'c2', name: 'add', error: 'no numbers' };
    yield { type: 'text.delta', text: 'two' };
    yield { type: 'text.completed', text: 'two' };
  },
};

/** Asks before it does what it is told: once for each word, all at once. */
export const clerk: Component = {
  kind: 'agent',
  id: 'clerk',
  name: 'Clerk',
  deltaJoinMs: 0,
  async *run({ input, approvals }) {
    const words = String(input).split(' ');
    if (approvals.length === 0) {
      yield { type: 'text.delta', text: 'May I? ' };
      for (const word of words) {
        yield { type: 'approval.requested', callId: word, name: 'do', args: { what: word } };
      }
      return;
    }
    const done = approvals.filter(({ answer }) => answer?.approved).map(({ callId }) => callId);
    yield { type: 'text.delta', text: `Done: ${done.join(' ') || 'nothing'}` };
  },
};

export const AGENTS: readonly Component[] = [echo, slow, pair, chain, talkative, clerk];
