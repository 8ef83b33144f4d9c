import { MAX_PAYLOAD } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createScript, type Script } from '../../test/events.ts';
import { range } from '../../test/pick.ts';
import { createSessionState, HISTORY_BYTES, reduceSession, type SessionState } from './session.ts';

function fold(script: Script): SessionState {
  const state = createSessionState();
  for (const entry of script.entries) reduceSession(state, entry);
  return state;
}

function said(state: SessionState): string[] {
  return state.messages.map(({ role, content, messageId }) => `${role} ${messageId}: ${String(content)}`);
}

function answer(script: Script, messageId: string, text: string): void {
  script.run(messageId, { type: 'run.started' });
  script.run(messageId, { type: 'text.delta', text });
  script.run(messageId, { type: 'run.ended', status: 'completed', content: text });
}

describe('what a log says of a session', () => {
  it('is the conversation, oldest first', () => {
    const script = createScript();
    script.message('m1', 'hi');
    answer(script, 'm1', 'hello');
    script.message('m2', 'bye');
    answer(script, 'm2', 'see you');
    const state = fold(script);
    expect(said(state)).toEqual([
      'user m1: hi',
      'assistant m1: hello',
      'user m2: bye',
      'assistant m2: see you',
    ]);
    expect(state.messages.map(({ at }) => at)).toEqual([1_000, 4_000, 5_000, 8_000]);
    expect([state.queue, state.run]).toEqual([[], null]);
  });

  it('G-9 is what waits, in order: the first is next, or under way', () => {
    const script = createScript();
    for (const id of ['m1', 'm2', 'm3']) script.message(id);
    script.run('m1', { type: 'run.started' });
    expect(fold(script).queue.map(({ messageId, offset }) => [messageId, offset])).toEqual([
      ['m1', 1],
      ['m2', 2],
      ['m3', 3],
    ]);
    expect(fold(script).run).toMatchObject({ messageId: 'm1', status: 'running' });
    script.run('m1', { type: 'run.ended', status: 'failed', content: '' });
    expect(fold(script).queue.map(({ messageId }) => messageId)).toEqual(['m2', 'm3']);
    expect(fold(script).run).toBeNull();
  });

  it('R-10 has the messages and ends of runs with logs of their own, which take no turn', () => {
    const script = createScript();
    script.message('m1', 'do it', { copy: true });
    script.copyOfEnd('m1', 'done');
    const state = fold(script);
    expect(said(state)).toEqual(['user m1: do it', 'assistant m1: done']);
    expect(state.queue).toEqual([]);
  });

  it('R-10 keeps the turn under way when a run beside it ends', () => {
    const script = createScript();
    script.message('m1');
    script.run('m1', { type: 'run.started' });
    script.copyOfEnd('m2', 'done');
    expect(fold(script).run).toMatchObject({ messageId: 'm1' });
    expect(fold(script).queue).toHaveLength(1);
  });

  it('has no empty answers: neither of a turn, nor of a run beside it', () => {
    const script = createScript();
    script.message('m1', 'hi');
    answer(script, 'm1', '');
    script.message('m2', 'do it', { copy: true });
    script.copyOfEnd('m2', '');
    expect(said(fold(script))).toEqual(['user m1: hi', 'user m2: do it']);
  });

  it('keeps as many of the newest messages as fit, and says that some are gone', () => {
    const script = createScript();
    for (const number of range(1, 30))
      script.message(`m${number}`, `${number} ${'x'.repeat(100_000)}`, { copy: true });
    const state = fold(script);
    expect(state.truncated).toBe(true);
    expect(state.bytes).toBeLessThanOrEqual(HISTORY_BYTES);
    expect(state.messages.length).toBeGreaterThanOrEqual(8);
    expect(state.messages.at(-1)?.messageId).toBe('m30');
    expect(state.messages.at(0)?.messageId).toBe(`m${30 - state.messages.length + 1}`);
  });

  it('G-10 fits one frame, however long the ids of its messages are', () => {
    const script = createScript();
    for (const number of range(1, 20_000)) {
      script.message(`${number} ${'i'.repeat(190)}`, 'x', { copy: true });
    }
    const { messages } = fold(script);
    const frame = messages.map(({ role, content, messageId, at }) => ({
      role,
      content,
      message_id: messageId,
      timestamp: at / 1000,
    }));
    expect(Buffer.byteLength(JSON.stringify(frame))).toBeLessThan(MAX_PAYLOAD);
  });

  it('keeps the newest message even when it alone is too large', () => {
    const script = createScript();
    script.message('m1', 'small', { copy: true });
    script.message('m2', 'x'.repeat(HISTORY_BYTES), { copy: true });
    expect(fold(script).messages.map(({ messageId }) => messageId)).toEqual(['m2']);
  });
});
