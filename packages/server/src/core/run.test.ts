import type { EndStatus, Entry } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createScript, type Script } from '../../test/events.ts';
import { endIdOf, isEnded, type RunState, reduceRun } from './run.ts';

function fold(entries: readonly Entry[]): RunState | null {
  let state: RunState | null = null;
  for (const entry of entries) state = reduceRun(state, entry);
  return state;
}

function started(): Script {
  const script = createScript();
  script.run('m1', { type: 'run.started' });
  return script;
}

describe('what a log says of a run', () => {
  it('is nothing until it has started', () => {
    const script = createScript();
    script.message('m1');
    script.run('m1', { type: 'text.delta', text: 'x' });
    expect(fold(script.entries)).toBeNull();
  });

  it('is when it started, for which message, and its text so far', () => {
    const script = started();
    script.run('m1', { type: 'text.delta', text: 'one ' });
    script.run('m1', { type: 'tool.started', callId: 'c', name: 't', args: {} });
    script.run('m1', { type: 'text.delta', text: 'two' });
    expect(fold(script.entries)).toEqual({
      runId: 'run_m1',
      status: 'running',
      attempt: 1,
      crashes: 0,
      isHandedOver: false,
      startedAt: 1_000,
      activeSince: 1_000,
      messageId: 'm1',
      text: 'one two',
      approvals: [],
      used: { toolCalls: 1, inputTokens: 0, outputTokens: 0 },
    });
  });

  it('R-26 is what it took, with the calls of what is shown in brief', () => {
    const script = started();
    script.run('m1', { type: 'tool.started', callId: 'c', name: 't', args: {} });
    script.run('m1', { type: 'usage', inputTokens: 3, outputTokens: 1 });
    script.run('m1', { type: 'usage', inputTokens: 4, outputTokens: 2, toolCalls: 5 });
    expect(fold(script.entries)?.used).toEqual({ toolCalls: 6, inputTokens: 7, outputTokens: 3 });
  });

  it('takes a completed text for the whole', () => {
    const script = started();
    script.run('m1', { type: 'text.delta', text: 'thinking' });
    script.run('m1', { type: 'text.completed', text: 'the answer' });
    expect(fold(script.entries)?.text).toBe('the answer');
  });

  it('L-9 forgets with a new attempt what the one before had said', () => {
    const script = started();
    script.run('m1', { type: 'text.delta', text: 'half a' });
    script.run('m1', { type: 'run.attempt', reason: 'died' }, { attempt: 2 });
    script.run('m1', { type: 'text.delta', text: 'whole' }, { attempt: 2 });
    expect(fold(script.entries)).toMatchObject({ attempt: 2, text: 'whole', status: 'running' });
  });

  it('is paused, and goes on', () => {
    const script = started();
    script.run('m1', { type: 'run.paused', questions: [] });
    expect(fold(script.entries)?.status).toBe('paused');
    script.run('m1', { type: 'run.continued' });
    expect(fold(script.entries)?.status).toBe('running');
  });

  it.each<EndStatus>(['completed', 'failed', 'cancelled', 'interrupted', 'rejected'])(
    'L-6 is how it ended: %s',
    (status) => {
      const script = started();
      script.run('m1', { type: 'text.delta', text: 'so far' });
      script.run('m1', { type: 'run.ended', status, content: 'so far', reason: 'why' });
      const state = fold(script.entries);
      expect(state).toMatchObject({ status, text: 'so far', reason: 'why' });
      expect(state && isEnded(state)).toBe(true);
    },
  );

  it('is not what its members say', () => {
    const script = started();
    const member = { runId: 'run_m1.1', parentRunId: 'run_m1' };
    script.run('m1', { type: 'run.started' }, member);
    script.run('m1', { type: 'text.delta', text: 'aside' }, member);
    script.run('m1', { type: 'run.ended', status: 'completed', content: 'aside' }, member);
    script.run('m1', { type: 'text.delta', text: 'own' });
    expect(fold(script.entries)).toMatchObject({ runId: 'run_m1', status: 'running', text: 'own' });
  });

  it('has one end, whose id is made of its own', () => {
    expect(endIdOf('run_1')).toBe('run_1:end');
    const script = started();
    const state = fold(script.entries);
    expect(state && isEnded(state)).toBe(false);
  });
});
