import type { AgentOutput, Component, ComponentRef, RunContext } from '@continuo/protocol';
import { textOf } from './agents.ts';
import { storyOf } from './story.ts';

const MEMBERS: readonly ComponentRef[] = [
  { kind: 'agent', id: 'plotter', name: 'Plotter' },
  { kind: 'agent', id: 'poet', name: 'Poet' },
];
const MEMBER_WORDS = 60;
const FINAL_WORDS = 60;
/** A pause after each word: about ten seconds in all. */
const WORD_MS = 55;

/** A coordinator hands the message to each member in turn, then tells the story of both. */
async function* tell({ runId, input, sleep }: RunContext): AsyncGenerator<AgentOutput> {
  const message = textOf(input);
  for (const [index, component] of MEMBERS.entries()) {
    const by = { runId: `${runId}.${index + 1}`, component };
    const callId = `${runId}.call${index + 1}`;
    yield { type: 'tool.started', callId, name: 'delegate', args: { member: component.id, message } };
    yield { type: 'run.started', by };
    const words = storyOf(`${component.id}: ${message}`, MEMBER_WORDS);
    for (const text of words) {
      yield { type: 'text.delta', text, by };
      await sleep(WORD_MS);
    }
    const content = words.join('');
    yield { type: 'text.completed', text: content, by };
    yield { type: 'run.ended', status: 'completed', content, by };
    yield { type: 'tool.completed', callId, name: 'delegate', result: content };
  }
  for (const text of storyOf(message, FINAL_WORDS)) {
    yield { type: 'text.delta', text };
    await sleep(WORD_MS);
  }
}

export const storyTeam: Component = {
  kind: 'team',
  id: 'story-team',
  name: 'Story team',
  description: 'A coordinator and two members who tell a story together in about ten seconds.',
  mode: 'coordinate',
  members: MEMBERS.map(({ id, name }) => ({ id, name })),
  run: tell,
  deltaJoinMs: 0,
  demo: true,
};
