import type { AgentOutput, AgentRunner, RunContext, SteerMessage } from '@continuo/protocol';
import type { AgentOptions } from './agent.ts';
import { askModel } from './ask.ts';
import { withMemories } from './memory.ts';
import { type Environment, modelOf } from './model.ts';
import { ModelError } from './model-error.ts';
import { messagesOf, promptOf, steeringOf } from './prompt.ts';
import { callsOf, type Step, textOfStep } from './step.ts';
import { type Emit, together } from './together.ts';
import { runCalls } from './tool-calls.ts';

export type LoopOptions = Pick<
  AgentOptions,
  'id' | 'instructions' | 'model' | 'tools' | 'maxSteps' | 'stallMs' | 'memory'
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
  const { id, model, memory = false, maxSteps = 20, stallMs = 60_000 } = options;
  const tools = new Map((options.tools ?? []).map((tool) => [tool.name, tool]));

  return async function* run(context: RunContext): AsyncGenerator<AgentOutput> {
    const source = modelOf(model, env);
    const stop = new AbortController();
    const signal = AbortSignal.any([context.signal, stop.signal]);
    const takenIds = new Set<string>();
    let said = '';
    try {
      const messages = promptOf(await context.history(), context.input);
      const instructions = memory
        ? withMemories(options.instructions, await context.memories.list())
        : options.instructions;
      let allowed = maxSteps;
      for (let index = 0; index < allowed; index++) {
        const before = said;
        /** The run's text is one: what a step says stands apart from what was said before. */
        const add = (words: string): string => {
          const text = said === before && /\S$/.test(before) ? `\n\n${words}` : words;
          said += text;
          return text;
        };
        let isNew = false;
        const step = yield* together<Step>(signal, async (emit) => {
          const say = (words: string): Promise<void> => emit.send({ type: 'text.delta', text: add(words) });
          const answer = await context.once<Step>(stepName(index), async () => {
            isNew = true;
            const steered = await context.steered(stepName(index));
            await showSteered(steered, emit);
            const heard = [...messages, ...steeringOf(steered)];
            const question = { source, instructions, messages: heard, tools, stallMs, takenIds };
            const given = await askModel({ ...question, context, signal, emit, now, say });
            return steered.length > 0 ? { ...given, steered } : given;
          });
          const text = textOfStep(answer);
          if (!isNew && context.continues) add(text);
          else {
            if (!isNew) await showSteered(answer.steered ?? [], emit);
            if (!isNew && text) await say(text);
            if (answer.usage) await emit.send({ type: 'usage', ...answer.usage });
          }
          return answer;
        });
        const calls = callsOf(step);
        for (const { callId } of calls) takenIds.add(callId);
        const outcomes = yield* together(signal, (emit) =>
          runCalls(calls, { tools, secrets: source.secrets, context, signal, emit }),
        );
        if (outcomes === null) return; // the engine pauses the run: a question is open
        messages.push(...messagesOf(step, outcomes));
        if (calls.length > 0 && index + 1 < allowed) continue;
        if ((await context.steered(stepName(index + 1), true)).length > 0) {
          allowed = Math.max(allowed, index + 2); // whoever sent it was told that it would be read
          continue;
        }
        if (calls.length > 0) break;
        if (said && (isNew || !context.continues)) yield { type: 'text.completed', text: said };
        return;
      }
      throw new ModelError(
        `The agent "${id}" did not come to an end within ${maxSteps} steps. Raise its maxSteps, or ask for less at once.`,
      );
    } finally {
      stop.abort(); // whoever stops reading has stopped the run
    }
  };
}

/** By which what was sent to the run is given to one step only. */
function stepName(index: number): string {
  return `step:${index}`;
}

async function showSteered(steered: readonly SteerMessage[], emit: Emit): Promise<void> {
  for (const { messageId: steerId, content } of steered)
    await emit.send({ type: 'steered', steerId, content });
}
