import type { AgentOutput, Component, RunContext } from '@continuo/protocol';

/** Agents for the simulation: their time is the world's, and chance lies in the message they get. */

function pauseOf(input: unknown): number {
  let sum = 0;
  for (const character of String(input)) sum = (sum * 31 + character.charCodeAt(0)) % 997;
  return sum % 2 === 0 ? 5 + (sum % 50) : 100 + (sum % 700);
}

async function* talk({ input, sleep, once }: RunContext): AsyncGenerator<AgentOutput> {
  const pause = pauseOf(input);
  for (let word = 1; word <= 10; word++) {
    yield { type: 'text.delta', text: `${word} ` };
    await sleep(pause);
    if (word === 5) {
      yield { type: 'tool.started', callId: 'c1', name: 'count', args: {} };
      const result = await once('c1', async () => pause);
      yield { type: 'tool.completed', callId: 'c1', name: 'count', result };
    }
  }
}

async function* echo({ input }: RunContext): AsyncGenerator<AgentOutput> {
  for (const word of String(input).split(' ')) yield { type: 'text.delta', text: word };
}

/** Asks one person or two before it goes on, and says what it was told. */
async function* ask({ input, approvals, sleep }: RunContext): AsyncGenerator<AgentOutput> {
  if (approvals.length === 0) {
    yield { type: 'text.delta', text: 'May I? ' };
    await sleep(pauseOf(input));
    const questions = pauseOf(input) % 2 === 0 ? ['c1'] : ['c1', 'c2'];
    const inTime = pauseOf(input) % 3 === 0 && { expiresInMs: 3_000 };
    for (const callId of questions)
      yield { type: 'approval.requested', callId, name: 'go', args: { input }, ...inTime };
    return;
  }
  for (const { answer } of approvals) {
    await sleep(pauseOf(input));
    yield { type: 'text.delta', text: answer?.approved ? 'yes ' : 'no ' };
  }
}

const agent = (id: string, run: Component['run'], more: Partial<Component> = {}): Component => ({
  kind: 'agent',
  id,
  name: id,
  run,
  ...more,
});

export const AGENTS: readonly Component[] = [
  agent('echo', echo, { deltaJoinMs: 0 }),
  agent('talk', talk, { deltaJoinMs: 0 }),
  agent('again', talk, { onInterrupt: 'restart' }),
  agent('ask', ask, { deltaJoinMs: 0 }),
  agent('ask-again', ask, { deltaJoinMs: 0, onInterrupt: 'restart' }),
];
