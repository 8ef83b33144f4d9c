import { jsonSchema } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRunWorld } from '../test/context.ts';
import { call, finish, NEVER, reasoning, scripted, text } from '../test/model.ts';
import { type AgentOptions, createAgent, defineAgent } from './agent.ts';
import { defineTool } from './tool.ts';

const EDGE = { env: {}, now: () => 1_700_000_000_000 };
const agentOf = (options: Partial<AgentOptions>): ReturnType<typeof createAgent> =>
  createAgent({ id: 'a', name: 'A', instructions: 'Be brief.', ...options }, EDGE);

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

describe('a run that goes on after a pause', () => {
  const asking = (): ReturnType<typeof scripted> =>
    scripted(
      [...text('First.'), call('c1', 'double', { n: 2 }), finish('tool-calls')],
      [...text('Second.'), finish()],
    );

  it('L-9 says nothing twice', async () => {
    const model = asking();
    const agent = agentOf({ model, tools: [double] });
    const world = createRunWorld();
    await world.start(agent).done;
    const again = world.resume(agent);
    await again.done;
    expect(again.events).toEqual([]);
    expect(model.doStreamCalls).toHaveLength(2);
  });

  it('L-9 shows only what is new, as the rest of what it said', async () => {
    const model = scripted(
      [...text('First.'), call('c1', 'double', { n: 2 }), finish('tool-calls')],
      [NEVER],
      [...text('Second.'), call('c2', 'double', { n: 3 }), finish('tool-calls')],
      [finish()],
    );
    const agent = agentOf({ model, tools: [double] });
    const world = createRunWorld();
    const first = world.start(agent);
    await world.clock.settle();
    first.abandon();
    const second = world.resume(agent);
    await second.done;
    expect(second.events).toEqual([
      { type: 'text.delta', text: '\n\nSecond.' },
      { type: 'tool.started', callId: 'c2', name: 'double', args: { n: 3 } },
      { type: 'tool.completed', callId: 'c2', name: 'double', result: { doubled: 6 } },
      { type: 'text.completed', text: 'First.\n\nSecond.' },
    ]);
    expect(model.doStreamCalls[2]?.prompt.at(-1)).toMatchObject({ content: [{ toolCallId: 'c1' }] });
  });

  it('L-9 and then starts over shows all of it again', async () => {
    const agent = agentOf({ model: asking(), tools: [double] });
    const world = createRunWorld();
    const first = world.start(agent);
    await first.done;
    await world.resume(agent).done;
    const third = world.start(agent);
    await third.done;
    expect(third.events).toEqual(first.events);
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
      steerable: true,
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
    [{ input: z.object({ day: z.date() }) }, 'the input of "t" cannot be told to a model: Error: Date'],
    [{ input: jsonSchema({ type: 'object' }) }, 'the input of "t" must be a schema that checks'],
  ])('is refused as a tool: %o', (options, sentence) => {
    expect(() =>
      defineTool({ name: 't', description: 'T.', input: z.object({}), run: () => 1, ...options }),
    ).toThrow(sentence);
  });
});
