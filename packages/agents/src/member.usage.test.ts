import type { AgentOutput, Component } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { agentOf, asking } from '../test/members.ts';
import { call, finish, NEVER, scripted, text } from '../test/model.ts';
import { createTeam, type TeamOptions } from './team.ts';
import { addUsed, UNUSED, type Used, usageOf } from './used.ts';
import { defineWorkflow } from './workflow.ts';
import { step } from './workflow-step.ts';

const teamOf = (options: Partial<TeamOptions> & Pick<TeamOptions, 'mode' | 'members'>): Component =>
  createTeam({ id: 't', name: 'T', ...options }, { env: {}, now: () => 0 });
const usedIn = (events: readonly AgentOutput[]): Used => events.reduce(addUsed, UNUSED);

/** Takes 7 and 2 tokens and a call. */
const taking = (id: string): ReturnType<typeof agentOf> =>
  agentOf(id, async function* () {
    yield { type: 'usage', inputTokens: 7, outputTokens: 2 };
    yield { type: 'tool.started', callId: 'x', name: 'look' };
    yield { type: 'tool.completed', callId: 'x', name: 'look', result: 1 };
    yield { type: 'text.delta', text: id };
  });

/** The first time it never ends. */
const cutOnce = (): ReturnType<typeof agentOf> => {
  const member = agentOf('last', async function* () {
    if (member.runs() === 1) await NEVER;
    yield { type: 'usage', inputTokens: 1, outputTokens: 1 };
  });
  return member;
};

/** What was shown by a run whose server dies where nothing happens any more, and by the one that starts over. */
async function overDeath(component: Component): Promise<readonly AgentOutput[]> {
  const world = createRunWorld();
  const first = world.start(component);
  await world.clock.settle();
  first.abandon();
  const second = world.start(component);
  await second.done;
  return second.events;
}

describe('what a finished member took', () => {
  it('R-26 is shown with it in brief when the run starts over, its own members’ too', async () => {
    const team = teamOf({ mode: 'broadcast', members: [taking('a'), taking('b')] });
    const steps = [step('team', team), step('alone', taking('c')), step('last', cutOnce())];
    const events = await overDeath(defineWorkflow({ id: 'w', name: 'W', steps }));
    expect(events.filter(({ type }) => type === 'usage')).toMatchObject([
      { inputTokens: 14, outputTokens: 4, toolCalls: 2, by: { runId: 'run_1.team' } },
      { inputTokens: 7, outputTokens: 2, toolCalls: 1, by: { runId: 'run_1.alone' } },
      { inputTokens: 1, outputTokens: 1, by: { runId: 'run_1.last' } },
    ]);
    expect(usedIn(events)).toEqual({ inputTokens: 22, outputTokens: 7, toolCalls: 3 });
    for (const event of events) if (event.type === 'run.ended') expect(event).not.toHaveProperty('used');
  });

  it('R-26 is shown with the call in which it worked', async () => {
    const delegate = (callId: string, member: string): ReturnType<typeof call> =>
      call(callId, 'delegate', { member, message: 'go' });
    const model = scripted(
      [delegate('c1', 'a'), delegate('c2', 'last'), finish('tool-calls', { input: 5, output: 5 })],
      [...text('ok'), finish()],
    );
    const events = await overDeath(
      teamOf({ mode: 'coordinate', members: [taking('a'), cutOnce()], model, onInterrupt: 'restart' }),
    );
    expect(usedIn(events)).toEqual({ inputTokens: 13, outputTokens: 8, toolCalls: 3 });
  });

  it('R-26 before a pause counts, and is shown once', async () => {
    const asks = asking('b');
    const paid = agentOf('b', async function* (context) {
      yield { type: 'usage', inputTokens: 3, outputTokens: 1 };
      yield* asks.run(context);
    });
    const model = scripted(
      [call('c1', 'delegate', { member: 'b', message: 'go' }), finish('tool-calls')],
      [NEVER],
      [...text('ok'), finish()],
    );
    const team = teamOf({ mode: 'coordinate', members: [paid], model, onInterrupt: 'restart' });
    const world = createRunWorld();
    const first = world.start(team);
    await first.done;
    world.answer('c', true);
    const second = world.resume(team);
    await world.clock.settle();
    second.abandon();
    const shown = usedIn([...first.events, ...second.events]);
    expect(shown).toEqual({ inputTokens: 6, outputTokens: 2, toolCalls: 1 });
    const third = world.start(team);
    await third.done;
    expect(usedIn(third.events)).toEqual(shown);
  });

  it('R-26 is not told where it was nothing', () => {
    expect(usageOf(UNUSED)).toEqual([]);
    expect(usageOf({ ...UNUSED, toolCalls: 1 })).toEqual([
      { type: 'usage', inputTokens: 0, outputTokens: 0, toolCalls: 1 },
    ]);
  });
});
