import type { AgentOutput, Component } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { agentOf, asking, echoing, linesOf, waiting } from '../test/members.ts';
import { NEVER } from '../test/model.ts';
import { createTeam } from './team.ts';
import { defineWorkflow, type WorkflowOptions } from './workflow.ts';
import { condition, parallel, step, type WorkflowStep } from './workflow-step.ts';

const workflowOf = (steps: readonly WorkflowStep[], options: Partial<WorkflowOptions> = {}): Component =>
  defineWorkflow({ id: 'w', name: 'W', steps, ...options });

describe('a workflow that starts over', () => {
  it('R-22 runs no finished step again, shows it in brief, and decides as before', async () => {
    let decided = 0;
    let counted = 0;
    const a = echoing('a');
    const b = waiting('b', () => (b.runs() === 1 ? NEVER : Promise.resolve()));
    const steps = [
      condition('once', () => ++decided === 1, [step('first', a)], [step('other', echoing('x'))]),
      step('count', () => `counted ${++counted}`),
      step('last', b),
    ];
    const world = createRunWorld();
    const workflow = workflowOf(steps, { onInterrupt: 'restart' });
    const first = world.start(workflow);
    await world.clock.settle();
    first.abandon();
    const second = world.start(workflow);
    await second.done;
    expect([a.runs(), b.runs(), counted, decided]).toEqual([1, 2, 1, 1]);
    expect(linesOf(second.events)).toEqual([
      'step.started 0 once',
      'step.started 1 first',
      '.first@first run.started',
      '.first@first text.completed "a: hi"',
      '.first@first run.ended completed "a: hi"',
      'step.completed 1 first "a: hi"',
      'step.completed 0 once "a: hi"',
      'step.started 2 count',
      'step.completed 2 count "counted 1"',
      'step.started 3 last',
      '.last@last run.started',
      '.last@last text.delta "one "',
      '.last@last text.delta "two"',
      '.last@last run.ended completed "one two"',
      'step.completed 3 last "one two"',
      'text.completed "one two"',
    ]);
  });

  it('R-22 in a team within a step goes on in the team where it was', async () => {
    const a = echoing('a');
    const b = waiting('b', () => (b.runs() === 1 ? NEVER : Promise.resolve()));
    const team = createTeam(
      { id: 't', name: 'T', mode: 'broadcast', members: [a, b] },
      { env: {}, now: () => 0 },
    );
    const world = createRunWorld();
    const workflow = workflowOf([step('s', team)], { onInterrupt: 'restart' });
    const first = world.start(workflow);
    await world.clock.settle();
    first.abandon();
    const second = world.start(workflow);
    await second.done;
    expect([a.runs(), b.runs()]).toEqual([1, 2]);
    expect(linesOf(second.events)).toContain('.s.a@s text.completed "a: hi"');
    expect(linesOf(second.events).at(-1)).toBe(String.raw`text.completed "A:\na: hi\n\nB:\none two"`);
  });
});

it('R-22 shows all from the beginning where a server died before anyone knew of its attempt', async () => {
  const world = createRunWorld();
  const workflow = workflowOf([step('before', () => 'x'), step('say', echoing('a'))]);
  const context = { ...world.context(), attempt: 2 };
  async function all(): Promise<readonly string[]> {
    const events: AgentOutput[] = [];
    for await (const event of workflow.run({ ...context })) events.push(event);
    return linesOf(events);
  }
  const first = await all();
  expect(first[0]).toBe('step.started 0 before');
  const brief = first.filter((line) => !line.includes('text.delta'));
  expect((await all()).filter((line) => !line.startsWith('.say@say text'))).toEqual(brief);
});

describe('a workflow that waits for a person', () => {
  it('R-16 goes on after it with the indexes it had, and shows nothing twice', async () => {
    const [a, b] = [echoing('a'), asking('b')];
    const steps = [
      step('before', () => 'x'),
      parallel('both', [
        step('asks', b),
        condition('chain', () => true, [step('one', a), step('two', () => '2')]),
      ]),
      step('after', echoing('z')),
    ];
    const world = createRunWorld();
    const workflow = workflowOf(steps);
    const first = world.start(workflow);
    await first.done;
    const shown = linesOf(first.events);
    expect(shown).toContain('step.completed 5 two "2"');
    expect(shown).toContain('step.completed 3 chain "2"');
    expect(shown).not.toContain('step.completed 2 asks');
    world.answer('c', true);
    const second = world.resume(workflow);
    await second.done;
    expect(linesOf(second.events)).toEqual([
      '.asks@asks text.delta "Done."',
      '.asks@asks run.ended completed "May I? Done."',
      'step.completed 2 asks "May I? Done."',
      String.raw`step.completed 1 both "asks:\nMay I? Done.\n\nchain:\n2"`,
      'step.started 6 after',
      '.after@after run.started',
      '.after@after text.delta "z: "',
      expect.stringContaining('.after@after text.delta'),
      expect.stringContaining('.after@after run.ended completed'),
      expect.stringContaining('step.completed 6 after'),
      expect.stringContaining('text.completed'),
    ]);
    expect([a.runs(), b.runs()]).toEqual([1, 2]);
  });

  it('R-16 a member sees the answers to its own questions, and those of its members', async () => {
    const seen: object[] = [];
    const nosy = agentOf('nosy', async function* ({ approvals, continues }) {
      seen.push({ approvals, continues });
      yield { type: 'text.delta', text: 'x' };
    });
    const world = createRunWorld();
    const inner = defineWorkflow({ id: 'i', name: 'I', steps: [step('asks', asking('b'))] });
    const workflow = workflowOf([
      step('in', inner),
      condition('never', () => false, [step('x', () => '')]),
      step('nosy', nosy),
    ]);
    await world.start(workflow).done;
    world.answer('c', true);
    const second = world.resume(workflow);
    await second.done;
    expect(seen).toEqual([{ approvals: [], continues: false }]); // it begins after the pause
    const lines = linesOf(second.events);
    expect(lines).toContain('.in@in run.ended completed "May I? Done."');
    expect(lines).toContain('step.completed 1 never "May I? Done."');
  });

  it('R-22 and then starts over shows all of it again', async () => {
    const world = createRunWorld();
    const workflow = workflowOf([step('before', () => 'x'), step('asks', asking('b'))]);
    await world.start(workflow).done;
    world.answer('c', true);
    const again = world.start(workflow);
    await again.done;
    expect(linesOf(again.events)).toEqual([
      'step.started 0 before',
      'step.completed 0 before "x"',
      'step.started 1 asks',
      '.asks@asks run.started',
      '.asks@asks text.delta "Done."',
      '.asks@asks run.ended completed "Done."',
      'step.completed 1 asks "Done."',
      'text.completed "Done."',
    ]);
  });
});
