import type { Component } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../test/context.ts';
import { agentOf, asking, echoing, failing, linesOf, waiting } from '../test/members.ts';
import { call, finish, NEVER, scripted, text } from '../test/model.ts';
import { ModelError } from './model-error.ts';
import { createTeam, type TeamOptions } from './team.ts';

const EDGE = { env: {}, now: () => 1_700_000_000_000 };
const teamOf = (options: Partial<TeamOptions> & Pick<TeamOptions, 'mode' | 'members'>): Component =>
  createTeam({ id: 't', name: 'T', ...options }, EDGE);
const delegate = (callId: string, member: string, message = 'go'): ReturnType<typeof call> =>
  call(callId, 'delegate', { member, message });

describe('a team that coordinates', () => {
  it('R-20 shows what its member does between the call and its result, as the member’s own', async () => {
    const model = scripted(
      [delegate('c1', 'a', 'look'), finish('tool-calls')],
      [...text('So be it.'), finish()],
    );
    const run = createRunWorld().start(teamOf({ mode: 'coordinate', members: [echoing('a')], model }));
    await run.done;
    expect(linesOf(run.events)).toEqual([
      'tool.started c1 {"member":"a","message":"look"}',
      '.c1 run.started',
      '.c1 text.delta "a: "',
      '.c1 text.delta "look"',
      '.c1 run.ended completed "a: look"',
      'tool.completed c1 "a: look"',
      'text.delta "So be it."',
      'text.completed "So be it."',
    ]);
    expect(run.events[1]?.by).toEqual({
      runId: 'run_1.c1',
      component: { kind: 'agent', id: 'a', name: 'A' },
      parentRunId: 'run_1',
    });
    expect(model.doStreamCalls[0]?.prompt[0]?.content).toContain('- a: A');
    expect(model.doStreamCalls[1]?.prompt.at(-1)).toMatchObject({
      content: [{ toolCallId: 'c1', output: { value: 'a: look' } }],
    });
  });

  it('R-20 has the members of one answer work side by side', async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const members = [waiting('a', () => gates[0].promise), waiting('b', () => gates[1].promise)];
    const model = scripted(
      [delegate('c1', 'a'), delegate('c2', 'b'), finish('tool-calls')],
      [...text('ok'), finish()],
    );
    const world = createRunWorld();
    const run = world.start(teamOf({ mode: 'coordinate', members, model }));
    await world.clock.settle();
    gates[1].resolve();
    await world.clock.settle();
    gates[0].resolve();
    await run.done;
    const order = linesOf(run.events).filter((line) => /two|one|completed c/.test(line));
    expect(order).toEqual([
      '.c1 text.delta "one "',
      '.c2 text.delta "one "',
      '.c2 text.delta "two"',
      '.c2 run.ended completed "one two"',
      'tool.completed c2 "one two"',
      '.c1 text.delta "two"',
      '.c1 run.ended completed "one two"',
      'tool.completed c1 "one two"',
    ]);
  });

  it.each([
    [new ModelError('The endpoint is down.'), 'The endpoint is down.'],
    [new Error('a secret path'), 'The agent "a" failed. The server has noted why.'],
  ])('tells its leader of a member that failed: %s', async (error, reason) => {
    const model = scripted([delegate('c1', 'a'), finish('tool-calls')], [...text('Sorry.'), finish()]);
    const world = createRunWorld();
    const run = world.start(teamOf({ mode: 'coordinate', members: [failing('a', error)], model }));
    await run.done;
    expect(linesOf(run.events).slice(-4)).toEqual([
      `.c1 run.ended failed "half" ${reason}`,
      `tool.failed c1 ${reason}`,
      'text.delta "Sorry."',
      'text.completed "Sorry."',
    ]);
    expect(world.reports).toMatchObject([{ cause: error }]);
  });

  it('tells its leader of a member that there is not', async () => {
    const model = scripted([delegate('c1', 'z'), finish('tool-calls')], [...text('Sorry.'), finish()]);
    const run = createRunWorld().start(teamOf({ mode: 'coordinate', members: [echoing('a')], model }));
    await run.done;
    expect(linesOf(run.events)[1]).toMatch(/^tool.failed c1 .*member: must be one of a$/);
  });

  it('R-22 that starts over shows a finished member in brief, and runs only what was cut', async () => {
    const a = echoing('a');
    const b = waiting('b', () => (b.runs() === 1 ? NEVER : Promise.resolve()));
    const model = scripted(
      [delegate('c1', 'a'), delegate('c2', 'b'), finish('tool-calls')],
      [...text('ok'), finish()],
    );
    const team = teamOf({ mode: 'coordinate', members: [a, b], model, onInterrupt: 'restart' });
    const world = createRunWorld();
    const first = world.start(team);
    await world.clock.settle();
    first.abandon();
    const second = world.start(team);
    await second.done;
    expect([a.runs(), b.runs(), model.doStreamCalls.length]).toEqual([1, 2, 2]);
    expect(linesOf(second.events)).toEqual([
      'tool.started c1 {"member":"a","message":"go"}',
      'tool.started c2 {"member":"b","message":"go"}',
      'tool.completed c1 "a: go"',
      '.c2 run.started',
      '.c2 text.delta "one "',
      '.c2 text.delta "two"',
      '.c2 run.ended completed "one two"',
      'tool.completed c2 "one two"',
      'text.delta "ok"',
      'text.completed "ok"',
    ]);
  });

  it('R-16 waits for the answer that a member asked for, while the other goes on; nothing is shown twice', async () => {
    const [a, b] = [echoing('a'), asking('b')];
    const model = scripted(
      [delegate('c1', 'a'), delegate('c2', 'b'), finish('tool-calls')],
      [...text('ok'), finish()],
    );
    const team = teamOf({ mode: 'coordinate', members: [a, b], model });
    const world = createRunWorld();
    const first = world.start(team);
    await first.done;
    expect(linesOf(first.events).toSorted()).toEqual(
      [
        'tool.started c1 {"member":"a","message":"go"}',
        'tool.started c2 {"member":"b","message":"go"}',
        '.c1 run.started',
        '.c2 run.started',
        '.c1 text.delta "a: "',
        '.c2 text.delta "May I? "',
        '.c2 approval.requested',
        '.c1 text.delta "go"',
        '.c1 run.ended completed "a: go"',
        'tool.completed c1 "a: go"',
      ].toSorted(),
    );
    world.answer('c', true);
    const second = world.resume(team);
    await second.done;
    expect(linesOf(second.events)).toEqual([
      '.c2 text.delta "Done."',
      '.c2 run.ended completed "May I? Done."',
      'tool.completed c2 "May I? Done."',
      'text.delta "ok"',
      'text.completed "ok"',
    ]);
    expect([a.runs(), b.runs()]).toEqual([1, 2]);
  });

  it('R-22 that starts over after a pause asks nothing again that was answered', async () => {
    const model = scripted([delegate('c1', 'b'), finish('tool-calls')], [...text('ok'), finish()]);
    const team = teamOf({ mode: 'coordinate', members: [asking('b')], model });
    const world = createRunWorld();
    await world.start(team).done;
    world.answer('c', false);
    const second = world.start(team);
    await second.done;
    expect(linesOf(second.events).slice(0, 4)).toEqual([
      'tool.started c1 {"member":"b","message":"go"}',
      '.c1 run.started',
      '.c1 text.delta "Left."',
      '.c1 run.ended completed "Left."',
    ]);
  });

  it('R-19 ends at the depth limit, and says so, whatever its leader would say', async () => {
    const inner = teamOf({
      mode: 'broadcast',
      members: [teamOf({ mode: 'broadcast', members: [echoing('a')] })],
    });
    const model = scripted([delegate('c1', 't'), finish('tool-calls')], [...text('never'), finish()]);
    const middle = createTeam({ id: 'm', name: 'M', mode: 'broadcast', members: [inner] }, EDGE);
    const outer = teamOf({ mode: 'coordinate', members: [{ ...middle, id: 't' }], model });
    const run = createRunWorld().start(outer); // the limit is 3
    await expect(run.done).rejects.toMatchObject({
      message: expect.stringContaining('may be 3 deep'),
      details: { code: 'depth_limit', limit: 3 },
    });
    expect(linesOf(run.events).filter((line) => line.includes('failed'))).toHaveLength(3);
    expect(model.doStreamCalls).toHaveLength(1);
  });

  it('ends a member with the reader that goes away', async () => {
    let signal: AbortSignal | null = null;
    const a = agentOf('a', async function* (context) {
      signal = context.signal;
      yield { type: 'text.delta', text: 'x' };
      await NEVER;
    });
    const model = scripted([delegate('c1', 'a'), finish('tool-calls')]);
    const outputs = teamOf({ mode: 'coordinate', members: [a], model })
      .run(createRunWorld().context())
      [Symbol.asyncIterator]();
    for (let count = 0; count < 3; count++) await outputs.next();
    expect(signal).toMatchObject({ aborted: false });
    await outputs.return?.();
    expect(signal).toMatchObject({ aborted: true });
  });
});
