import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRunWorld } from '../test/context.ts';
import { call, finish, NEVER, scripted, text } from '../test/model.ts';
import { type AgentOptions, createAgent } from './agent.ts';
import { defineTool } from './tool.ts';

const EDGE = { env: {}, now: () => 1_700_000_000_000 };
const agentOf = (options: Partial<AgentOptions>): ReturnType<typeof createAgent> =>
  createAgent({ id: 'a', name: 'A', instructions: '', ...options }, EDGE);

const double = defineTool({
  name: 'double',
  description: 'Doubles a number.',
  input: z.object({ n: z.number() }),
  run: ({ n }) => n * 2,
});

/** A tool that a person must allow, and how often it was run. */
function createPay(): { readonly pay: ReturnType<typeof defineTool>; readonly paid: unknown[] } {
  const paid: unknown[] = [];
  const pay = defineTool({
    name: 'pay',
    description: 'Pays.',
    input: z.object({ to: z.string(), sum: z.number() }),
    requiresConfirmation: true,
    confirmWithinMs: 60_000,
    run(input) {
      paid.push(input);
      return 'paid';
    },
  });
  return { pay, paid };
}

const ARGS = { to: 'Bo', sum: 5 };
const ASKED = { type: 'approval.requested', callId: 'c1', name: 'pay', args: ARGS, expiresInMs: 60_000 };
const asking = (): ReturnType<typeof scripted> =>
  scripted(
    [...text('One moment.'), call('c1', 'pay', ARGS), finish('tool-calls')],
    [...text('Done.'), finish()],
  );

describe('a tool that a person must confirm', () => {
  it('R-16 is asked for with its arguments, and not run; the other calls of the step are', async () => {
    const { pay, paid } = createPay();
    const model = scripted([call('c1', 'pay', ARGS), call('c2', 'double', { n: 2 }), finish('tool-calls')]);
    const world = createRunWorld();
    const run = world.start(agentOf({ model, tools: [pay, double] }));
    await run.done;
    expect(run.events).toEqual([
      ASKED,
      { type: 'tool.started', callId: 'c2', name: 'double', args: { n: 2 } },
      { type: 'tool.completed', callId: 'c2', name: 'double', result: 4 },
    ]);
    expect(paid).toEqual([]);
    expect(model.doStreamCalls).toHaveLength(1);
    expect(world.closedAt).toBeNull();
  });

  it('R-16 is run when the person allowed it, and shown as confirmed', async () => {
    const { pay, paid } = createPay();
    const model = asking();
    const agent = agentOf({ model, tools: [pay] });
    const world = createRunWorld();
    const first = world.start(agent);
    await first.done;
    expect(first.events).toEqual([{ type: 'text.delta', text: 'One moment.' }, ASKED]);
    world.answer('c1', true);
    const second = world.resume(agent);
    await second.done;
    expect(second.events).toEqual([
      { type: 'tool.started', callId: 'c1', name: 'pay', args: ARGS, confirmed: true },
      { type: 'tool.completed', callId: 'c1', name: 'pay', result: 'paid' },
      { type: 'text.delta', text: '\n\nDone.' },
      { type: 'text.completed', text: 'One moment.\n\nDone.' },
    ]);
    expect(paid).toEqual([ARGS]);
  });

  it.each([
    ['with a note', 'too much', 'A person denied this call: too much'],
    ['without a note', undefined, 'A person denied this call.'],
  ])('R-16 is not run when the person denied it %s, and the model is told', async (_what, note, error) => {
    const { pay, paid } = createPay();
    const model = asking();
    const agent = agentOf({ model, tools: [pay] });
    const world = createRunWorld();
    await world.start(agent).done;
    world.answer('c1', false, note);
    const second = world.resume(agent);
    await second.done;
    expect(second.events[0]).toEqual({ type: 'tool.failed', callId: 'c1', name: 'pay', error });
    expect(second.events.at(-1)).toEqual({ type: 'text.completed', text: 'One moment.\n\nDone.' });
    expect(paid).toEqual([]);
    expect(model.doStreamCalls[1]?.prompt.at(-1)).toMatchObject({
      content: [{ toolCallId: 'c1', output: { type: 'error-text', value: error } }],
    });
  });

  it.each([
    ['another value', { to: 'Bo', sum: 6 }, false],
    ['a field more', { ...ARGS, fast: true }, false],
    ['a field less', { to: 'Bo' }, false],
    ['nothing', undefined, false],
    ['its keys in another order', { sum: 5, to: 'Bo' }, true],
  ])('R-16 that was allowed for %s is run: %o, %s', async (_what, args, isRun) => {
    const { pay, paid } = createPay();
    const agent = agentOf({ model: asking(), tools: [pay] });
    const world = createRunWorld();
    await world.start(agent).done;
    world.answer('c1', true);
    world.approvals.splice(0, 1, ...world.approvals.map((approval) => ({ ...approval, args })));
    const second = world.resume(agent);
    await second.done;
    expect(paid).toEqual(isRun ? [ARGS] : []);
    const error = 'A person allowed this call with other arguments: it was not run.';
    if (!isRun) expect(second.events[0]).toEqual({ type: 'tool.failed', callId: 'c1', name: 'pay', error });
  });

  it("R-16 is not run for the answer to another run's call, or another call's", async () => {
    const { pay, paid } = createPay();
    const agent = agentOf({ model: asking(), tools: [pay] });
    const world = createRunWorld();
    const answer = { approved: true, by: 'ann' };
    const other = { approvalId: 'x', name: 'pay', args: ARGS, requestedAt: 1, expiresAt: 2, answer };
    world.approvals.push(
      { ...other, runId: 'run_1.1', callId: 'c1' },
      { ...other, runId: 'run_1', callId: 'c2' },
    );
    const run = world.start(agent);
    await run.done;
    expect(run.events.at(-1)).toEqual(ASKED);
    expect(paid).toEqual([]);
  });

  it('R-16 is not asked for twice while another question of its step is open', async () => {
    const { pay, paid } = createPay();
    const other = { to: 'Al', sum: 1 };
    const model = scripted(
      [call('c1', 'pay', ARGS), call('c2', 'pay', other), finish('tool-calls')],
      [...text('Done.'), finish()],
    );
    const agent = agentOf({ model, tools: [pay] });
    const world = createRunWorld();
    const first = world.start(agent);
    await first.done;
    expect(first.events.map(({ type }) => type)).toEqual(['approval.requested', 'approval.requested']);
    world.answer('c2', true);
    const second = world.resume(agent);
    await second.done;
    expect(second.events.map(({ type }) => type)).toEqual(['tool.started', 'tool.completed']);
    world.answer('c1', true);
    const third = world.resume(agent);
    await third.done;
    expect(third.events).toEqual([
      { type: 'tool.started', callId: 'c1', name: 'pay', args: ARGS, confirmed: true },
      { type: 'tool.completed', callId: 'c1', name: 'pay', result: 'paid' },
      { type: 'text.delta', text: 'Done.' },
      { type: 'text.completed', text: 'Done.' },
    ]);
    expect(paid).toEqual([other, ARGS]);
  });

  it('R-22 in a run that starts over: the answer counts, an open question is not asked again', async () => {
    const { pay, paid } = createPay();
    const agent = agentOf({ model: asking(), tools: [pay] });
    const world = createRunWorld();
    await world.start(agent).done;
    const second = world.start(agent);
    await second.done;
    expect(second.events).toEqual([{ type: 'text.delta', text: 'One moment.' }]);
    world.answer('c1', true);
    const third = world.start(agent);
    await third.done;
    expect(third.events.map(({ type }) => type)).toEqual([
      'text.delta',
      'tool.started',
      'tool.completed',
      'text.delta',
      'text.completed',
    ]);
    expect(third.events[1]).toMatchObject({ confirmed: true });
    await world.start(agent).done;
    expect(paid).toHaveLength(1);
  });

  it('R-22 in a run that starts over after a denial shows it again, and nothing else of the call', async () => {
    const { pay } = createPay();
    const agent = agentOf({
      model: scripted([call('c1', 'pay', ARGS), finish('tool-calls')], [NEVER], [finish()]),
      tools: [pay],
    });
    const world = createRunWorld();
    await world.start(agent).done;
    world.answer('c1', false);
    const cut = world.resume(agent);
    await world.clock.settle();
    cut.abandon();
    const again = world.start(agent);
    await again.done;
    expect(again.events).toMatchObject([{ type: 'tool.failed', callId: 'c1' }]);
  });

  it('R-16 with arguments that its schema refuses is told to the model at once, and nobody is asked', async () => {
    const { pay, paid } = createPay();
    const model = scripted(
      [call('c1', 'pay', { to: 1, sum: 5 }), finish('tool-calls')],
      [...text('Sorry.'), finish()],
    );
    const run = createRunWorld().start(agentOf({ model, tools: [pay] }));
    await run.done;
    expect(run.events.map(({ type }) => type)).toEqual([
      'tool.started',
      'tool.failed',
      'text.delta',
      'text.completed',
    ]);
    expect(run.events[1]).toMatchObject({ error: expect.stringMatching(/^The arguments are wrong: to: /) });
    expect(paid).toEqual([]);
  });

  it.each([0, -1, 1.5, Number.NaN])('is refused with a confirmWithinMs of %s', (confirmWithinMs) => {
    expect(() =>
      defineTool({ name: 't', description: 'T.', input: z.object({}), run: () => 1, confirmWithinMs }),
    ).toThrow(`confirmWithinMs of "t" must be a whole number above 0, not ${confirmWithinMs}`);
  });
});
