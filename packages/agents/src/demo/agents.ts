import type { AgentOutput, Component, Content, RunContext } from '@continuo/protocol';
import { storyOf } from './story.ts';

/** Agents that need no model and no key: they answer from a script. */

const STORY_WORDS = 300;
const STORY_MS = 8_000;
const SLOW_MS = 2_000;

export function textOf(content: Content): string {
  return typeof content === 'string' ? content : JSON.stringify(content);
}

/** Words with the space behind them, so that they join to the text again. */
function wordsOf(text: string): readonly string[] {
  return text.match(/\S+\s*|\s+/g) ?? [];
}

async function* echo({ input }: RunContext): AsyncGenerator<AgentOutput> {
  for (const word of wordsOf(`echo: ${textOf(input)}`)) yield { type: 'text.delta', text: word };
}

async function* slow({ input, sleep }: RunContext): AsyncGenerator<AgentOutput> {
  await sleep(SLOW_MS);
  yield { type: 'text.delta', text: `slow: ${textOf(input)}` };
}

async function* storyteller({ input, sleep }: RunContext): AsyncGenerator<AgentOutput> {
  for (const word of storyOf(textOf(input), STORY_WORDS)) {
    yield { type: 'text.delta', text: word };
    await sleep(STORY_MS / STORY_WORDS);
  }
}

export const echoAgent: Component = {
  kind: 'agent',
  id: 'echo',
  name: 'Echo',
  description: 'Says what you said, word by word.',
  run: echo,
  deltaJoinMs: 0,
  demo: true,
};

export const slowAgent: Component = {
  kind: 'agent',
  id: 'slow',
  name: 'Slow',
  description: 'Answers after two seconds.',
  run: slow,
  deltaJoinMs: 0,
  demo: true,
};

/** Asks a person before it does what it was told, and waits for the answer as long as it takes. */
async function* clerk({ input, approvals }: RunContext): AsyncGenerator<AgentOutput> {
  const what = textOf(input);
  const asked = approvals.at(-1);
  if (!asked?.answer) {
    yield { type: 'text.delta', text: `I can do that: ${what}. May I? ` };
    if (asked) return; // its server died meanwhile: the question stands
    yield { type: 'approval.requested', callId: 'errand', name: 'run_errand', args: { what } };
    return;
  }
  const { approved, note } = asked.answer;
  yield { type: 'text.delta', text: approved ? `Done: ${what}.` : 'Then I leave it.' };
  if (note) yield { type: 'text.delta', text: ` You said: ${note}` };
}

export const clerkAgent: Component = {
  kind: 'agent',
  id: 'clerk',
  name: 'Clerk',
  description: 'Asks for your approval before it does what you said.',
  run: clerk,
  deltaJoinMs: 0,
  onInterrupt: 'restart',
  demo: true,
};

export const storytellerAgent: Component = {
  kind: 'agent',
  id: 'storyteller',
  name: 'Storyteller',
  description: 'Tells a story of 300 words in about eight seconds; the same one for the same message.',
  run: storyteller,
  deltaJoinMs: 0,
  demo: true,
};
