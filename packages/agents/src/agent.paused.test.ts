import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRunWorld } from '../test/context.ts';
import { call, finish, scripted, text } from '../test/model.ts';
import { createAgent } from './agent.ts';
import { Paused } from './paused.ts';
import { createTool, defineTool, type Tool } from './tool.ts';

/** A tool that waits for a person until it is told to end. */
function createHandOver(): { readonly tool: Tool; readonly state: { answered: boolean; runs: number } } {
  const state = { answered: false, runs: 0 };
  const tool = createTool({
    name: 'hand_over',
    description: 'Hands over.',
    input: z.object({}),
    delegates: true,
    async run(_input, { callId, emit }) {
      state.runs++;
      const asked = { type: 'approval.requested', callId: `${callId}.1`, name: 'x' } as const;
      if (!state.answered) {
        await emit.send(asked);
        throw new Paused();
      }
      return 'handed over';
    },
  });
  return { tool, state };
}

const quick = defineTool({ name: 'quick', description: 'Is quick.', input: z.object({}), run: () => 1 });

function agentOf(tool: Tool): ReturnType<typeof createAgent> {
  const model = scripted(
    [call('c1', 'hand_over', {}), call('c2', 'quick', {}), finish('tool-calls')],
    [...text('Done.'), finish()],
  );
  const options = { id: 'a', name: 'A', instructions: '', model, tools: [tool, quick] };
  return createAgent(options, { env: {}, now: () => 0 });
}

const STARTED = { type: 'tool.started', callId: 'c1', name: 'hand_over', args: {} };
const COMPLETED = { type: 'tool.completed', callId: 'c1', name: 'hand_over', result: 'handed over' };

describe('a tool that hands over to somebody who asks a person', () => {
  it('R-16 leaves its call unfinished, and is run again when the run goes on', async () => {
    const { tool, state } = createHandOver();
    const agent = agentOf(tool);
    const world = createRunWorld();
    const first = world.start(agent);
    await first.done;
    expect(first.events.map(({ type }) => type).sort()).toEqual([
      'approval.requested',
      'tool.completed', // of the other call of the step
      'tool.started',
      'tool.started',
    ]);
    expect([...world.stored.keys()].sort()).toEqual(['shown:c1', 'step:0', 'tool:c2']);

    const second = world.resume(agent); // another question was answered first
    await second.done;
    expect(second.events.map(({ type }) => type)).toEqual(['approval.requested']);

    state.answered = true;
    const third = world.resume(agent);
    await third.done;
    expect(third.events).toEqual([
      COMPLETED,
      { type: 'text.delta', text: 'Done.' },
      { type: 'text.completed', text: 'Done.' },
    ]);
    expect(state.runs).toBe(3);
  });

  it('R-22 shows its call again in a higher attempt', async () => {
    const { tool, state } = createHandOver();
    const agent = agentOf(tool);
    const world = createRunWorld();
    await world.start(agent).done;
    state.answered = true;
    const again = world.start(agent);
    await again.done;
    expect(again.events).toContainEqual(STARTED);
    expect(again.events).toContainEqual(COMPLETED);
  });
});
