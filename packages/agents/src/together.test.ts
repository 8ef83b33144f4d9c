import type { AgentOutput } from '@continuo/protocol';
import { createFakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRunWorld } from '../test/context.ts';
import { call, finish, scripted } from '../test/model.ts';
import { createAgent } from './agent.ts';
import { type Emit, together } from './together.ts';
import { defineTool } from './tool.ts';
import { defineWorkflow } from './workflow.ts';
import { step } from './workflow-step.ts';

const started = (callId: string): AgentOutput => ({ type: 'tool.started', callId, name: 't' });

/** Work that sends the starts of two calls, and what became of them. */
function createWork(): { readonly work: (emit: Emit) => Promise<void>; readonly seen: string[] } {
  const seen: string[] = [];
  const send = async (emit: Emit, callId: string): Promise<void> => {
    await emit.send(started(callId)).then(
      () => seen.push(`${callId} begun`),
      (error: Error) => seen.push(`${callId}: ${error.message}`),
    );
  };
  return {
    seen,
    work: async (emit) => void (await Promise.all([send(emit, 'a'), send(emit, 'b')])),
  };
}

describe('who sends the start of a call', () => {
  it('waits until the next event is asked for', async () => {
    const { work, seen } = createWork();
    const { settle } = createFakeClock();
    const outputs = together(new AbortController().signal, work);
    expect((await outputs.next()).value).toEqual(started('a'));
    await settle();
    expect(seen).toEqual([]);
    await outputs.next();
    await settle();
    expect(seen).toEqual(['a begun']);
    expect(await outputs.next()).toEqual({ done: true, value: undefined });
    expect(seen).toEqual(['a begun', 'b begun']);
  });

  it('is refused where the reader goes away', async () => {
    const { work, seen } = createWork();
    const outputs = together(new AbortController().signal, work);
    await outputs.next();
    await outputs.return(undefined);
    await createFakeClock().settle();
    expect(seen).toEqual(['a: The run was stopped.', 'b: The run was stopped.']);
  });

  it('is refused where the run was stopped before the next was asked for', async () => {
    const { work, seen } = createWork();
    const stop = new AbortController();
    const outputs = together(stop.signal, work);
    await outputs.next();
    stop.abort();
    await expect(outputs.next()).rejects.toThrow('stopped');
    expect(seen).toEqual(['a: The run was stopped.', 'b: The run was stopped.']);
  });
});

describe('calls side by side above a limit', () => {
  let bodies = 0;
  const tool = defineTool({
    name: 't',
    description: 'T.',
    input: z.object({}),
    run: () => void bodies++,
  });
  const agentAsking = (): ReturnType<typeof createAgent> => {
    const calls = ['1', '2', '3', '4', '5'].map((id) => call(id, 't', {}));
    const model = scripted([...calls, finish('tool-calls')], [finish()]);
    return createAgent(
      { id: 'a', name: 'A', instructions: '', model, tools: [tool] },
      { env: {}, now: () => 0 },
    );
  };

  it.each([
    ['of a run', agentAsking()],
    ['of a member', defineWorkflow({ id: 'w', name: 'W', steps: [step('s', agentAsking())] })],
    [
      'of a member of a member',
      defineWorkflow({
        id: 'w',
        name: 'W',
        steps: [step('s', defineWorkflow({ id: 'v', name: 'V', steps: [step('r', agentAsking())] }))],
      }),
    ],
  ])('R-19 %s are not run', async (_what, component) => {
    bodies = 0;
    const world = createRunWorld();
    const outputs = component.run(world.context())[Symbol.asyncIterator]();
    for (let count = 0; count < 2; ) {
      const { value } = await outputs.next();
      await world.clock.settle(); // a store that is slow
      if (value.type === 'tool.started') count++;
    }
    await outputs.return?.(); // as the engine does it where the limit is 1
    await world.clock.settle();
    expect(bodies).toBe(1);
  });
});
