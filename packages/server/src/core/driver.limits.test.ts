import { type Approval, type Component, type RunLimits, WireError } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { begin, createDriveWorld, RUNNING } from '../../test/drive.ts';
import { only, range } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import type { RunState } from './run.ts';
import { checkRunLimits } from './run-limits.ts';

const limited = (limits: Partial<RunLimits>): Partial<Component> => ({ limits });
const by = { runId: 'run_1.a', component: { kind: 'agent' as const, id: 'a', name: 'A' } };

describe('the limits of a run', () => {
  it('R-19 its time: beyond it the run ends, and its agent is stopped', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world, limited({ timeMs: 60_000 }));
    run.say({ type: 'text.delta', text: 'so far' });
    await world.clock.advance(59_999);
    expect(await world.end()).toBeNull();
    await world.clock.advance(1);
    await done;
    expect(await world.end()).toMatchObject({ status: 'failed', code: 'time_limit', content: 'so far' });
    expect(run.context.signal.aborted).toBe(true);
  });

  it('R-19 a run that starts over has no more time than it had', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { onInterrupt: 'restart', limits: { timeMs: 60_000 } });
    await world.clock.advance(50_000);
    const state: RunState = { ...RUNNING, activeSince: world.clock.now() - 50_000 };
    const { done } = world.drive(puppet.component, { state });
    await world.clock.advance(10_000);
    await done;
    expect(await world.end()).toMatchObject({ status: 'failed', code: 'time_limit' });
  });

  it('R-19 a run that goes on after a pause has its time anew: a person took the other', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { limits: { timeMs: 60_000 } });
    await world.clock.advance(3_600_000);
    world.drive(puppet.component, { state: { ...RUNNING, status: 'paused' } });
    await world.clock.advance(59_000);
    expect(await world.end()).toBeNull();
    await world.clock.advance(1_000);
    expect(await world.end()).toMatchObject({ code: 'time_limit' });
  });

  it('R-19 a limit above what timers hold is none', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world, limited({ timeMs: Number.POSITIVE_INFINITY }));
    await world.clock.advance(90 * 24 * 3_600_000);
    run.finish();
    await done;
    expect(await world.end()).toMatchObject({ status: 'completed' });
  });

  it('R-19 its tool calls, members included: the one beyond is not shown', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world, limited({ toolCalls: 2 }));
    run.say({ type: 'tool.started', callId: '1', name: 't' });
    run.say({ type: 'tool.started', callId: '2', name: 't', by });
    run.say({ type: 'tool.started', callId: '3', name: 't' });
    await done;
    expect(await world.end()).toMatchObject({ status: 'failed', code: 'tool_call_limit' });
    const started = (await world.entries()).filter(({ type }) => type === 'tool.started');
    expect(started).toHaveLength(2);
  });

  it('R-19 its tokens, read and written, over a pause', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { limits: { tokens: 100 } });
    const used = { toolCalls: 0, inputTokens: 40, outputTokens: 40 };
    const { done } = world.drive(puppet.component, { state: { ...RUNNING, status: 'paused', used } });
    await world.clock.settle();
    only(puppet.runs).say({ type: 'usage', inputTokens: 10, outputTokens: 10 });
    only(puppet.runs).say({ type: 'usage', inputTokens: 0, outputTokens: 1 });
    await done;
    expect(await world.end()).toMatchObject({ status: 'failed', code: 'token_limit' });
  });

  it('R-19 the agent is told its limits, and a limit it finds itself has its name', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world, limited({ depth: 2 }));
    expect(run.context.limits).toMatchObject({ depth: 2, toolCalls: 1_000 });
    run.fail(new WireError('invalid', 'Members go too deep.', { details: { code: 'depth_limit' } }));
    await done;
    expect(await world.end()).toMatchObject({
      status: 'failed',
      code: 'depth_limit',
      reason: 'Members go too deep.',
    });
  });

  it.each([
    ['timeMs', 0],
    ['timeMs', Number.NaN],
    ['toolCalls', -1],
    ['tokens', '5'],
    ['patience', 5],
  ])('may not be %s: %j', (name, value) => {
    expect(() => checkRunLimits({ [name]: value }, 'runLimits')).toThrow(name);
  });
});

describe('what a run took', () => {
  it('R-26 is told at its end, members and time included', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    run.say({ type: 'usage', inputTokens: 10, outputTokens: 3 });
    run.say({ type: 'usage', inputTokens: 5, outputTokens: 2, by });
    run.say({ type: 'tool.started', callId: '1', name: 't', by });
    await world.clock.advance(1_500);
    run.finish();
    await done;
    expect(await world.end()).toMatchObject({
      metrics: { inputTokens: 15, outputTokens: 5, toolCalls: 1, durationMs: 1_500 },
    });
  });
});

function asked(answer: Approval['answer']): Approval {
  const times = { requestedAt: 0, expiresAt: 86_400_000 };
  return {
    approvalId: 'apr_1',
    callId: 'c1',
    name: 'book',
    args: { to: 'Porto' },
    runId: 'run_1',
    ...times,
    answer,
  };
}

describe('a run that asked', () => {
  it('R-18 ends when nobody answered in time, and is not run again', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet');
    const expired = { approved: false, by: 'expiry', expired: true } as const;
    await world.drive(puppet.component, {
      state: { ...RUNNING, status: 'paused', approvals: [asked(expired)] },
    }).done;
    expect(await world.end()).toMatchObject({ status: 'rejected', code: 'approval_expired' });
    expect(puppet.runs).toHaveLength(0);
  });

  it('R-16 pauses again for what stayed open, when it starts over and asks no more', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { onInterrupt: 'restart' });
    const { done } = world.drive(puppet.component, { state: { ...RUNNING, approvals: [asked(null)] } });
    await world.clock.settle();
    only(puppet.runs).finish();
    await done;
    const paused = (await world.entries()).find(({ type }) => type === 'run.paused');
    expect(paused?.data).toMatchObject({ questions: [{ approvalId: 'apr_1', callId: 'c1' }] });
    expect(await world.end()).toBeNull();
  });

  it('R-16 asks once though its agent asks the same again', async () => {
    const world = createDriveWorld();
    const { run, done } = await begin(world);
    for (const _ of range(1, 2)) run.say({ type: 'approval.requested', callId: 'c1', name: 'book' });
    run.finish();
    await done;
    const questions = (await world.entries()).filter(({ type }) => type === 'approval.requested');
    expect(questions).toHaveLength(1);
  });

  it('R-16 may not ask for more than a person can see, nor about more', async () => {
    for (const fault of ['many', 'large']) {
      const world = createDriveWorld();
      const { run, done } = await begin(world);
      const args = fault === 'large' ? 'x'.repeat(40_000) : {};
      for (const n of range(1, 31))
        run.say({ type: 'approval.requested', callId: `c${n}`, name: 'book', args });
      run.finish();
      await done;
      expect(await world.end()).toMatchObject({ status: 'failed' });
    }
  });
});

describe('a server that may have lost a run', () => {
  it('R-22 begins no step of it', async () => {
    const world = createDriveWorld();
    const { run, stop, done } = await begin(world);
    world.isHeld = false; // it has slept through its lease, and does not know it
    let worked = false;
    const step = run.context.once('pay', async () => {
      worked = true;
    });
    let settled = false;
    const over = step.catch(() => {
      settled = true;
    });
    await world.clock.advance(1_000);
    expect([worked, settled]).toEqual([false, false]);
    stop('lost');
    await Promise.all([done, over]);
    expect([worked, settled]).toEqual([false, true]);
  });

  it('R-22 takes what another server has finished meanwhile', async () => {
    const world = createDriveWorld();
    const first = await begin(world);
    let finish: (value: string) => void = () => {};
    const slow = first.run.context.once('pay', () => new Promise<string>((resolve) => (finish = resolve)));
    await world.clock.settle();
    const second = await begin(world);
    expect(await second.run.context.once('pay', async () => 'paid by the second')).toBe('paid by the second');
    finish('paid by the first');
    expect(await slow).toBe('paid by the second');
    for (const { stop } of [first, second]) stop('lost');
    await Promise.all([first.done, second.done]);
  });
});

describe('a run that is cancelled where it would start over', () => {
  it('R-12, L-6 ends with what it has said, in the attempt that said it', async () => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { onInterrupt: 'restart' });
    await world.drive(puppet.component, { state: RUNNING }, 'cancelled').done;
    expect(await world.end()).toMatchObject({ status: 'cancelled', content: RUNNING.text, attempt: 1 });
    expect(puppet.runs).toHaveLength(0);
  });
});

describe('a step that is finished', () => {
  it('R-22 is kept for as long as its run comes back to it, however old it is', async () => {
    const DAY_MS = 24 * 3_600_000;
    const world = createDriveWorld();
    let paid = 0;
    for (const _week of range(1, 6)) {
      const { run, stop, done } = await begin(world, { limits: { timeMs: Number.POSITIVE_INFINITY } });
      expect(await run.context.once('pay', async () => ++paid)).toBe(1);
      stop('lost');
      await done;
      await world.clock.advance(6 * DAY_MS);
    }
  });
});

describe('a server that closes', () => {
  it('R-22 leaves a restartable run to another, without an end', async () => {
    const world = createDriveWorld();
    const { run, stop, done } = await begin(world, { onInterrupt: 'restart' });
    run.say({ type: 'text.delta', text: 'half' });
    await world.clock.settle();
    stop('drained');
    await done;
    expect(await world.end()).toBeNull();
    const types = (await world.entries()).map(({ type }) => type);
    expect(types).toEqual(['run.started', 'text.delta', 'run.handed_over']);
  });

  it('R-22 ends any other', async () => {
    const world = createDriveWorld();
    const { stop, done } = await begin(world);
    stop('drained');
    await done;
    expect(await world.end()).toMatchObject({ status: 'interrupted' });
  });

  it.each([
    ['died', { crashes: 4 }, 0],
    ['died, the last time in good order', { crashes: 4, isHandedOver: true }, 1],
    ['closed', { attempt: 50, isHandedOver: true }, 1],
  ])('R-22 a run whose servers have often %s starts over, or has an end', async (_how, more, starts) => {
    const world = createDriveWorld();
    const puppet = createPuppet('puppet', { onInterrupt: 'restart' });
    const { stop, done } = world.drive(puppet.component, { state: { ...RUNNING, ...more } });
    await world.clock.settle();
    expect(puppet.runs).toHaveLength(starts);
    if (starts === 0) expect(await world.end()).toMatchObject({ status: 'interrupted' });
    stop('lost');
    await done;
  });
});
