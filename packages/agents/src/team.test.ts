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

describe('a team that routes', () => {
  const route = (callId: string, args: object): ReturnType<typeof call> => call(callId, 'route', args);

  it('answers with the words of the member, which gets the message as it came', async () => {
    const model = scripted([...text('Over to A.'), route('c1', { member: 'a' }), finish('tool-calls')]);
    const team = teamOf({ mode: 'route', members: [echoing('a'), echoing('b')], model });
    const run = createRunWorld().start(team, 'why?');
    await run.done;
    expect(linesOf(run.events)).toEqual([
      'tool.started c1 {"member":"a"}',
      '.c1 run.started',
      '.c1 text.delta "a: "',
      '.c1 text.delta "why?"',
      '.c1 run.ended completed "a: why?"',
      'tool.completed c1 "a: why?"',
      'text.delta "a: why?"',
      'text.completed "a: why?"',
    ]);
    expect(model.doStreamCalls).toHaveLength(1);
  });

  it('asks its leader again when that names nobody, and takes one of two', async () => {
    const model = scripted(
      [route('c1', { member: 'z' }), finish('tool-calls')],
      [route('c2', { member: 'a', message: 'x' }), route('c3', { member: 'b' }), finish('tool-calls')],
    );
    const b = echoing('b');
    const run = createRunWorld().start(teamOf({ mode: 'route', members: [echoing('a'), b], model }));
    await run.done;
    const lines = linesOf(run.events);
    expect(lines.at(-1)).toBe('text.completed "a: x"');
    expect(lines).toContain('tool.failed c3 A member was chosen already, and it answers alone.');
    expect(b.runs()).toBe(0);
  });

  it('answers with the words of its leader where that picks nobody', async () => {
    const run = createRunWorld().start(
      teamOf({ mode: 'route', members: [echoing('a')], model: scripted([...text('Hel', 'lo.'), finish()]) }),
    );
    await run.done;
    expect(linesOf(run.events)).toEqual(['text.delta "Hello."', 'text.completed "Hello."']);
  });

  it('fails where its leader picks nobody and says nothing', async () => {
    const team = teamOf({ mode: 'route', members: [echoing('a')], model: scripted([finish()]) });
    await expect(createRunWorld().start(team).done).rejects.toMatchObject({ tellsUser: true });
  });

  it('fails with its member', async () => {
    const model = scripted([route('c1', { member: 'a' }), finish('tool-calls')]);
    const members = [failing('a', new ModelError('The endpoint is down.'))];
    const run = createRunWorld().start(teamOf({ mode: 'route', members, model }));
    await expect(run.done).rejects.toMatchObject({ message: 'The endpoint is down.', tellsUser: true });
    expect(linesOf(run.events).at(-1)).toBe('tool.failed c1 The endpoint is down.');
  });

  it('R-16 waits for the answer that its member asked for', async () => {
    const model = scripted([route('c1', { member: 'b' }), finish('tool-calls')]);
    const team = teamOf({ mode: 'route', members: [asking('b')], model });
    const world = createRunWorld();
    const first = world.start(team);
    await first.done;
    expect(linesOf(first.events).at(-1)).toBe('.c1 approval.requested');
    world.answer('c', true);
    const second = world.resume(team);
    await second.done;
    expect(linesOf(second.events)).toEqual([
      '.c1 text.delta "Done."',
      '.c1 run.ended completed "May I? Done."',
      'tool.completed c1 "May I? Done."',
      'text.delta "May I? Done."',
      'text.completed "May I? Done."',
    ]);
  });
});

describe('a team that broadcasts', () => {
  it('R-20 asks all members at once and puts their answers together under their names', async () => {
    const run = createRunWorld().start(
      teamOf({ mode: 'broadcast', members: [echoing('a'), echoing('b')] }),
      'hi',
    );
    await run.done;
    const lines = linesOf(run.events);
    expect(lines.slice(0, 2)).toEqual(['.a run.started', '.b run.started']);
    expect(lines.slice(-2)).toEqual([
      String.raw`text.delta "A:\na: hi\n\nB:\nb: hi"`,
      String.raw`text.completed "A:\na: hi\n\nB:\nb: hi"`,
    ]);
  });

  it('has its leader write one answer from theirs, where it has a model', async () => {
    const model = scripted([...text('Both.'), finish()]);
    const failed = failing('b', new ModelError('No.'));
    const run = createRunWorld().start(
      teamOf({ mode: 'broadcast', members: [echoing('a'), failed], model }),
      'hi',
    );
    await run.done;
    expect(linesOf(run.events).at(-1)).toBe('text.completed "Both."');
    expect(model.doStreamCalls[0]?.prompt.at(-1)?.content).toMatchObject([
      { text: 'The message:\nhi\n\nThe answers of the members:\n\nA:\na: hi\n\nB failed: No.' },
    ]);
  });

  it('fails when all of its members have', async () => {
    const members = [failing('a', new ModelError('No.')), failing('b', new ModelError('Nor I.'))];
    const run = createRunWorld().start(teamOf({ mode: 'broadcast', members }));
    await expect(run.done).rejects.toMatchObject({
      message: 'Every member of the team failed. A failed: No. B failed: Nor I.',
      tellsUser: true,
    });
  });

  it('ends its members with the reader that goes away', async () => {
    let signal: AbortSignal | null = null;
    const a = agentOf('a', async function* (context) {
      signal = context.signal;
      yield { type: 'text.delta', text: 'x' };
      await NEVER;
    });
    const team = teamOf({ mode: 'broadcast', members: [a] });
    const outputs = team.run(createRunWorld().context())[Symbol.asyncIterator]();
    for (let count = 0; count < 2; count++) await outputs.next();
    expect(signal).toMatchObject({ aborted: false });
    await outputs.return?.();
    expect(signal).toMatchObject({ aborted: true });
  });

  it('R-16 goes on with who has asked; who was finished is neither run nor shown again', async () => {
    const a = echoing('a');
    const team = teamOf({ mode: 'broadcast', members: [a, asking('b')] });
    const world = createRunWorld();
    await world.start(team, 'hi').done;
    world.answer('c', true);
    const second = world.resume(team, 'hi');
    await second.done;
    expect(linesOf(second.events).slice(0, 3)).toEqual([
      '.b text.delta "Done."',
      '.b run.ended completed "May I? Done."',
      String.raw`text.delta "A:\na: hi\n\nB:\nMay I? Done."`,
    ]);
    expect(a.runs()).toBe(1);
  });

  it('R-22 that starts over shows who was finished in brief', async () => {
    const a = echoing('a');
    const b = waiting('b', () => (b.runs() === 1 ? NEVER : Promise.resolve()));
    const team = teamOf({ mode: 'broadcast', members: [a, b] });
    const world = createRunWorld();
    const first = world.start(team, 'hi');
    await world.clock.settle();
    first.abandon();
    const second = world.start(team, 'hi');
    await second.done;
    expect(linesOf(second.events).filter((line) => line.startsWith('.a'))).toEqual([
      '.a run.started',
      '.a text.completed "a: hi"',
      '.a run.ended completed "a: hi"',
    ]);
    expect([a.runs(), b.runs()]).toEqual([1, 2]);
  });
});

describe('what is defined', () => {
  it('is a team with its members', () => {
    const members = [echoing('a')];
    const { run, ...team } = teamOf({ mode: 'coordinate', members, model: 'm-1', limits: { depth: 2 } });
    expect(team).toEqual({
      kind: 'team',
      id: 't',
      name: 'T',
      mode: 'coordinate',
      model: 'm-1',
      members: [{ id: 'a', name: 'A' }],
      limits: { depth: 2 },
      steerable: true,
    });
    expect(run).toBeTypeOf('function');
  });

  it.each<[Partial<TeamOptions>, string]>([
    [{ id: 'a b' }, 'defineTeam: the id "a b" must be'],
    [{ name: '' }, 'name must not be empty'],
    [{ members: [] }, 'members must not be empty'],
    [{ members: [echoing('a'), echoing('a')] }, 'the member "a" is there twice'],
    [{ model: '' }, 'model must not be empty'],
    [{ maxSteps: 0 }, 'maxSteps must be 1 or more, not 0'],
    [{ stallMs: 0 }, 'stallMs must be above 0, not 0'],
    [{ deltaJoinMs: -1 }, 'deltaJoinMs must be 0 or more, not -1'],
    [{ limits: { depth: 0 } }, 'limits.depth must be above 0, not 0'],
  ])('is refused with the option that is wrong: %o', (options, sentence) => {
    expect(() => teamOf({ mode: 'route', members: [echoing('a')], ...options })).toThrow(sentence);
  });
});
