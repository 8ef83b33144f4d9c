import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { createAgent } from './agent.ts';
import { objectSchema } from './object-schema.ts';
import { type Scene, type Script, scriptedModel } from './scripted.ts';
import { defineTool } from './tool.ts';

const half = defineTool({
  name: 'half',
  description: 'Halves a number.',
  input: objectSchema({ n: { type: 'number' } }, (fields) => {
    const n = fields.get('n');
    return typeof n === 'number' ? { n } : 'n: must be a number';
  }),
  run({ n }) {
    if (n % 2 === 1) throw new Error('odd');
    return n / 2;
  },
});

function agentOf(script: Script): ReturnType<typeof createAgent> {
  const model = scriptedModel(script, 'halver');
  const options = { id: 'a', name: 'A', instructions: 'Be brief.', model, tools: [half] };
  return createAgent(options, { env: {}, now: () => 0 });
}

describe('a scripted model', () => {
  it('says its text word by word, and counts words', async () => {
    const agent = agentOf(() => [{ text: 'one  two three' }]);
    const run = createRunWorld().start(agent, 'say it');
    await run.done;
    expect(agent.model).toBe('halver');
    expect(run.events).toEqual([
      { type: 'text.delta', text: 'one  ' },
      { type: 'text.delta', text: 'two ' },
      { type: 'text.delta', text: 'three' },
      { type: 'usage', inputTokens: 2, outputTokens: 3 },
      { type: 'text.completed', text: 'one  two three' },
    ]);
  });

  it('answers by the messages of its run and by what its calls gave, not by earlier turns', async () => {
    const scenes: Scene[] = [];
    const history = [
      { role: 'user', content: 'before', messageId: 'm0', at: 1 },
      { role: 'assistant', content: 'yes', messageId: 'm0', at: 2 },
    ] as const;
    const world = createRunWorld({ history });
    const script: Script = (scene) => {
      scenes.push(scene);
      if (scenes.length === 1) world.steers.push({ messageId: 's1', content: 'also' });
      return scenes.length === 1
        ? [
            { call: 'half', input: { n: 4 } },
            { call: 'half', input: { n: 3 } },
          ]
        : [{ text: 'so' }];
    };
    const run = world.start(agentOf(script), 'now');
    await run.done;
    const results = [
      { callId: 'run_1.1', name: 'half', failed: false, output: 2 },
      { callId: 'run_1.2', name: 'half', failed: true, output: 'odd' },
    ];
    expect(scenes).toEqual([
      { messages: ['now'], results: [] },
      { messages: ['now', 'also'], results },
    ]);
  });

  it('only streams', async () => {
    const model = scriptedModel(() => []);
    if (model.specificationVersion !== 'v4') throw new Error('not v4');
    await expect(Promise.resolve(model.doGenerate({ prompt: [] }))).rejects.toThrow('only streams');
  });
});
