import type { Content, RunContext } from '@continuo/protocol';
import { isLimit, MemberError, tellsUser } from './failure.ts';
import { memberIdOf, partsOf, runMember } from './member.ts';
import { Paused } from './paused.ts';
import { textOf } from './prompt.ts';
import { settleAll } from './settle.ts';
import { createSlots } from './slots.ts';
import { errorOf } from './thrown.ts';
import type { Emit } from './together.ts';
import type { StepFunction, StepGiven, WorkflowStep } from './workflow-step.ts';

/** How a step ended. */
interface Done {
  readonly content: Content;
  /** It ended before the pause after which the run goes on: nothing was emitted. */
  readonly silent: boolean;
}

/** A step in code that failed is not run again either: beside a question its failure counts after the answer. */
interface FailedCall {
  /** For a person. */
  readonly failed: string;
}

/** Where a step stands. */
interface At {
  /** The rounds of loops it is in: with its name they tell one start of a step from any other. */
  readonly scope: readonly string[];
  readonly previous: Content;
}

type StepOf<Type extends WorkflowStep['type']> = Extract<WorkflowStep, { type: Type }>;

/** One run of a workflow. */
export interface WorkflowRun {
  /** The content of the last step. Rejects with `Paused` when one waits for a person and no other can go on. */
  through(steps: readonly WorkflowStep[]): Promise<Content>;
}

/**
 * Goes through steps and emits their events. A finished step is stored: when the run starts over it is shown in brief,
 * and when it goes on after a pause in no way.
 */
export function createWorkflowRun(context: RunContext, emit: Emit): WorkflowRun {
  const { input: message } = context;
  const results: Record<string, string> = {};
  const slots = createSlots(context);

  const givenAt = ({ previous }: At): StepGiven => ({ message, previous, results: { ...results } });

  async function inTurn(steps: readonly WorkflowStep[], at: At): Promise<Done> {
    let done: Done = { content: at.previous, silent: true };
    for (const each of steps) {
      const { content, silent } = await start(each, { ...at, previous: done.content });
      done = { content, silent: silent && done.silent };
    }
    return done;
  }

  async function start(step: WorkflowStep, at: At): Promise<Done> {
    const { name } = step;
    const path = pathOf(step, at);
    const { index, isNew } = await slots.claim(path, (slot) =>
      emit.send({ type: 'step.started', step: name, index: slot }),
    );
    const done = await perform(step, at).catch((error: unknown) => {
      throw failedAt(name, error);
    });
    const silent = context.continues && !isNew && done.silent;
    const content = textOf(done.content);
    results[name] = content;
    if (!silent) await emit.send({ type: 'step.completed', step: name, index, content });
    return { content: done.content, silent };
  }

  function perform(step: WorkflowStep, at: At): Promise<Done> {
    switch (step.type) {
      case 'step':
        return work(step, at);
      case 'parallel':
        return sideBySide(step, at);
      case 'condition':
        return choose(step, at);
      case 'loop':
        return rounds(step, at);
      default:
        return step satisfies never;
    }
  }

  async function work(step: StepOf<'step'>, at: At): Promise<Done> {
    const { name, run } = step;
    const input = step.input ? step.input(givenAt(at)) : at.previous;
    if (typeof run === 'function') return call(run, { name, path: pathOf(step, at), input });
    const runId = memberIdOf(context.runId, ...at.scope, name);
    const ended = await runMember(context, { component: run, input, runId, step: name }, emit);
    if (ended.status === 'failed') throw new MemberError(sentenceOf(name, ended.reason));
    return ended;
  }

  async function call(
    run: StepFunction,
    { name, path, input }: { readonly name: string; readonly path: string; readonly input: Content },
  ): Promise<Done> {
    let isNew = false;
    const own: RunContext = {
      ...context,
      input,
      once: (key, work) => context.once(`step:${path}:${key}`, work),
    };
    const result = await context.once<string | FailedCall>(`result:${path}`, async () => {
      isNew = true;
      try {
        const given: unknown = await run(input, own);
        context.signal.throwIfAborted();
        if (typeof given !== 'string') throw new TypeError(`It must give text, not ${typeof given}.`);
        return given;
      } catch (thrown) {
        const error = failedAt(name, thrown);
        if (!(error instanceof MemberError)) throw error;
        // Rejects where another server may have the run: then it is no failure of the step.
        return await context.once(`failed:${path}`, async () => ({ failed: error.message }));
      }
    });
    if (typeof result !== 'string') throw new MemberError(result.failed);
    return { content: result, silent: !isNew };
  }

  async function sideBySide({ steps }: StepOf<'parallel'>, at: At): Promise<Done> {
    const all = await settleAll(steps.map((each) => start(each, at)));
    const sections = all.map(({ content }, index) => `${steps[index]?.name ?? ''}:\n${textOf(content)}`);
    return { content: sections.join('\n\n'), silent: all.every(({ silent }) => silent) };
  }

  async function choose(step: StepOf<'condition'>, at: At): Promise<Done> {
    const { when, steps, otherwise } = step;
    const holds = await context.once(`when:${pathOf(step, at)}`, async () => when(givenAt(at)));
    return inTurn(holds ? steps : otherwise, at);
  }

  async function rounds(step: StepOf<'loop'>, at: At): Promise<Done> {
    const { name, steps, until, maxRounds } = step;
    const path = pathOf(step, at);
    let done: Done = { content: at.previous, silent: true };
    for (let round = 1; round <= maxRounds; round++) {
      const scope = [...at.scope, name, String(round)];
      const { content, silent } = await inTurn(steps, { scope, previous: done.content });
      done = { content, silent: silent && done.silent };
      const isGood = await context.once(`until:${path}:${round}`, async () => until(textOf(content), round));
      if (isGood) break;
    }
    return done;
  }

  /** What a person is told of a step that failed. */
  function failedAt(name: string, thrown: unknown): Error {
    const error = errorOf(thrown);
    const passes =
      context.signal.aborted || isLimit(error) || error instanceof Paused || error instanceof MemberError; // it names a step
    if (passes) return error;
    context.report(new Error(`The step "${name}" in run ${context.runId} failed.`, { cause: error }));
    return new MemberError(
      tellsUser(error)
        ? sentenceOf(name, error.message)
        : `The step "${name}" failed. The server has noted why.`,
    );
  }

  return {
    through: async (steps) => (await inTurn(steps, { scope: [], previous: message })).content,
  };
}

function sentenceOf(name: string, reason: string): string {
  return `The step "${name}" failed: ${reason}`;
}

function pathOf({ name }: WorkflowStep, { scope }: At): string {
  return partsOf([...scope, name]);
}
