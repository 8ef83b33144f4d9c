import type { AgentOutput, AgentRunner, Component, RunContext } from '@continuo/protocol';
import { askModel } from './ask.ts';
import { type Environment, type ModelObject, modelOf } from './model.ts';
import { ModelError } from './model-error.ts';
import { messagesOf, promptOf } from './prompt.ts';
import { callsOf, type Step, textOfStep } from './step.ts';
import { type Emit, together } from './together.ts';
import type { Tool } from './tool.ts';
import { runCalls } from './tool-calls.ts';

export interface AgentOptions {
  /** 1 to 100 letters, digits and `. _ -`. */
  readonly id: string;
  readonly name: string;
  readonly description?: string;
  /** What the model is told before every conversation. */
  readonly instructions: string;
  /**
   * A model of the AI SDK, or the id of one at the endpoint of `OPENAI_BASE_URL` and `OPENAI_API_KEY`. Default:
   * `CONTINUO_MODEL`. The environment is read when a run begins.
   */
  readonly model?: ModelObject | string;
  readonly tools?: readonly Tool[];
  /** Text deltas that come within this many milliseconds are stored as one. Default 30; 0 joins none. */
  readonly deltaJoinMs?: number;
  /** What happens to a run whose server died: it ends `interrupted` (default), or goes on after its last finished step. */
  readonly onInterrupt?: 'end' | 'restart';
  /** Answers of the model within one run, above which the run fails. Default 20. */
  readonly maxSteps?: number;
  /** An endpoint that sends nothing for this long has failed, in ms. Default 60,000. */
  readonly stallMs?: number;
}

export interface AgentEdge {
  readonly env: Environment;
  /** Unix ms. */
  now(): number;
}

/** An agent that a model drives. Throws a sentence that names the option that is wrong. */
export function defineAgent(options: AgentOptions): Component {
  return createAgent(options, { env: process.env, now: Date.now });
}

/** `defineAgent`, given its environment and its clock. */
export function createAgent(options: AgentOptions, edge: AgentEdge): Component {
  checkOptions(options);
  const { id, name, description, deltaJoinMs, onInterrupt } = options;
  return {
    kind: 'agent',
    id,
    name,
    ...(description !== undefined && { description }),
    ...(deltaJoinMs !== undefined && { deltaJoinMs }),
    ...(onInterrupt !== undefined && { onInterrupt }),
    run: runnerOf(options, edge),
  };
}

/**
 * One request to the model a step, until it asks for no more tools. Each finished step and each finished tool call is
 * stored: a run that starts over reads them back, shows their text and their calls again, and goes on with the next. One
 * that continues after a pause reads them back in silence: what was shown stands.
 */
function runnerOf(options: AgentOptions, { env, now }: AgentEdge): AgentRunner {
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

function checkOptions(options: AgentOptions): void {
  const {
    id,
    name,
    model,
    tools = [],
    deltaJoinMs = 0,
    maxSteps = 1,
    stallMs = 1,
    onInterrupt = 'end',
  } = options;
  if (!/^[\w.-]{1,100}$/.test(id)) {
    throw new Error(`defineAgent: the id "${id}" must be 1 to 100 letters, digits and . _ -`);
  }
  const refuse = (what: string): never => {
    throw new Error(`defineAgent: ${what} (agent "${id}")`);
  };
  if (!name) refuse('name must not be empty');
  if (model === '') refuse('model must not be empty; leave it out for the one of CONTINUO_MODEL');
  if (!(deltaJoinMs >= 0)) refuse(`deltaJoinMs must be 0 or more, not ${deltaJoinMs}`);
  if (!Number.isInteger(maxSteps) || maxSteps < 1) refuse(`maxSteps must be 1 or more, not ${maxSteps}`);
  if (!(stallMs > 0)) refuse(`stallMs must be above 0, not ${stallMs}`);
  if (onInterrupt !== 'end' && onInterrupt !== 'restart') {
    refuse(`onInterrupt must be 'end' or 'restart', not '${String(onInterrupt)}'`);
  }
  const names = tools.map((tool) => tool.name);
  const twice = names.find((each, index) => names.indexOf(each) !== index);
  if (twice !== undefined) refuse(`the tool "${twice}" is there twice`);
}
