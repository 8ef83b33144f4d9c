import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRunWorld } from '../test/context.ts';
import { call, finish, type ModelPart, scripted, text } from '../test/model.ts';
import { type AgentOptions, createAgent } from './agent.ts';
import { defineTool, type Tool, type ToolContext } from './tool.ts';

const EDGE = { env: {}, now: () => 1_700_000_000_000 };
const agentOf = (options: Partial<AgentOptions>): ReturnType<typeof createAgent> =>
  createAgent({ id: 'a', name: 'A', instructions: 'Be brief.', ...options }, EDGE);

const typesOf = (events: readonly { readonly type: string }[]): readonly string[] =>
  events.map(({ type }) => type);

const double = defineTool({
  name: 'double',
  description: 'Doubles a number.',
  input: z.object({ n: z.number() }),
  run: ({ n }) => ({ doubled: n * 2 }),
});

describe('a tool call', () => {
  it('is shown, run and told to the model, and the text goes on in a new paragraph', async () => {
    const model = scripted(
      [...text('Let me see.'), call('c1', 'double', { n: 21 }), finish('tool-calls')],
      [...text('It is ', '42.'), finish()],
    );
    const run = createRunWorld().start(agentOf({ model, tools: [double] }));
    await run.done;
    expect(run.events).toEqual([
      { type: 'text.delta', text: 'Let me see.' },
      { type: 'tool.started', callId: 'c1', name: 'double', args: { n: 21 } },
      { type: 'tool.completed', callId: 'c1', name: 'double', result: { doubled: 42 } },
      { type: 'text.delta', text: '\n\nIt is ' },
      { type: 'text.delta', text: '42.' },
      { type: 'text.completed', text: 'Let me see.\n\nIt is 42.' },
    ]);
    expect(model.doStreamCalls[0]?.tools).toMatchObject([
      { type: 'function', name: 'double', inputSchema: { properties: { n: { type: 'number' } } } },
    ]);
    expect(model.doStreamCalls[1]?.prompt.slice(2)).toMatchObject([
      {
        role: 'assistant',
        content: [{ text: 'Let me see.' }, { toolCallId: 'c1', toolName: 'double', input: { n: 21 } }],
      },
      {
        role: 'tool',
        content: [{ toolCallId: 'c1', output: { type: 'json', value: { doubled: 42 } } }],
      },
    ]);
  });

  it('runs beside the others of its step; events come as things happen', async () => {
    const gates = new Map(['slow', 'quick'].map((name) => [name, Promise.withResolvers<void>()]));
    const wait = defineTool({
      name: 'wait',
      description: 'Waits.',
      input: z.object({ for: z.string() }),
      async run(input, { progress, idempotencyKey, user }) {
        progress({ half: input.for });
        await gates.get(input.for)?.promise;
        return `${idempotencyKey} for ${user}`;
      },
    });
    const model = scripted(
      [call('c1', 'wait', { for: 'slow' }), call('c2', 'wait', { for: 'quick' }), finish('tool-calls')],
      [...text('done'), finish()],
    );
    const world = createRunWorld();
    const run = world.start(agentOf({ model, tools: [wait] }));
    await world.clock.settle();
    gates.get('quick')?.resolve();
    await world.clock.settle();
    gates.get('slow')?.resolve();
    await run.done;
    expect(run.events.map((event) => [event.type, 'callId' in event ? event.callId : ''])).toEqual([
      ['tool.started', 'c1'],
      ['tool.started', 'c2'],
      ['tool.progress', 'c1'],
      ['tool.progress', 'c2'],
      ['tool.completed', 'c2'],
      ['tool.completed', 'c1'],
      ['text.delta', ''],
      ['text.completed', ''],
    ]);
    expect(run.events[4]).toMatchObject({ result: 'run_1:c2 for ann' });
  });

  const broken = defineTool({
    name: 'broken',
    description: 'Breaks.',
    input: z.object({}),
    run() {
      throw new Error('the disk is full');
    },
  });
  const odd = defineTool({ name: 'odd', description: 'Odd.', input: z.object({}), run: () => 1n });
  const big = defineTool({
    name: 'big',
    description: 'Big.',
    input: z.object({}),
    run: () => 'x'.repeat(1024 * 1024),
  });

  const toolOf = (name: string, run: (context: ToolContext) => unknown): Tool =>
    defineTool({ name, description: 'Odd.', input: z.object({}), run: (_input, context) => run(context) });
  const thrower = (name: string, thrown: unknown): Tool =>
    toolOf(name, () => {
      throw thrown;
    });
  const unseen = (): never => {
    throw new Error('You cannot look.');
  };
  const throwing = [
    thrower('wordless', Object.create(null)),
    thrower('oddly', Object.assign(new Error(), { message: { code: 5 } })),
    thrower('hidden', new Proxy({}, { get: unseen, getPrototypeOf: unseen })),
    thrower('nameless', new RangeError()),
    toolOf('chatty', ({ progress }) => progress('x'.repeat(1024 * 1024))),
  ];

  it.each<[string, ModelPart, RegExp]>([
    ['whose tool throws', call('c1', 'broken', {}), /^the disk is full$/],
    ['with a wrong argument', call('c1', 'double', { n: 'x' }), /^The arguments are wrong: n: .*number/],
    ['with arguments that are no JSON', call('c1', 'double', '{"n": '), /they must be one JSON object/],
    ['whose tool throws what has no words', call('c1', 'wordless', {}), /^What was thrown has no words\.$/],
    ['whose tool throws an error of odd words', call('c1', 'oddly', {}), /^Error: \[object Object\]$/],
    [
      'whose tool throws what cannot be looked at',
      call('c1', 'hidden', {}),
      /^What was thrown has no words\.$/,
    ],
    ['whose tool throws an error without words', call('c1', 'nameless', {}), /^RangeError$/],
    ['whose tool reports too much', call('c1', 'chatty', {}), /^The progress has .* Report less\.$/],
    [
      'of an unknown tool',
      call('c1', 'triple', { n: 1 }),
      /There is no tool "triple". The tools are: double, broken/,
    ],
    ['whose result is no JSON', call('c1', 'odd', {}), /^That is not JSON/],
    ['whose result is too large', call('c1', 'big', {}), /Return less, or a reference/],
  ])('%s fails, and the model is told', async (_what, asked, error) => {
    const model = scripted([asked, finish('tool-calls')], [...text('sorry'), finish()]);
    const run = createRunWorld().start(agentOf({ model, tools: [double, broken, odd, big, ...throwing] }));
    await run.done;
    expect(typesOf(run.events)).toEqual(['tool.started', 'tool.failed', 'text.delta', 'text.completed']);
    expect(run.events[1]).toMatchObject({ callId: 'c1', error: expect.stringMatching(error) });
    expect(model.doStreamCalls[1]?.prompt.at(-1)).toMatchObject({
      content: [{ toolCallId: 'c1', output: { type: 'error-text', value: expect.stringMatching(error) } }],
    });
  });

  it.each(['"delete all"', '5', 'true', 'false', '0'])('with %s for arguments is not run', async (args) => {
    let isRun = false;
    const all = toolOf('all', () => {
      isRun = true;
    });
    const model = scripted([call('c1', 'all', args), finish('tool-calls')], [finish()]);
    const run = createRunWorld().start(agentOf({ model, tools: [all] }));
    await run.done;
    const error = 'The arguments are wrong: they must be one JSON object.';
    expect(run.events[1]).toEqual({ type: 'tool.failed', callId: 'c1', name: 'all', error });
    expect(isRun).toBe(false);
  });

  it.each(['', 'null', '""', '{}'])('with "%s" for arguments has none', async (args) => {
    const model = scripted([call('c1', 'none', args), finish('tool-calls')], [finish()]);
    const run = createRunWorld().start(agentOf({ model, tools: [toolOf('none', () => 'run')] }));
    await run.done;
    expect(run.events.slice(0, 2)).toMatchObject([{ args: {} }, { result: 'run' }]);
  });

  it('that throws the key shows it to nobody', async () => {
    const key = 'my-own-key';
    const leaky = defineTool({
      name: 'leaky',
      description: 'Leaks.',
      input: z.object({}),
      run() {
        throw new Error(`${'x'.repeat(1_995)} ${key} was refused`);
      },
    });
    const model = scripted([call('c1', 'leaky', {}), finish('tool-calls')], [finish()]);
    const world = createRunWorld();
    const agent = createAgent(
      { id: 'a', name: 'A', instructions: '', model, tools: [leaky] },
      { ...EDGE, env: { OPENAI_API_KEY: key } },
    );
    const run = world.start(agent);
    await run.done;
    const seen = JSON.stringify([run.events, model.doStreamCalls[1]?.prompt, [...world.stored]]);
    expect(seen).toContain('x [key');
    expect(seen).not.toContain('my-o');
  });

  it('keeps its own result where an endpoint gives the same id twice', async () => {
    const model = scripted(
      [call('0', 'double', { n: 1 }), finish('tool-calls')],
      [call('0', 'double', { n: 2 }), call('', 'double', { n: 3 }), finish('tool-calls')],
      [...text('ok'), finish()],
    );
    const run = createRunWorld().start(agentOf({ model, tools: [double] }));
    await run.done;
    const results = run.events.filter((event) => event.type === 'tool.completed');
    expect(results.map(({ result }) => result)).toEqual([{ doubled: 2 }, { doubled: 4 }, { doubled: 6 }]);
    expect(new Set(results.map(({ callId }) => callId)).size).toBe(3);
  });

  it('shows progress in order, the newest where nobody reads', async () => {
    const counting = defineTool({
      name: 'count',
      description: 'Counts.',
      input: z.object({}),
      run(_input, { progress }) {
        for (let n = 1; n <= 1_000; n++) progress(n);
        return 'counted';
      },
    });
    const model = scripted([call('c1', 'count', {}), finish('tool-calls')], [finish()]);
    const run = createRunWorld().start(agentOf({ model, tools: [counting] }));
    await run.done;
    const shown = run.events.flatMap((event) => (event.type === 'tool.progress' ? [event.progress] : []));
    expect(shown.slice(0, 3)).toEqual([1, 2, 3]);
    expect(shown.at(-1)).toBe(1_000);
    expect(shown.length).toBeLessThan(100);
  });

  it('above the limit of steps fails the run', async () => {
    const again = [call('c', 'double', { n: 1 }), finish('tool-calls')];
    const model = scripted(again, again, again);
    const run = createRunWorld().start(agentOf({ model, tools: [double], maxSteps: 2 }));
    await expect(run.done).rejects.toThrow('did not come to an end within 2 steps. Raise its maxSteps');
    expect(model.doStreamCalls).toHaveLength(2);
  });
});
