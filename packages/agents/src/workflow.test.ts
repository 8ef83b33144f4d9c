import type { Component } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { echoing, failing, linesOf, waiting } from '../test/members.ts';
import { NEVER } from '../test/model.ts';
import { ModelError } from './model-error.ts';
import { createTeam } from './team.ts';
import { defineWorkflow, type WorkflowOptions } from './workflow.ts';
import { condition, loop, parallel, step, type WorkflowStep } from './workflow-step.ts';

const workflowOf = (steps: readonly WorkflowStep[], options: Partial<WorkflowOptions> = {}): Component =>
  defineWorkflow({ id: 'w', name: 'W', steps, ...options });

async function linesFrom(component: Component, input: string): Promise<readonly string[]> {
  const run = createRunWorld().start(component, input);
  await run.done;
  return linesOf(run.events);
}

describe('a workflow', () => {
  it('R-20 gives each step the content of the one before; its members’ events bear the step', async () => {
    const steps = [
      step('shout', (input) => String(input).toUpperCase()),
      step('repeat', echoing('a')),
      step('end', echoing('b'), {
        input: ({ message, previous, results }) => `${message}, ${previous}, ${results.shout}`,
      }),
    ];
    const run = createRunWorld().start(workflowOf(steps), 'hi');
    await run.done;
    expect(linesOf(run.events)).toEqual([
      'step.started 0 shout',
      'step.completed 0 shout "HI"',
      'step.started 1 repeat',
      '.repeat@repeat run.started',
      '.repeat@repeat text.delta "a: "',
      '.repeat@repeat text.delta "HI"',
      '.repeat@repeat run.ended completed "a: HI"',
      'step.completed 1 repeat "a: HI"',
      'step.started 2 end',
      '.end@end run.started',
      '.end@end text.delta "b: "',
      '.end@end text.delta "hi, a: HI, HI"',
      '.end@end run.ended completed "b: hi, a: HI, HI"',
      'step.completed 2 end "b: hi, a: HI, HI"',
      'text.completed "b: hi, a: HI, HI"',
    ]);
    expect(run.events[3]?.by).toEqual({
      runId: 'run_1.repeat',
      component: { kind: 'agent', id: 'a', name: 'A' },
      parentRunId: 'run_1',
      step: 'repeat',
    });
  });

  it('R-20 within a workflow keeps the lineage of all that is in it', async () => {
    const inner = defineWorkflow({
      id: 'inner',
      name: 'Inner',
      steps: [
        step(
          'ask all',
          createTeam(
            { id: 't', name: 'T', mode: 'broadcast', members: [echoing('a')] },
            { env: {}, now: () => 0 },
          ),
        ),
      ],
    });
    const run = createRunWorld().start(workflowOf([step('outer', inner)]), 'hi');
    await run.done;
    const whose = run.events.map(({ type, by }) => [type, by?.runId, by?.parentRunId, by?.step]);
    expect(whose).toContainEqual(['run.started', 'run_1.outer', 'run_1', 'outer']);
    expect(whose).toContainEqual(['step.started', 'run_1.outer', 'run_1', undefined]);
    expect(whose).toContainEqual(['run.started', 'run_1.outer.ask~20~all', 'run_1.outer', 'ask all']);
    const deepest = run.events.find((event) => event.type === 'text.delta');
    expect(deepest?.by).toEqual({
      runId: 'run_1.outer.ask~20~all.a',
      component: { kind: 'agent', id: 'a', name: 'A' },
      parentRunId: 'run_1.outer.ask~20~all',
      step: 'ask all',
      workflowRunId: 'run_1.outer',
    });
  });

  it('has steps side by side, which all get the same, and puts their contents together', async () => {
    const gate = Promise.withResolvers<void>();
    const steps = [
      parallel('both', [
        step(
          'slow',
          waiting('a', () => gate.promise),
        ),
        step('quick', (input) => `quick ${String(input)}`),
      ]),
    ];
    const world = createRunWorld();
    const run = world.start(workflowOf(steps), 'hi');
    await world.clock.settle();
    gate.resolve();
    await run.done;
    expect(linesOf(run.events)).toEqual([
      'step.started 0 both',
      'step.started 1 slow',
      '.slow@slow run.started',
      'step.started 2 quick',
      '.slow@slow text.delta "one "',
      'step.completed 2 quick "quick hi"',
      '.slow@slow text.delta "two"',
      '.slow@slow run.ended completed "one two"',
      'step.completed 1 slow "one two"',
      String.raw`step.completed 0 both "slow:\none two\n\nquick:\nquick hi"`,
      String.raw`text.completed "slow:\none two\n\nquick:\nquick hi"`,
    ]);
  });

  it.each([
    ['long', ['step.started 0 length', 'step.started 1 cut', 'step.completed 1 cut "lon"']],
    ['no', ['step.started 0 length', 'step.started 1 grow', 'step.completed 1 grow "no!"']],
  ])('goes one way or the other at a condition: %s', async (input, lines) => {
    const steps = [
      condition(
        'length',
        ({ message }) => String(message).length > 3,
        [step('cut', (text) => String(text).slice(0, 3))],
        [step('grow', (text) => `${String(text)}!`)],
      ),
    ];
    expect((await linesFrom(workflowOf(steps), input)).slice(0, 3)).toEqual(lines);
  });

  it('passes by a condition that does not hold', async () => {
    const steps = [condition('never', () => false, [step('a', () => 'a')])];
    expect(await linesFrom(workflowOf(steps), 'hi')).toEqual([
      'step.started 0 never',
      'step.completed 0 never "hi"',
      'text.completed "hi"',
    ]);
  });

  it('goes round until it is good; each start of a step has an index of its own', async () => {
    const steps = [
      loop('drafts', [step('write', (input) => `${String(input)}x`)], {
        until: (content, round) => round === 2 && content === 'xx',
        maxRounds: 5,
      }),
      step('end', echoing('a')),
    ];
    expect(await linesFrom(workflowOf(steps), '')).toEqual([
      'step.started 0 drafts',
      'step.started 1 write',
      'step.completed 1 write "x"',
      'step.started 2 write',
      'step.completed 2 write "xx"',
      'step.completed 0 drafts "xx"',
      'step.started 3 end',
      '.end@end run.started',
      '.end@end text.delta "a: "',
      '.end@end text.delta "xx"',
      '.end@end run.ended completed "a: xx"',
      'step.completed 3 end "a: xx"',
      'text.completed "a: xx"',
    ]);
  });

  it('goes round no more often than it may, each time with a run of its own', async () => {
    const a = echoing('a');
    const steps = [loop('l', [step('s', a)], { until: () => false, maxRounds: 3 })];
    const lines = await linesFrom(workflowOf(steps), 'hi');
    expect(lines.filter((line) => line.endsWith('run.started'))).toEqual([
      '.l.1.s@s run.started',
      '.l.2.s@s run.started',
      '.l.3.s@s run.started',
    ]);
    expect(lines.at(-1)).toBe('text.completed "a: a: a: hi"');
  });

  const failed = (error: Error): WorkflowStep => step('write', failing('a', error));
  const thrower = (error: Error): WorkflowStep =>
    step('write', () => {
      throw error;
    });
  it.each([
    ['a member', failed(new ModelError('No.')), 'The step "write" failed: No.'],
    [
      'a member, secretly',
      failed(new Error('x')),
      'The step "write" failed: The agent "a" failed. The server has noted why.',
    ],
    ['a function', thrower(new ModelError('No.')), 'The step "write" failed: No.'],
    ['a function, secretly', thrower(new Error('x')), 'The step "write" failed. The server has noted why.'],
    [
      'a condition',
      condition('write', () => {
        throw new Error('x');
      }, [step('s', () => '')]),
      'The step "write" failed. The server has noted why.',
    ],
    [
      'a step within a loop',
      loop('l', [failed(new ModelError('No.'))], { until: () => true, maxRounds: 1 }),
      'The step "write" failed: No.',
    ],
  ])('fails with a sentence that names the step: %s', async (_what, broken, message) => {
    const world = createRunWorld();
    const after = echoing('z');
    const run = world.start(workflowOf([broken, step('after', after)]));
    await expect(run.done).rejects.toMatchObject({ message, tellsUser: true });
    expect(world.reports).toHaveLength(1);
    expect(after.runs()).toBe(0);
  });

  it('R-19 within workflows ends at the depth limit, and says so', async () => {
    const inner = (deep: number): Component =>
      workflowOf([step(`s${deep}`, deep === 0 ? echoing('a') : inner(deep - 1))]);
    const run = createRunWorld().start(inner(3)); // the limit is 3
    await expect(run.done).rejects.toMatchObject({
      message: expect.stringContaining('may be 3 deep'),
      details: { code: 'depth_limit' },
    });
    const ends = run.events.filter((event) => event.type === 'run.ended');
    expect(ends.map(({ code }) => code)).toEqual(['depth_limit', 'depth_limit', 'depth_limit']);
  });

  it('that fails within steps side by side waits for the others', async () => {
    const gate = Promise.withResolvers<void>();
    const world = createRunWorld();
    const run = world.start(
      workflowOf([
        parallel('p', [
          step('bad', failing('a', new ModelError('No.'))),
          step(
            'good',
            waiting('b', () => gate.promise),
          ),
        ]),
      ]),
    );
    await world.clock.settle();
    gate.resolve();
    await expect(run.done).rejects.toMatchObject({ message: 'The step "bad" failed: No.' });
    expect(linesOf(run.events)).toContain('.good@good run.ended completed "one two"');
  });
});

describe('a step in code', () => {
  it('L-9 has a `once` of its own', async () => {
    let count = 0;
    const counts = step('a', (_input, { once }) => once('k', async () => `a${++count}`));
    const other = step('b', (_input, { once }) => once('k', async () => `b${++count}`));
    const lines = await linesFrom(workflowOf([counts, other]), 'hi');
    expect(lines.at(-1)).toBe('text.completed "b2"');
  });

  it('is cut off by an abort', async () => {
    const world = createRunWorld();
    const run = world.start(workflowOf([step('a', () => NEVER.then(() => ''))]));
    await world.clock.settle();
    world.stop();
    await expect(run.done).rejects.toThrow('stopped');
  });
});

describe('what is defined', () => {
  const one = step('a', () => '');
  it.each<[() => unknown, string]>([
    [() => workflowOf([]), 'defineWorkflow: steps must not be empty ("w")'],
    [() => workflowOf([one], { id: '' }), 'defineWorkflow: the id "" must be'],
    [() => workflowOf([one, parallel('p', [one])]), 'the step "a" is there twice'],
    [() => step('', () => ''), 'step: the name "" must be 1 to 100 characters'],
    [() => parallel('p', []), 'parallel: steps of "p" must not be empty'],
    [() => loop('l', [one], { until: () => true, maxRounds: 0 }), 'loop: maxRounds of "l" must be 1 or more'],
    [() => workflowOf([one], { limits: { tokens: -1 } }), 'limits.tokens must be above 0, not -1'],
  ])('is refused with the option that is wrong', (define, sentence) => {
    expect(define).toThrow(sentence);
  });
});
