import type { AgentRunner, Component } from '@continuo/protocol';
import { checkDefinition, componentOf, type DefinitionOptions } from './definition.ts';
import { textOf } from './prompt.ts';
import { unlessPaused } from './settle.ts';
import { together } from './together.ts';
import { createWorkflowRun } from './workflow-run.ts';
import { allWithin, type WorkflowStep } from './workflow-step.ts';

export interface WorkflowOptions extends DefinitionOptions {
  /** One after the other. Each gets the content of the one before; the first the message. No name is there twice. */
  readonly steps: readonly WorkflowStep[];
}

/** Steps in a fixed order; its answer is the content of the last. Throws a sentence that names the option that is wrong. */
export function defineWorkflow(options: WorkflowOptions): Component {
  const { steps } = options;
  const refuse = checkDefinition('defineWorkflow', options);
  if (steps.length === 0) refuse('steps must not be empty');
  const names = allWithin(steps).map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) refuse(`the step "${twice}" is there twice`);
  return { ...componentOf('workflow', options), run: runnerOf(steps) };
}

function runnerOf(steps: readonly WorkflowStep[]): AgentRunner {
  return async function* run(context) {
    const stop = new AbortController();
    const signal = AbortSignal.any([context.signal, stop.signal]);
    try {
      const content = yield* together(signal, (emit) =>
        unlessPaused(createWorkflowRun({ ...context, signal }, emit).through(steps)),
      );
      if (content === null) return; // the engine pauses the run: a question is open
      const text = textOf(content);
      if (text) yield { type: 'text.completed', text };
    } finally {
      stop.abort(); // whoever stops reading has stopped the run
    }
  };
}
