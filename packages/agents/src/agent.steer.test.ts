import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRunWorld } from '../test/context.ts';
import { call, finish, NEVER, scripted, text } from '../test/model.ts';
import { type AgentOptions, createAgent } from './agent.ts';
import { defineTool } from './tool.ts';

const agentOf = (options: Partial<AgentOptions>): ReturnType<typeof createAgent> =>
  createAgent({ id: 'a', name: 'A', instructions: '', ...options }, { env: {}, now: () => 0 });

const note = defineTool({ name: 'note', description: 'Notes.', input: z.object({}), run: () => 'noted' });
const CALL = [call('c1', 'note', {}), finish('tool-calls')];
const message = (messageId: string, content: string): { messageId: string; content: string } => ({
  messageId,
  content,
});
const steered = (steerId: string, content: string): object => ({ type: 'steered', steerId, content });

describe('a message to a running agent', () => {
  it('R-21 is read before the next step, shown, and told to the model', async () => {
    const world = createRunWorld();
    const nudge = defineTool({
      name: 'note',
      description: 'Notes.',
      input: z.object({}),
      run: () => world.steers.push(message('s1', 'shorter'), message('s2', 'in French')),
    });
    const model = scripted(CALL, [...text('Oui.'), finish()]);
    const run = world.start(agentOf({ model, tools: [nudge] }));
    await run.done;
    expect(run.events.slice(2)).toEqual([
      steered('s1', 'shorter'),
      steered('s2', 'in French'),
      { type: 'text.delta', text: 'Oui.' },
      { type: 'text.completed', text: 'Oui.' },
    ]);
    expect(model.doStreamCalls[1]?.prompt.slice(-3)).toMatchObject([
      { role: 'tool' },
      { role: 'user', content: [{ text: 'shorter' }] },
      { role: 'user', content: [{ text: 'in French' }] },
    ]);
  });

  it('R-21 that comes before the end makes another step; without one the run reads no more', async () => {
    const gate = Promise.withResolvers<void>();
    const model = scripted([...text('One.'), gate.promise, finish()], [...text('Two.'), finish()]);
    const world = createRunWorld();
    const run = world.start(agentOf({ model }));
    await world.clock.settle();
    world.steers.push(message('s1', 'and?'));
    gate.resolve();
    await run.done;
    expect(run.events).toEqual([
      { type: 'text.delta', text: 'One.' },
      steered('s1', 'and?'),
      { type: 'text.delta', text: '\n\nTwo.' },
      { type: 'text.completed', text: 'One.\n\nTwo.' },
    ]);
    expect(model.doStreamCalls[1]?.prompt.slice(-2)).toMatchObject([
      { role: 'assistant', content: [{ text: 'One.' }] },
      { role: 'user', content: [{ text: 'and?' }] },
    ]);
    expect(world.closedAt).toBe('step:2');
  });

  it('R-21 after an answer without a word is told without an empty message before it', async () => {
    const gate = Promise.withResolvers<void>();
    const model = scripted([gate.promise, finish()], [...text('Here.'), finish()]);
    const world = createRunWorld();
    const run = world.start(agentOf({ model }));
    await world.clock.settle();
    world.steers.push(message('s1', 'hello?'));
    gate.resolve();
    await run.done;
    expect(model.doStreamCalls[1]?.prompt.map(({ role }) => role)).toEqual(['user', 'user']);
  });

  it.each([
    ['an answer', [...text('One.'), finish()], 'One.\n\nTwo.'],
    ['calls', CALL, 'Two.'],
  ])('R-21 in the last step, which gives %s, is read by one more', async (_what, answer, said) => {
    const gate = Promise.withResolvers<void>();
    const model = scripted([gate.promise, ...answer], [...text('Two.'), finish()]);
    const world = createRunWorld();
    const run = world.start(agentOf({ model, tools: [note], maxSteps: 1 }));
    await world.clock.settle();
    world.steers.push(message('s1', 'more'));
    gate.resolve();
    await run.done;
    expect(run.events).toContainEqual(steered('s1', 'more'));
    expect(run.events.at(-1)).toEqual({ type: 'text.completed', text: said });
    expect(world.closedAt).toBe('step:2');
  });

  it('R-21 allows one more step, not two; a run that comes to its limit reads no more', async () => {
    const gate = Promise.withResolvers<void>();
    const model = scripted([gate.promise, ...text('One.'), finish()], CALL, CALL);
    const world = createRunWorld();
    const run = world.start(agentOf({ model, tools: [note], maxSteps: 1 }));
    await world.clock.settle();
    world.steers.push(message('s1', 'more'));
    gate.resolve();
    await expect(run.done).rejects.toThrow('within 1 steps');
    expect(model.doStreamCalls).toHaveLength(2);
    expect(world.closedAt).toBe('step:2');
  });

  it('R-22 is shown again by a run that starts over, where it was read', async () => {
    const model = scripted(
      CALL,
      [...text('Two.'), call('c2', 'note', {}), finish('tool-calls')],
      [NEVER],
      [finish()],
    );
    const agent = agentOf({ model, tools: [note] });
    const world = createRunWorld();
    world.steers.push(message('s1', 'early'));
    const first = world.start(agent);
    await world.clock.settle();
    first.abandon();
    world.steers.push(message('s2', 'late'));
    const second = world.start(agent);
    await second.done;
    expect(second.events.map((event) => ('steerId' in event ? event.steerId : event.type))).toEqual([
      's1',
      'tool.started',
      'tool.completed',
      'text.delta',
      'tool.started',
      'tool.completed',
      's2',
      'text.completed',
    ]);
    expect(model.doStreamCalls[3]?.prompt.map(({ role }) => role)).toEqual([
      'user',
      'user',
      'assistant',
      'tool',
      'assistant',
      'tool',
      'user',
    ]);
  });

  it('R-21 is not shown again by a run that goes on after a pause', async () => {
    const pay = defineTool({
      name: 'pay',
      description: 'Pays.',
      input: z.object({}),
      requiresConfirmation: true,
      run: () => 'paid',
    });
    const model = scripted([call('c1', 'pay', {}), finish('tool-calls')], [...text('Done.'), finish()]);
    const agent = agentOf({ model, tools: [pay] });
    const world = createRunWorld();
    world.steers.push(message('s1', 'early'));
    const first = world.start(agent);
    await first.done;
    expect(first.events.map(({ type }) => type)).toEqual(['steered', 'approval.requested']);
    world.answer('c1', true);
    world.steers.push(message('s2', 'late'));
    const second = world.resume(agent);
    await second.done;
    expect(second.events.filter(({ type }) => type === 'steered')).toEqual([steered('s2', 'late')]);
    expect(model.doStreamCalls[1]?.prompt.filter(({ role }) => role === 'user')).toHaveLength(3);
  });
});
