import type { AgentRunner, Component } from '@continuo/protocol';
import { broadcastOf } from './broadcast.ts';
import { coordinatorOf } from './coordinator.ts';
import { checkDefinition, componentOf, type DefinitionOptions } from './definition.ts';
import type { AgentEdge } from './loop.ts';
import { type ModelObject, modelNameOf } from './model.ts';
import { routerOf } from './router.ts';

export interface TeamOptions extends DefinitionOptions {
  /**
   * `coordinate`: the leader hands work to members, and answers. `route`: the leader picks the one member that answers.
   * `broadcast`: all members get the message at once; the leader writes one answer from theirs, or, without `model`,
   * theirs are put together under their names.
   */
  readonly mode: 'coordinate' | 'route' | 'broadcast';
  /** Agents, teams and workflows, each with an id of its own. They see what they are given, not the conversation. */
  readonly members: readonly Component[];
  /** What the leader is told, beside who the members are. */
  readonly instructions?: string;
  /** The leader's, as of `defineAgent`. */
  readonly model?: ModelObject | string;
  /** Answers of the leader's model within one run, above which the run fails. Default 20. */
  readonly maxSteps?: number;
  /** An endpoint that sends nothing for this long has failed, in ms. Default 60,000. */
  readonly stallMs?: number;
}

/** Members that answer together. Throws a sentence that names the option that is wrong. */
export function defineTeam(options: TeamOptions): Component {
  return createTeam(options, { env: process.env, now: Date.now });
}

/** `defineTeam`, given its environment and its clock. */
export function createTeam(options: TeamOptions, edge: AgentEdge): Component {
  checkOptions(options);
  const { mode, members, model } = options;
  const isLed = mode !== 'broadcast' || model !== undefined;
  return {
    ...componentOf('team', options),
    get model() {
      return isLed ? modelNameOf(model, edge.env) : undefined;
    },
    mode,
    members: members.map(({ id, name }) => ({ id, name })),
    ...(mode === 'coordinate' && { steerable: true }),
    run: runnerOf(options, edge),
  };
}

function runnerOf(options: TeamOptions, edge: AgentEdge): AgentRunner {
  switch (options.mode) {
    case 'coordinate':
      return coordinatorOf(options, edge);
    case 'route':
      return routerOf(options, edge);
    case 'broadcast':
      return broadcastOf(options, edge);
    default:
      return options.mode satisfies never;
  }
}

const MODES: readonly string[] = ['coordinate', 'route', 'broadcast'];

function checkOptions(options: TeamOptions): void {
  const { mode, members, model, maxSteps = 1, stallMs = 1 } = options;
  const refuse = checkDefinition('defineTeam', options);
  if (!MODES.includes(mode)) refuse(`mode must be one of ${MODES.join(', ')}, not "${mode}"`);
  if (members.length === 0) refuse('members must not be empty');
  const ids = members.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) refuse(`the member "${twice}" is there twice`);
  if (model === '') refuse('model must not be empty; leave it out for the one of CONTINUO_MODEL');
  if (!Number.isInteger(maxSteps) || maxSteps < 1) refuse(`maxSteps must be 1 or more, not ${maxSteps}`);
  if (!(stallMs > 0)) refuse(`stallMs must be above 0, not ${stallMs}`);
}
