import type { AgentOutput, Component, RunContext } from '@continuo/protocol';
import { defineWorkflow } from '../workflow.ts';
import { step } from '../workflow-step.ts';
import { textOf } from './agents.ts';
import { storyOf } from './story.ts';

/** A pause after each word: about four seconds in all. */
const WORD_MS = 30;
const NOTES = 3;
const NOTE_WORDS = 12;
const DRAFT_WORDS = 72;

/** Says words with a pause after each. */
async function* say(words: readonly string[], { sleep }: RunContext): AsyncGenerator<AgentOutput> {
  for (const text of words) {
    yield { type: 'text.delta', text };
    await sleep(WORD_MS);
  }
}

function wordsOf(text: string): readonly string[] {
  return text.match(/\S+\s*/g) ?? [];
}

async function* research(context: RunContext): AsyncGenerator<AgentOutput> {
  const subject = textOf(context.input);
  for (let note = 1; note <= NOTES; note++) {
    const fact = storyOf(`research ${note}: ${subject}`, NOTE_WORDS).join('').trim();
    yield* say([`${note}. `, ...wordsOf(`${fact}\n`)], context);
  }
}

async function* write(context: RunContext): AsyncGenerator<AgentOutput> {
  yield* say(storyOf(`write: ${textOf(context.input)}`, DRAFT_WORDS), context);
}

async function* review(context: RunContext): AsyncGenerator<AgentOutput> {
  const draft = textOf(context.input);
  const count = draft.match(/\S+/g)?.length ?? 0;
  yield* say(wordsOf(`Reviewed: ${count} words, nothing to change. `), context);
  yield { type: 'text.delta', text: `\n\n${draft}` };
}

const member = (id: string, name: string, run: Component['run']): Component => ({
  kind: 'agent',
  id,
  name,
  run,
  demo: true,
});

export const contentWorkflow: Component = {
  ...defineWorkflow({
    id: 'content-creation-workflow',
    name: 'Content creation',
    description: 'Three agents research, write and review a text in about four seconds.',
    steps: [
      step('research', member('researcher', 'Researcher', research)),
      step('write', member('writer', 'Writer', write)),
      step('review', member('reviewer', 'Reviewer', review)),
    ],
    onInterrupt: 'restart',
    deltaJoinMs: 0,
  }),
  demo: true,
};
