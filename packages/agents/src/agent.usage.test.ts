import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRunWorld } from '../test/context.ts';
import { call, finish, NEVER, scripted, text } from '../test/model.ts';
import { type AgentOptions, createAgent } from './agent.ts';
import { defineTool } from './tool.ts';

const agentOf = (options: Partial<AgentOptions>, env = {}): ReturnType<typeof createAgent> =>
  createAgent({ id: 'a', name: 'A', instructions: '', ...options }, { env, now: () => 0 });

const note = defineTool({ name: 'note', description: 'Notes.', input: z.object({}), run: () => 'noted' });
const TOOK = [call('c1', 'note', {}), finish('tool-calls', { input: 7, output: 2 })];

const usagesOf = (events: readonly { readonly type: string }[]): readonly unknown[] =>
  events.filter(({ type }) => type === 'usage');

describe('what an answer took', () => {
  it('R-26 is told after each answer', async () => {
    const model = scripted(TOOK, [...text('Done.'), finish('stop', { input: 9, output: 3 })]);
    const run = createRunWorld().start(agentOf({ model, tools: [note] }));
    await run.done;
    expect(run.events).toEqual([
      { type: 'usage', inputTokens: 7, outputTokens: 2 },
      { type: 'tool.started', callId: 'c1', name: 'note', args: {} },
      { type: 'tool.completed', callId: 'c1', name: 'note', result: 'noted' },
      { type: 'text.delta', text: 'Done.' },
      { type: 'usage', inputTokens: 9, outputTokens: 3 },
      { type: 'text.completed', text: 'Done.' },
    ]);
  });

  it.each([
    ['only what was read', { input: 7 }, [{ type: 'usage', inputTokens: 7, outputTokens: 0 }]],
    ['what is no count', { input: 1.5, output: 2 }, [{ type: 'usage', inputTokens: 0, outputTokens: 2 }]],
    ['nothing', {}, []],
  ])('R-26 where the endpoint says %s', async (_what, took, usages) => {
    const run = createRunWorld().start(agentOf({ model: scripted([...text('Hi.'), finish('stop', took)]) }));
    await run.done;
    expect(usagesOf(run.events)).toEqual(usages);
  });

  it('R-26 is told again by a run that starts over, and not by one that goes on after a pause', async () => {
    const model = scripted(TOOK, [NEVER], [finish()], [finish()]);
    const agent = agentOf({ model, tools: [note] });
    const world = createRunWorld();
    const first = world.start(agent);
    await world.clock.settle();
    first.abandon();
    const second = world.resume(agent);
    await second.done;
    expect(usagesOf(second.events)).toEqual([]);
    const third = world.start(agent);
    await third.done;
    expect(usagesOf(third.events)).toEqual([{ type: 'usage', inputTokens: 7, outputTokens: 2 }]);
  });
});

describe('a component', () => {
  it.each<[string, Partial<AgentOptions>, Record<string, string>, string | undefined]>([
    ["its object's id", { model: scripted() }, { CONTINUO_MODEL: 'm' }, 'scripted'],
    ['its id', { model: 'mine' }, { CONTINUO_MODEL: 'm' }, 'mine'],
    ['CONTINUO_MODEL', {}, { CONTINUO_MODEL: 'm' }, 'm'],
    ['nothing', {}, {}, undefined],
  ])('names as its model %s', (_what, options, env, model) => {
    expect(agentOf(options, env).model).toBe(model);
  });

  it('reads CONTINUO_MODEL when it is asked', () => {
    const env: Record<string, string> = {};
    const agent = agentOf({}, env);
    env.CONTINUO_MODEL = 'later';
    expect(agent.model).toBe('later');
  });

  it('R-19 has the limits it was defined with; one that is no limit is refused', () => {
    expect(agentOf({ limits: { tokens: 5 } }).limits).toEqual({ tokens: 5 });
    expect(() => agentOf({ limits: { toolCalls: -1 } })).toThrow(
      'limits.toolCalls must be 0 or more, not -1',
    );
  });
});

describe('an agent with a memory', () => {
  const remembering = (): ReturnType<typeof scripted> =>
    scripted(
      [call('c1', 'remember', { text: 'Likes\nfigs.' }), finish('tool-calls')],
      [...text('Noted.'), finish()],
      [...text('Figs?'), finish()],
    );

  it('R-24 remembers what its model wants kept, and tells the model in the next run', async () => {
    const model = remembering();
    const agent = agentOf({ model, memory: true, instructions: 'Be kind.' });
    const world = createRunWorld();
    const run = world.start(agent);
    await run.done;
    expect(run.events.map(({ type }) => type)).toEqual([
      'tool.started',
      'memory.started',
      'memory.completed',
      'tool.completed',
      'text.delta',
      'text.completed',
    ]);
    expect(world.memories).toMatchObject([{ text: 'Likes\nfigs.' }]);
    expect(model.doStreamCalls[0]?.prompt[0]).toEqual({ role: 'system', content: 'Be kind.' });
    world.stored.clear();
    await world.start(agent).done;
    expect(model.doStreamCalls[2]?.prompt[0]).toEqual({
      role: 'system',
      content: 'Be kind.\n\nWhat you remember of the person you talk with:\n- Likes figs.',
    });
  });

  it.each([{}, { text: '' }, { text: 5 }, { text: 'x'.repeat(2_001) }])('R-24 keeps no %o', async (args) => {
    const model = scripted([call('c1', 'remember', args), finish('tool-calls')], [finish()]);
    const world = createRunWorld();
    const run = world.start(agentOf({ model, memory: true }));
    await run.done;
    expect(run.events[1]).toMatchObject({ error: expect.stringContaining('1 to 2000 characters') });
    expect(world.memories).toEqual([]);
  });

  it('R-24 has no other tool of that name; one without a memory has none', async () => {
    const remember = defineTool({ name: 'remember', description: 'R.', input: z.object({}), run: () => 1 });
    expect(() => agentOf({ memory: true, tools: [remember] })).toThrow('the tool "remember" is there twice');
    const model = scripted([finish()]);
    await createRunWorld().start(agentOf({ model })).done;
    expect(model.doStreamCalls[0]?.tools ?? []).toEqual([]);
  });
});
