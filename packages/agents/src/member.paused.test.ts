import type { AgentOutput, Component } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { agentOf, asking, failing, linesOf } from '../test/members.ts';
import { call, finish, scripted, text } from '../test/model.ts';
import { ModelError } from './model-error.ts';
import { createTeam } from './team.ts';
import { defineWorkflow } from './workflow.ts';
import { parallel, step, type WorkflowStep } from './workflow-step.ts';

const NO = new ModelError('No.');
const besideAsker = (...others: readonly WorkflowStep[]): Component =>
  defineWorkflow({
    id: 'w',
    name: 'W',
    steps: [parallel('both', [...others, step('asks', asking('b'))])],
  });

describe('a failure beside a question', () => {
  it('R-16 of a member counts when the question is answered and its asker has finished', async () => {
    const a = failing('a', NO);
    const world = createRunWorld();
    const workflow = besideAsker(step('fails', a));
    const first = world.start(workflow);
    await first.done;
    expect(linesOf(first.events)).toContain('.fails@fails run.ended failed "half" No.');
    expect(linesOf(first.events).at(-1)).toBe('.asks@asks approval.requested');
    world.answer('c', true);
    const second = world.resume(workflow);
    await expect(second.done).rejects.toThrow('The step "fails" failed: No.');
    expect(linesOf(second.events)).toEqual([
      '.asks@asks text.delta "Done."',
      '.asks@asks run.ended completed "May I? Done."',
      'step.completed 2 asks "May I? Done."',
    ]);
    expect(a.runs()).toBe(1);
  });

  it('R-16 of a step in code counts then too, and it is not run again', async () => {
    let count = 0;
    const world = createRunWorld();
    const workflow = besideAsker(
      step('fails', () => {
        count++;
        throw new Error('a secret path');
      }),
    );
    await world.start(workflow).done;
    world.answer('c', true);
    const second = world.resume(workflow);
    await expect(second.done).rejects.toThrow('The step "fails" failed. The server has noted why.');
    expect(linesOf(second.events)).toContain('step.completed 2 asks "May I? Done."');
    expect(count).toBe(1);
    expect(world.reports).toHaveLength(1);
  });

  it('of a step in code is none where the run may be another server’s', async () => {
    const world = createRunWorld();
    const context = world.context();
    const lost = new Error('Another server may have this run by now.');
    const workflow = defineWorkflow({
      id: 'w',
      name: 'W',
      steps: [step('s', (_input, { once }) => once('k', async () => 'x'))],
    });
    const once: typeof context.once = (key, work) =>
      key.startsWith('result:') || key.startsWith('slot:') ? context.once(key, work) : Promise.reject(lost);
    await expect(
      workflow
        .run({ ...context, once })
        [Symbol.asyncIterator]()
        .next(),
    ).resolves.toBeDefined();
    const read = async (): Promise<void> => {
      for await (const _ of workflow.run({ ...context, once }));
    };
    await expect(read()).rejects.toThrow('"s" failed');
    expect([...world.stored.keys()]).not.toContain('result:s');
  });

  it('R-16 within a member of a team: its leader is told after the answer, not before', async () => {
    const model = scripted(
      [call('c1', 'delegate', { member: 'w', message: 'go' }), finish('tool-calls')],
      [...text('Sorry.'), finish()],
    );
    const members = [besideAsker(step('fails', failing('a', NO)))];
    const team = createTeam(
      { id: 't', name: 'T', mode: 'coordinate', members, model },
      { env: {}, now: () => 0 },
    );
    const world = createRunWorld();
    await world.start(team).done;
    expect(model.doStreamCalls).toHaveLength(1);
    world.answer('c', true);
    const second = world.resume(team);
    await second.done;
    const lines = linesOf(second.events);
    expect(lines).toContain('.c1.asks@asks run.ended completed "May I? Done."');
    expect(lines.slice(-4)).toEqual([
      '.c1 run.ended failed "" The step "fails" failed: No.',
      'tool.failed c1 The step "fails" failed: No.',
      'text.delta "Sorry."',
      'text.completed "Sorry."',
    ]);
  });
});

describe('a member that asks and then fails', () => {
  const rash = (say: string, error: Error | null): ReturnType<typeof agentOf> =>
    agentOf('r', async function* ({ approvals }): AsyncGenerator<AgentOutput> {
      yield { type: 'text.delta', text: say };
      if (approvals.length === 0) yield { type: 'approval.requested', callId: 'c', name: 'do_it', args: {} };
      if (error) throw error;
    });

  it.each([
    ['an error', rash('x', NO), 'The step "s" failed: No.'],
    ['more words than an entry holds', rash('x'.repeat(1_100_000), null), 'is longer than'],
  ])('R-16 with %s fails when it was answered', async (_what, member, sentence) => {
    const world = createRunWorld();
    const workflow = defineWorkflow({ id: 'w', name: 'W', steps: [step('s', member)] });
    const first = world.start(workflow);
    await first.done;
    expect(first.events.map(({ type }) => type)).toEqual([
      'step.started',
      'run.started',
      'text.delta',
      'approval.requested',
    ]);
    expect(world.reports).toHaveLength(1);
    world.answer('c', true);
    const second = world.resume(workflow);
    await expect(second.done).rejects.toThrow(sentence);
    expect(second.events.at(-1)).toMatchObject({ type: 'run.ended', status: 'failed' });
  });
});
