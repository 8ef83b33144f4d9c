import type { Component, RunLimits } from '@continuo/protocol';

/** What a team and a workflow are defined with, as an agent is. */
export interface DefinitionOptions {
  /** 1 to 100 letters, digits and `. _ -`. */
  readonly id: string;
  readonly name: string;
  readonly description?: string;
  /** What happens to a run whose server died: it ends `interrupted` (default), or goes on with what is not finished. */
  readonly onInterrupt?: 'end' | 'restart';
  /** Text deltas that come within this many milliseconds are stored as one. Default 30; 0 joins none. */
  readonly deltaJoinMs?: number;
  /** What one run may take, members included, where it differs from the gateway's own. */
  readonly limits?: Partial<RunLimits>;
}

const LIMITS = ['timeMs', 'toolCalls', 'tokens', 'depth'] as const satisfies readonly (keyof RunLimits)[];

/** Throws with the name of the function that defines, and of what. */
export type Refuse = (what: string) => never;

/** Checks what all of these share; gives what refuses the rest in the same words. */
export function checkDefinition(maker: 'defineTeam' | 'defineWorkflow', options: DefinitionOptions): Refuse {
  const { id, name, onInterrupt = 'end', deltaJoinMs = 0, limits = {} } = options;
  if (!/^[\w.-]{1,100}$/.test(id)) {
    throw new Error(`${maker}: the id "${id}" must be 1 to 100 letters, digits and . _ -`);
  }
  const refuse: Refuse = (what) => {
    throw new Error(`${maker}: ${what} ("${id}")`);
  };
  if (!name) refuse('name must not be empty');
  if (!(deltaJoinMs >= 0)) refuse(`deltaJoinMs must be 0 or more, not ${deltaJoinMs}`);
  if (onInterrupt !== 'end' && onInterrupt !== 'restart') {
    refuse(`onInterrupt must be 'end' or 'restart', not '${String(onInterrupt)}'`);
  }
  for (const limit of LIMITS) {
    const value = limits[limit];
    if (value !== undefined && !(value > 0)) refuse(`limits.${limit} must be above 0, not ${value}`);
  }
  return refuse;
}

/** The part of a component that is as it was given. */
export function componentOf(
  kind: 'team' | 'workflow',
  { id, name, description, onInterrupt, deltaJoinMs, limits }: DefinitionOptions,
): Omit<Component, 'run'> {
  return {
    kind,
    id,
    name,
    ...(description !== undefined && { description }),
    ...(onInterrupt !== undefined && { onInterrupt }),
    ...(deltaJoinMs !== undefined && { deltaJoinMs }),
    ...(limits !== undefined && { limits }),
  };
}
