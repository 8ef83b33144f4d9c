import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRunWorld } from '../test/context.ts';
import { call, finish, type ModelPart, NEVER, reasoning, scripted, text } from '../test/model.ts';
import { type AgentOptions, createAgent, defineAgent } from './agent.ts';
import { defineTool } from './tool.ts';

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

describe('an answer', () => {
  it('comes as deltas, and is complete at its end', async () => {
    const run = createRunWorld().start(agentOf({ model: scripted([...text('he', 'llo'), finish()]) }));
    await run.done;
    expect(run.events).toEqual([
      { type: 'text.delta', text: 'he' },
      { type: 'text.delta', text: 'llo' },
      { type: 'text.completed', text: 'hello' },
    ]);
  });

  it('is preceded by its reasoning', async () => {
    const run = createRunWorld().start(
      agentOf({ model: scripted([...reasoning('h', 'm'), ...text('yes'), finish()]) }),
    );
    await run.done;
    expect(run.events).toEqual([
      { type: 'reasoning.started' },
      { type: 'reasoning.delta', text: 'h' },
      { type: 'reasoning.delta', text: 'm' },
      { type: 'reasoning.completed', text: 'hm' },
      { type: 'text.delta', text: 'yes' },
      { type: 'text.completed', text: 'yes' },
    ]);
  });

  it('without a word is none', async () => {
    const run = createRunWorld().start(agentOf({ model: scripted([finish()]) }));
    await run.done;
    expect(run.events).toEqual([]);
  });

  it('that the endpoint withheld fails the run', async () => {
    const run = createRunWorld().start(agentOf({ model: scripted([finish('content-filter')]) }));
    await expect(run.done).rejects.toThrow('withheld the answer (content filter)');
  });

  it('is asked for with the instructions and the conversation, objects as JSON, empty turns left out', async () => {
    const model = scripted([...text('ok'), finish()]);
    const history = [
      { role: 'user', content: 'one', messageId: 'm1', at: 1 },
      { role: 'assistant', content: '', messageId: 'm1', at: 2 },
      { role: 'user', content: { a: 1 }, messageId: 'm2', at: 3 },
      { role: 'assistant', content: 'two', messageId: 'm2', at: 4 },
    ] as const;
    await createRunWorld({ history }).start(agentOf({ model }), { b: 2 }).done;
    expect(model.doStreamCalls[0]?.prompt).toMatchObject([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ text: 'one' }] },
      { role: 'user', content: [{ text: '{"a":1}' }] },
      { role: 'assistant', content: [{ text: 'two' }] },
      { role: 'user', content: [{ text: '{"b":2}' }] },
    ]);
  });
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
      async run(input, { progress, callId, user }) {
        progress({ half: input.for });
        await gates.get(input.for)?.promise;
        return `${callId} for ${user}`;
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
    expect(run.events[4]).toMatchObject({ result: 'c2 for ann' });
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

  it.each<[string, ModelPart, RegExp]>([
    ['whose tool throws', call('c1', 'broken', {}), /^the disk is full$/],
    ['with a wrong argument', call('c1', 'double', { n: 'x' }), /^The arguments are wrong: n: .*number/],
    ['with arguments that are no JSON', call('c1', 'double', '{"n": '), /they must be one JSON object/],
    [
      'of an unknown tool',
      call('c1', 'triple', { n: 1 }),
      /There is no tool "triple". The tools are: double, broken/,
    ],
    ['whose result is no JSON', call('c1', 'odd', {}), /^That is not JSON/],
    ['whose result is too large', call('c1', 'big', {}), /Return less, or a reference/],
  ])('%s fails, and the model is told', async (_what, asked, error) => {
    const model = scripted([asked, finish('tool-calls')], [...text('sorry'), finish()]);
    const run = createRunWorld().start(agentOf({ model, tools: [double, broken, odd, big] }));
    await run.done;
    expect(typesOf(run.events)).toEqual(['tool.started', 'tool.failed', 'text.delta', 'text.completed']);
    expect(run.events[1]).toMatchObject({ callId: 'c1', error: expect.stringMatching(error) });
    expect(model.doStreamCalls[1]?.prompt.at(-1)).toMatchObject({
      content: [{ toolCallId: 'c1', output: { type: 'error-text', value: expect.stringMatching(error) } }],
    });
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

describe('a run that starts over', () => {
  it('L-9 asks the model again only from the step that was cut off, and runs no finished tool again', async () => {
    let runs = 0;
    const counted = defineTool({
      name: 'counted',
      description: 'Counts its runs.',
      input: z.object({ gate: z.boolean() }),
      async run({ gate }) {
        runs++;
        if (gate && runs < 3) await NEVER;
        return runs;
      },
    });
    const model = scripted(
      [
        ...reasoning('hm'),
        ...text('First.'),
        call('c1', 'counted', { gate: false }),
        call('c2', 'counted', { gate: true }),
        finish('tool-calls'),
      ],
      [...text('Second.'), finish()],
    );
    const agent = agentOf({ model, tools: [counted], onInterrupt: 'restart' });
    const world = createRunWorld();
    const first = world.start(agent);
    await world.clock.settle();
    expect([...world.stored.keys()]).toEqual(['step:0', 'tool:c1']);
    first.abandon();

    const second = world.start(agent);
    await second.done;
    expect(model.doStreamCalls).toHaveLength(2);
    expect(runs).toBe(3); // c1 once, c2 twice
    expect(second.events).toEqual([
      { type: 'text.delta', text: 'First.' },
      { type: 'tool.started', callId: 'c1', name: 'counted', args: { gate: false } },
      { type: 'tool.started', callId: 'c2', name: 'counted', args: { gate: true } },
      { type: 'tool.completed', callId: 'c1', name: 'counted', result: 1 },
      { type: 'tool.completed', callId: 'c2', name: 'counted', result: 3 },
      { type: 'text.delta', text: '\n\nSecond.' },
      { type: 'text.completed', text: 'First.\n\nSecond.' },
    ]);
    const [, before] = model.doStreamCalls;
    expect(before?.prompt.at(-2)).toMatchObject({
      content: [
        { type: 'reasoning', text: 'hm' },
        { text: 'First.' },
        { toolCallId: 'c1' },
        { toolCallId: 'c2' },
      ],
    });
  });

  it('L-9 begins an answer anew that was cut off in its middle', async () => {
    const model = scripted([...text('half'), NEVER], [...text('whole'), finish()]);
    const agent = agentOf({ model, onInterrupt: 'restart' });
    const world = createRunWorld();
    const first = world.start(agent);
    await world.clock.settle();
    expect(first.events).toEqual([{ type: 'text.delta', text: 'half' }]);
    first.abandon();
    const second = world.start(agent);
    await second.done;
    expect(second.events).toEqual([
      { type: 'text.delta', text: 'whole' },
      { type: 'text.completed', text: 'whole' },
    ]);
  });
});

describe('an abort', () => {
  it('ends the request, and the run at once', async () => {
    const model = scripted([...text('half'), NEVER]);
    const world = createRunWorld();
    const run = world.start(agentOf({ model }));
    await world.clock.settle();
    world.stop();
    await expect(run.done).rejects.toThrow('stopped');
    expect(model.doStreamCalls[0]?.abortSignal?.aborted).toBe(true);
  });

  it('reaches the tools, and stores no result of a tool that it cut off', async () => {
    let told = false;
    const waiting = defineTool({
      name: 'waiting',
      description: 'Waits.',
      input: z.object({}),
      run: (_input, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            told = true;
            reject(new Error('cut off'));
          });
        }),
    });
    const model = scripted([call('c1', 'waiting', {}), finish('tool-calls')]);
    const world = createRunWorld();
    const run = world.start(agentOf({ model, tools: [waiting] }));
    await world.clock.settle();
    world.stop();
    await expect(run.done).rejects.toThrow('stopped');
    await world.clock.settle();
    expect(told).toBe(true);
    expect([...world.stored.keys()]).toEqual(['step:0']);
  });

  it('before it began asks nobody', async () => {
    const model = scripted([...text('no'), finish()]);
    const world = createRunWorld();
    world.stop();
    await expect(world.start(agentOf({ model })).done).rejects.toThrow('stopped');
    expect(model.doStreamCalls).toHaveLength(0);
  });

  it('is not needed where the reader goes away: that ends the request too', async () => {
    const model = scripted([...text('one', 'two'), NEVER]);
    const world = createRunWorld();
    const outputs = agentOf({ model }).run(world.context())[Symbol.asyncIterator]();
    await outputs.next();
    expect(model.doStreamCalls[0]?.abortSignal?.aborted).toBe(false);
    await outputs.return?.();
    expect(model.doStreamCalls[0]?.abortSignal?.aborted).toBe(true);
  });
});

describe('what is defined', () => {
  it('is a component with what was said of it', () => {
    const { run, ...component } = defineAgent({
      id: 'weather',
      name: 'Weather',
      description: 'Knows the weather.',
      instructions: '',
      deltaJoinMs: 0,
      onInterrupt: 'restart',
    });
    expect(component).toEqual({
      kind: 'agent',
      id: 'weather',
      name: 'Weather',
      description: 'Knows the weather.',
      deltaJoinMs: 0,
      onInterrupt: 'restart',
    });
    expect(run).toBeTypeOf('function');
  });

  it.each<[Partial<AgentOptions>, string]>([
    [{ id: 'a b' }, 'the id "a b" must be'],
    [{ name: '' }, 'name must not be empty'],
    [{ model: '' }, 'model must not be empty'],
    [{ deltaJoinMs: -1 }, 'deltaJoinMs must be 0 or more, not -1'],
    [{ maxSteps: 0 }, 'maxSteps must be 1 or more, not 0'],
    [{ maxSteps: 1.5 }, 'maxSteps must be 1 or more, not 1.5'],
    [{ stallMs: 0 }, 'stallMs must be above 0, not 0'],
    [{ tools: [double, double] }, 'the tool "double" is there twice'],
  ])('is refused with the option that is wrong: %o', (options, sentence) => {
    expect(() => agentOf(options)).toThrow(sentence);
  });

  it.each([
    [{ name: 'a b' }, 'the name "a b" must be'],
    [{ description: '' }, '"t" needs a description'],
  ])('is refused as a tool: %o', (options, sentence) => {
    expect(() =>
      defineTool({ name: 't', description: 'T.', input: z.object({}), run: () => 1, ...options }),
    ).toThrow(sentence);
  });
});
