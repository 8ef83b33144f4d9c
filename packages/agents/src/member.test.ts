import { WireError } from '@continuo/protocol';
import { expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { agentOf, failing, linesOf } from '../test/members.ts';
import { memberIdOf, partsOf } from './member.ts';
import { defineWorkflow } from './workflow.ts';
import { step } from './workflow-step.ts';

const alone = (member: ReturnType<typeof agentOf>): ReturnType<typeof defineWorkflow> =>
  defineWorkflow({ id: 'w', name: 'W', steps: [step('s', member)] });

it('a member is given its own run, the run’s limits, and nothing of the conversation', async () => {
  const history = [{ role: 'user', content: 'before', messageId: 'm0', at: 1 }] as const;
  const world = createRunWorld({ history });
  world.steers.push({ messageId: 'm2', content: 'stop' });
  let seen: object = {};
  const a = agentOf('a', async function* (context) {
    const { runId, input, depth, user, attempt, continues, limits } = context;
    const told = { history: await context.history(), steered: await context.steered('s') };
    await context.memories.add('likes tea', 'c1');
    seen = { runId, input, depth, user, attempt, continues, ...told, limits: limits.depth };
    yield { type: 'text.delta', text: 'x' };
  });
  await world.start(alone(a), 'hi').done;
  expect(seen).toEqual({
    runId: 'run_1.s',
    input: 'hi',
    depth: 1,
    user: 'ann',
    attempt: 1,
    continues: false,
    history: [],
    steered: [],
    limits: 3,
  });
  expect(world.memories).toMatchObject([{ memoryId: 'run_1.s.c1', text: 'likes tea' }]);
  expect(world.steers).toHaveLength(1);
});

it('L-9 what a member does once is its own', async () => {
  const world = createRunWorld();
  const both = ['a', 'b'].map((id) =>
    agentOf(id, async function* ({ once }) {
      yield { type: 'text.delta', text: await once('k', async () => id) };
    }),
  );
  const steps = both.map((member) => step(member.id, member));
  const run = world.start(defineWorkflow({ id: 'w', name: 'W', steps }));
  await run.done;
  expect(linesOf(run.events)).toContain('.b@b run.ended completed "b"');
  expect(world.stored.has('run_1.b:k')).toBe(true);
});

it('a member’s text is what it called complete, else its deltas', async () => {
  const a = agentOf('a', async function* () {
    yield { type: 'text.delta', text: 'draft' };
    yield { type: 'text.completed', text: 'whole' };
    yield { type: 'text.delta', text: '.' };
  });
  const run = createRunWorld().start(alone(a));
  await run.done;
  expect(linesOf(run.events).at(-1)).toBe('text.completed "whole."');
});

it('L-17 a member that says more than an entry holds fails', async () => {
  const a = agentOf('a', async function* () {
    for (let count = 0; count < 11; count++) yield { type: 'text.delta', text: 'x'.repeat(100_000) };
  });
  await expect(createRunWorld().start(alone(a)).done).rejects.toThrow(
    'The step "s" failed: The answer of the agent "a" is longer than',
  );
});

it('the end of a member that failed has the code of its error', async () => {
  const error = new WireError('too_large', 'Too much.', { details: { code: 'too_much' } });
  const run = createRunWorld().start(alone(failing('a', error)));
  await expect(run.done).rejects.toThrow('Too much.');
  expect(run.events.at(-1)).toMatchObject({ type: 'run.ended', status: 'failed', code: 'too_much' });
});

it('R-20 the name of a member’s event is the member’s: its model too', async () => {
  const a = { ...agentOf('a', async function* () {}), model: 'm-1' };
  const run = createRunWorld().start(defineWorkflow({ id: 'w', name: 'W', steps: [step('s', a)] }));
  await run.done;
  expect(run.events[1]).toMatchObject({ type: 'run.started', model: 'm-1', by: { component: { id: 'a' } } });
});

it('ids of members are unlike each other, whatever they are made of', () => {
  const long = 'x'.repeat(100);
  const parts = [['a.b'], ['a', 'b'], ['a~2e~b'], ['a~b'], ['a b'], ['é'], [`${long}1`], [`${long}2`]];
  const ids = parts.map((each) => memberIdOf('run_1', ...each));
  expect(new Set(ids).size).toBe(parts.length);
  for (const id of ids) expect(id).toMatch(/^run_1(\.[\w~-]{1,80})+$/);
  expect(partsOf(['drafts', '2', 'write'])).toBe('drafts.2.write');
});
