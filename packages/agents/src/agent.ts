import type { Component, RunLimits } from '@continuo/protocol';
import { type AgentEdge, runnerOf } from './loop.ts';
import { rememberTool } from './memory.ts';
import { type ModelObject, modelNameOf } from './model.ts';
import type { Tool } from './tool.ts';

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
  /**
   * Answers of the model within one run, above which the run fails. A message that is sent to the run in the last of them
   * gets one more. Default 20.
   */
  readonly maxSteps?: number;
  /** An endpoint that sends nothing for this long has failed, in ms. Default 60,000. */
  readonly stallMs?: number;
  /**
   * What a run of its own may take, where it differs from the gateway's own. Within a team or a workflow the limits of the
   * whole run count, not these.
   */
  readonly limits?: Partial<RunLimits>;
  /** Whether the model is told what is remembered of the person, and has a tool `remember`. Default false. */
  readonly memory?: boolean;
}

/** An agent that a model drives. Throws a sentence that names the option that is wrong. */
export function defineAgent(options: AgentOptions): Component {
  return createAgent(options, { env: process.env, now: Date.now });
}

/** `defineAgent`, given its environment and its clock. */
export function createAgent(options: AgentOptions, edge: AgentEdge): Component {
  checkOptions(options);
  const { id, name, description, model, tools = [], deltaJoinMs, onInterrupt, limits, memory } = options;
  const run = runnerOf({ ...options, ...(memory && { tools: [...tools, rememberTool()] }) }, edge);
  return {
    kind: 'agent',
    id,
    name,
    steerable: true,
    get model() {
      return modelNameOf(model, edge.env);
    },
    ...(description !== undefined && { description }),
    ...(deltaJoinMs !== undefined && { deltaJoinMs }),
    ...(onInterrupt !== undefined && { onInterrupt }),
    ...(limits !== undefined && { limits }),
    run,
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
    limits = {},
    memory = false,
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
  for (const [limit, value] of Object.entries(limits)) {
    if (!(value >= 0)) refuse(`limits.${limit} must be 0 or more, not ${value}`);
  }
  const names = [...tools.map((tool) => tool.name), ...(memory ? ['remember'] : [])];
  const twice = names.find((each, index) => names.indexOf(each) !== index);
  if (twice !== undefined) refuse(`the tool "${twice}" is there twice`);
}
