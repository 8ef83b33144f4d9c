import type { AgentOutput, AgentRunner, RunContext } from '@continuo/protocol';
import type { AgentOptions } from './agent.ts';
import { askModel } from './ask.ts';
import { type Environment, modelOf } from './model.ts';
import { ModelError } from './model-error.ts';
import { messagesOf, promptOf } from './prompt.ts';
import { callsOf, type Step, textOfStep } from './step.ts';
import { type Emit, together } from './together.ts';
import { runCalls } from './tool-calls.ts';

export type LoopOptions = Pick<
  AgentOptions,
  'id' | 'instructions' | 'model' | 'tools' | 'maxSteps' | 'stallMs'
>;

export interface AgentEdge {
  readonly env: Environment;
  /** Unix ms. */
  now(): number;
}

/**
 * One request to the model a step, until it asks for no more tools. Each finished step and each finished tool call is
 * stored: a run that starts over reads them back, shows their text and their calls again, and goes on with the next. One
 * that continues after a pause reads them back in silence: what was shown stands.
 */
export function runnerOf(options: LoopOptions, { env, now }: AgentEdge): AgentRunner {
  const { id, instructions, model, maxSteps = 20, stallMs = 60_000 } = options;
  const tools = new Map((options.tools ?? []).map((tool) => [tool.name, tool]));

  return async function* run(context: RunContext): AsyncGenerator<AgentOutput> {
    const source = modelOf(model, env);
    const stop = new AbortController();
    const signal = AbortSignal.any([context.signal, stop.signal]);
    const takenIds = new Set<string>();
    let said = '';
    try {
      const messages = promptOf(await context.history(), context.input);
      for (let index = 0; index < maxSteps; index++) {
        const before = said;
        /** The run's text is one: what a step says stands apart from what was said before. */
        const add = (words: string): string => {
          const text = said === before && /\S$/.test(before) ? `\n\n${words}` : words;
          said += text;
          return text;
        };
        const say = (emit: Emit, words: string): Promise<void> =>
          emit.send({ type: 'text.delta', text: add(words) });
        let isNew = false;
        const step = yield* together<Step>(signal, async (emit) => {
          const answer = await context.once(`step:${index}`, () => {
            isNew = true;
            const question = { source, instructions, messages, tools, stallMs, takenIds, context, signal };
            return askModel({ ...question, emit, now, say: (words) => say(emit, words) });
          });
          const text = textOfStep(answer);
          if (!isNew && text) {
            if (context.continues) add(text);
            else await say(emit, text);
          }
          return answer;
        });
        const calls = callsOf(step);
        if (calls.length === 0) {
          if (said && (isNew || !context.continues)) yield { type: 'text.completed', text: said };
          return;
        }
        for (const { callId } of calls) takenIds.add(callId);
        const outcomes = yield* together(signal, (emit) =>
          runCalls(calls, { tools, secrets: source.secrets, context, signal, emit }),
        );
        if (outcomes === null) return; // the engine pauses the run: a question is open
        messages.push(...messagesOf(step, outcomes));
      }
      throw new ModelError(
        `The agent "${id}" did not come to an end within ${maxSteps} steps. Raise its maxSteps, or ask for less at once.`,
      );
    } finally {
      stop.abort(); // whoever stops reading has stopped the run
    }
  };
}
