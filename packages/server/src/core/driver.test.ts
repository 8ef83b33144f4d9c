import { type AgentRunner, type Component, type TellsUser, WireError } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { begin, createDriveWorld, RUNNING } from '../../test/drive.ts';
import { nth, only } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';

const tell = (tellsUser: boolean): Error =>
  Object.assign(new Error('Ask for less.'), { tellsUser }) satisfies Omit<TellsUser, 'tellsUser'>;

describe('a run', () => {
  it('L-6 that comes to its end is completed, with all it said', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    run.say({ type: 'text.delta', text: 'hi' });
    run.finish();
    await done;
    expect((await world.entries()).map(({ type }) => type)).toEqual([
      'run.started',
      'text.delta',
      'text.completed',
      'run.ended',
    ]);
    expect(await world.end()).toMatchObject({
      status: 'completed',
      content: 'hi',
      attempt: 1,
      messageId: 'm1',
    });
  });

  it.each([
    ['an error', new Error('10.0.0.7: no route'), 'The agent failed. The server has noted why.'],
    ['something else', 'no quota', 'The agent failed. The server has noted why.'],
    ['nothing', undefined, 'The agent failed. The server has noted why.'],
    ['what has no words', Object.create(null), 'The agent failed. The server has noted why.'],
    ['an error that says otherwise', tell(false), 'The agent failed. The server has noted why.'],
    ['an error for users', tell(true), 'Ask for less.'],
    ['an error of the wire', new WireError('invalid', 'That is too far.'), 'That is too far.'],
    ['an error without words', new WireError('invalid', ''), 'The agent failed. The server has noted why.'],
  ])(
    'L-6 whose agent throws %s has failed: the person is told what is for them, the log why',
    async (_what, thrown, reason) => {
      const world = createDriveWorld();
      const { run, done } = await begin(world);
      run.say({ type: 'text.delta', text: 'half' });
      run.fail(thrown);
      await done;
      expect(await world.end()).toMatchObject({ status: 'failed', reason, content: 'half' });
      expect(world.reports).toHaveLength(1);
      expect(only(world.reports).problem).toBe('the agent "puppet" in run run_1 failed');
      expect(only(world.reports).error).toBe(thrown); // with its cause
    },
  );

  it('L-6 that reports something goes on', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    const error = new Error('the answer was cut');
    run.context.report(error);
    run.finish();
    await done;
    expect(world.reports).toEqual([{ problem: 'a report of the agent "puppet" in run run_1', error }]);
    expect(await world.end()).toMatchObject({ status: 'completed' });
  });

  it.each<[string, unknown]>([
    ['no object', 'hello'],
    ['nothing', undefined],
    ['an unknown type', { type: 'dance' }],
    ['a wrong field', { type: 'text.delta', text: 7 }],
    ["the engine's own words", { type: 'run.ended', status: 'completed', content: 'I say so' }],
    [
      'its own end, as if it were a member of itself',
      {
        type: 'run.ended',
        status: 'completed',
        content: 'I say so',
        by: { runId: 'run_1', component: { kind: 'agent', id: 'me', name: 'Me' } },
      },
    ],
    ['what is no JSON', { type: 'tool.completed', callId: 'c', name: 't', result: 1n }],
  ])('L-6 whose agent yields %s has failed, and nothing of it is stored', async (_what, output) => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    run.blurt(output);
    run.say({ type: 'text.delta', text: 'never' });
    run.finish();
    await done;
    const end = await world.end();
    expect(end).toMatchObject({ status: 'failed', content: '' });
    expect((end as { reason: string }).reason).not.toBe('');
    expect(only(world.reports).error).toBeInstanceOf(Error);
    expect((await world.entries()).map(({ type }) => type)).toEqual(['run.started', 'run.ended']);
    expect(run.stopped).toBe(true);
  });

  it.each<[string, AgentRunner]>([
    [
      'throws before it yields anything',
      () => {
        throw new Error('no key');
      },
    ],
    ['gives nothing to iterate over', () => ({}) as never],
    [
      'cannot be told to stop',
      () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.reject(new Error('no key')),
          return() {
            throw new Error('I do not stop');
          },
        }),
      }),
    ],
  ])('L-6 whose agent %s has failed', async (_what, run) => {
    const world = createDriveWorld();
    await world.drive({ ...createPuppet('puppet').component, run }).done;
    expect(await world.end()).toMatchObject({
      status: 'failed',
      reason: 'The agent failed. The server has noted why.',
    });
    expect(String(only(world.reports).error)).toMatch(/no key|iterator/i);
  });

  it('L-6 whose agent throws a book ends with its first page', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    run.fail(new WireError('invalid', `no such file: ${'x'.repeat(2_000_000)}`));
    await done;
    expect(await world.end()).toMatchObject({
      status: 'failed',
      reason: expect.stringContaining('no such file'),
    });
  });

  it('L-17 whose agent says too much in one event has failed, and says which', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    run.say({ type: 'text.delta', text: 'half' });
    run.say({ type: 'tool.completed', callId: 'c', name: 't', result: 'x'.repeat(2_000_000) });
    await done;
    expect(await world.end()).toMatchObject({
      status: 'failed',
      content: 'half',
      reason: expect.stringMatching(/tool\.completed.*Return less/),
    });
  });

  it('is told who it is for and what was said', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet');
    const history = [{ role: 'user' as const, content: 'before', messageId: 'm0', at: 1 }];
    const driven = world.drive(puppet.component, { history: async () => history });
    await world.clock.settle();
    const run = only(puppet.runs);
    expect(run.context).toMatchObject({
      runId: 'run_1',
      sessionId: 's1',
      messageId: 'm1',
      user: 'me',
      input: 'hello',
      attempt: 1,
    });
    expect(await run.context.history()).toEqual(history);
    run.finish();
    await driven.done;
  });
});

describe('a run that is stopped', () => {
  it.each([
    ['cancelled', { status: 'cancelled', reason: 'somebody asked', content: 'half' }],
    ['drained', { status: 'interrupted', reason: 'The server was shut down.', content: 'half' }],
  ] as const)('because it was %s ends with what it had said, whatever its agent does', async (cause, end) => {
    const world = createDriveWorld();
    const { run, done, stop } = await begin(world);
    run.say({ type: 'text.delta', text: 'half' });
    await world.clock.settle();
    stop(cause);
    await done;
    expect(await world.end()).toMatchObject(end);
    run.fail(new Error('I was cut off'));
    expect(world.reports).toEqual([]);
    expect([run.stopped, run.context.signal.aborted]).toEqual([true, true]);
    run.say({ type: 'text.delta', text: 'late' });
    await world.clock.settle();
    expect(nth(await world.entries(), -1).id).toBe('run_1:end');
  });

  it('L-7 because its lease is lost writes nothing more', async () => {
    const world = createDriveWorld();
    const { run, done, stop } = await begin(world);
    run.say({ type: 'text.delta', text: 'half' });
    await world.clock.settle();
    stop('lost');
    await done;
    run.say({ type: 'text.delta', text: 'late' });
    await world.clock.settle();
    expect((await world.entries()).map(({ type }) => type)).toEqual(['run.started', 'text.delta']);
    expect(world.reports).toEqual([]);
  });

  it('before it has begun is over, and its agent was never called', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet');
    let calls = 0;
    const watched: Component = {
      ...puppet.component,
      run(context) {
        calls++;
        return puppet.component.run(context);
      },
    };
    const { done } = world.drive(watched, {}, 'cancelled');
    await done;
    expect((await world.entries()).map(({ type }) => type)).toEqual(['run.started', 'run.ended']);
    expect(await world.end()).toMatchObject({ status: 'cancelled', reason: 'somebody asked' });
    expect(calls).toBe(0);
  });

  it('wakes its agent from its sleep, and leaves no timer', async () => {
    const world = createDriveWorld();
    const before = world.clock.timers;
    const { run, done, stop } = await begin(world);
    const begun = world.clock.timers;
    const slept = run.context.sleep(60_000);
    const woken = expect(slept).rejects.toThrow('stopped');
    expect(world.clock.timers).toBe(begun + 1);
    stop('cancelled');
    await woken;
    await done;
    expect(world.clock.timers).toBe(before);
  });

  it('sleeps as long as it says otherwise', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    const started = world.clock.now();
    const slept = run.context.sleep(1_234).then(() => world.clock.now() - started);
    await world.clock.advance(5_000);
    expect(await slept).toBe(1_234);
    run.finish();
    await done;
  });
});

describe('a run that is taken over', () => {
  it('L-9 ends interrupted with what it had said, and its agent is not called', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet');
    await world.drive(puppet.component, { state: RUNNING }).done;
    expect(await world.end()).toMatchObject({
      status: 'interrupted',
      content: 'what it had said',
      attempt: 1,
    });
    expect(puppet.runs).toHaveLength(0);
  });

  it('L-9 ends cancelled when that was asked for', async () => {
    const world = createDriveWorld();
    await world.drive(createPuppet('puppet').component, { state: RUNNING }, 'cancelled').done;
    expect(await world.end()).toMatchObject({ status: 'cancelled', content: 'what it had said' });
  });

  it('L-9 starts over with a higher attempt where its agent is marked for it', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { onInterrupt: 'restart' });
    const { done } = world.drive(puppet.component, { state: { ...RUNNING, attempt: 2 } });
    await world.clock.settle();
    const run = only(puppet.runs);
    expect(run.context).toMatchObject({ attempt: 3, continues: false });
    run.say({ type: 'text.delta', text: 'anew' });
    run.finish();
    await done;
    const entries = await world.entries();
    expect(nth(entries, 0)).toMatchObject({ type: 'run.attempt', data: { attempt: 3 } });
    expect(await world.end()).toMatchObject({ status: 'completed', content: 'anew', attempt: 3 });
  });

  it.each([
    [4, 'completed', 1],
    [5, 'interrupted', 0],
  ])('L-9 starts over five times at most: after crash %i it is %s', async (crash, status, calls) => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { onInterrupt: 'restart' });
    const { done } = world.drive(puppet.component, { state: { ...RUNNING, crashes: crash - 1 } });
    await world.clock.settle();
    for (const run of puppet.runs) run.finish();
    await done;
    expect(await world.end()).toMatchObject({ status });
    expect(puppet.runs).toHaveLength(calls);
  });
});

describe('a run that goes on after a pause', () => {
  it('L-9 is told so, in the same attempt', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet');
    const { done } = world.drive(puppet.component, { state: { ...RUNNING, status: 'paused' } });
    await world.clock.settle();
    const run = only(puppet.runs);
    expect(run.context).toMatchObject({ attempt: 1, continues: true });
    run.finish();
    await done;
    expect(await world.end()).toMatchObject({ status: 'completed', content: 'what it had said' });
  });
});

describe('a step that is done once', () => {
  it('L-9 is read back when the run starts over', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { onInterrupt: 'restart' });
    let done = 0;
    const pay = async (): Promise<{ receipt: number }> => ({ receipt: ++done });

    const first = world.drive(puppet.component);
    await world.clock.settle();
    expect(await nth(puppet.runs, 0).context.once('pay', pay)).toEqual({ receipt: 1 });
    first.stop('lost');
    await first.done;

    const second = world.drive(puppet.component, { state: RUNNING });
    await world.clock.settle();
    const again = nth(puppet.runs, 1);
    expect(await again.context.once('pay', pay)).toEqual({ receipt: 1 });
    expect(await again.context.once('pay more', pay)).toEqual({ receipt: 2 });
    expect(done).toBe(2);
    again.finish();
    await second.done;
  });

  it('L-9 is done again when it did not finish', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    let tries = 0;
    const flaky = async (): Promise<string> => {
      if (++tries === 1) throw new Error('no connection');
      return 'done';
    };
    await expect(run.context.once('step', flaky)).rejects.toThrow('no connection');
    expect(await run.context.once('step', flaky)).toBe('done');
    run.finish();
    await done;
  });

  it('L-9 belongs to its run: another run does its own', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet');
    const first = world.drive(puppet.component);
    const second = world.drive(puppet.component, { runId: 'run_2' });
    await world.clock.settle();
    const results = await Promise.all(
      puppet.runs.map((run) => run.context.once('step', async () => run.context.runId)),
    );
    expect(results).toEqual(['run_1', 'run_2']);
    first.stop('lost');
    second.stop('lost');
    await Promise.all([first.done, second.done]);
  });
});
