import type { Component, Content, RunContext } from '@continuo/protocol';

/** What is known when a step starts. */
export interface StepGiven {
  /** What the workflow was asked. */
  readonly message: Content;
  /** The content of the step before; the message, for the first. */
  readonly previous: Content;
  /** The content of each step that is finished, by its name; of a later round where it had several. */
  readonly results: Readonly<Record<string, string>>;
}

/** A step in code. Its `once` is its own. What it throws fails the workflow, and names the step. */
export type StepFunction = (input: Content, context: RunContext) => string | Promise<string>;

export interface StepOptions {
  /** What the step gets. Default: `previous`. */
  readonly input?: (given: StepGiven) => Content;
}

export interface LoopEnd {
  /** Whether it is good, given the content of its last step and the round, from 1. Its answer is stored. */
  readonly until: (content: string, round: number) => boolean | Promise<boolean>;
  /** Rounds after which it goes on with what it has. */
  readonly maxRounds: number;
}

/** Whether a condition holds. Its answer is stored: a run that starts over decides the same. */
export type When = (given: StepGiven) => boolean | Promise<boolean>;

/** A part of a workflow, by `step`, `parallel`, `condition` or `loop`. */
export type WorkflowStep =
  | {
      readonly type: 'step';
      readonly name: string;
      readonly run: Component | StepFunction;
      readonly input?: (given: StepGiven) => Content;
    }
  | { readonly type: 'parallel'; readonly name: string; readonly steps: readonly WorkflowStep[] }
  | {
      readonly type: 'condition';
      readonly name: string;
      readonly when: When;
      readonly steps: readonly WorkflowStep[];
      readonly otherwise: readonly WorkflowStep[];
    }
  | ({ readonly type: 'loop'; readonly name: string; readonly steps: readonly WorkflowStep[] } & LoopEnd);

/** One piece of work: an agent, a team, a workflow or a function. */
export function step(name: string, run: Component | StepFunction, options: StepOptions = {}): WorkflowStep {
  checkName('step', name);
  if (typeof run !== 'function' && typeof Object(run).run !== 'function') {
    throw new Error(`step: "${name}" needs a component or a function, not ${JSON.stringify(run)}`);
  }
  const { input } = options;
  return { type: 'step', name, run, ...(input !== undefined && { input }) };
}

/** Steps side by side, which all get the same. Its content is theirs, each under its name. */
export function parallel(name: string, steps: readonly WorkflowStep[]): WorkflowStep {
  checkName('parallel', name);
  checkSteps('parallel', name, steps);
  return { type: 'parallel', name, steps };
}

/** `steps`, one after the other, where `when` holds, else `otherwise`. Where none are done, what was before goes on. */
export function condition(
  name: string,
  when: When,
  steps: readonly WorkflowStep[],
  otherwise: readonly WorkflowStep[] = [],
): WorkflowStep {
  checkName('condition', name);
  checkSteps('condition', name, steps);
  return { type: 'condition', name, when, steps, otherwise };
}

/** `steps`, one after the other, again and again. A round gets what the one before gave. */
export function loop(name: string, steps: readonly WorkflowStep[], end: LoopEnd): WorkflowStep {
  const { until, maxRounds } = end;
  checkName('loop', name);
  checkSteps('loop', name, steps);
  if (!Number.isInteger(maxRounds) || maxRounds < 1) {
    throw new Error(`loop: maxRounds of "${name}" must be 1 or more, not ${maxRounds}`);
  }
  return { type: 'loop', name, steps, until, maxRounds };
}

/** A step and all within it. */
export function allWithin(steps: readonly WorkflowStep[]): readonly WorkflowStep[] {
  return steps.flatMap((each) => {
    if (each.type === 'step') return [each];
    const inner = each.type === 'condition' ? [...each.steps, ...each.otherwise] : each.steps;
    return [each, ...allWithin(inner)];
  });
}

function checkName(maker: string, name: string): void {
  if (name.length < 1 || name.length > 100) {
    throw new Error(`${maker}: the name "${name}" must be 1 to 100 characters`);
  }
}

function checkSteps(maker: string, name: string, steps: readonly WorkflowStep[]): void {
  if (steps.length === 0) throw new Error(`${maker}: steps of "${name}" must not be empty`);
}
