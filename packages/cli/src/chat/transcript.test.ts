import type { GatewayEvent, GatewayEventType } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createTranscript } from './transcript.ts';

let sequence = 0;
function event(type: GatewayEventType, data: Record<string, unknown>): GatewayEvent {
  sequence++;
  const whole = { cursor: sequence, message_id: 'm1', run_id: 'r1', attempt: 1, ...data };
  return { type, data: whole, event_id: `e${sequence}`, timestamp: 0, source: null, target: null, sequence };
}
const token = (content: string, more = {}): GatewayEvent => event('token_stream', { content, ...more });
const end = (content: string, status = 'ok', reason?: string): GatewayEvent =>
  event('response', { status: 'final', content, outcome: { status, ...(reason && { reason }) } });
const restart = event('stream_error', { error: 'the server died' });

function show(events: readonly GatewayEvent[], own = ['m1'], all = true): string {
  const transcript = createTranscript({
    isShown: (messageId) => all || own.includes(messageId),
    isOwn: (messageId) => own.includes(messageId),
  });
  return events.map((each) => transcript.show(each)).join('');
}

describe('an answer', () => {
  it('is shown as it comes, and ends its line', () => {
    expect(show([token('one '), token('two'), end('one two')])).toBe('one two\n');
  });

  it('ends with one line break, also when it has one', () => {
    expect(show([token('one\n'), end('one\n')])).toBe('one\n');
  });

  it('is shown at its end where nothing was streamed', () => {
    expect(show([end('all of it')])).toBe('all of it\n');
  });

  it('is completed by its end where the stream was cut', () => {
    expect(show([token('all '), end('all of it')])).toBe('all of it\n');
  });

  it('is not said twice when its end has only the last part', () => {
    expect(show([token('first, '), token('last'), end('last')])).toBe('first, last\n');
  });

  it('is shown again where its end says something else', () => {
    expect(show([token('streamed'), end('decided')])).toBe('streamed\ndecided\n');
  });

  it('leaves nothing for the next one', () => {
    const next = { message_id: 'm2' };
    const ended = event('response', { status: 'final', content: 'a', outcome: { status: 'ok' }, ...next });
    expect(show([token('a'), end('a'), token('a', next), ended])).toBe('a\na\n');
  });

  it('that waits for a person goes on behind others, and nothing of it is said again', () => {
    const next = { message_id: 'm2' };
    const ended = event('response', { status: 'final', content: 'two', outcome: { status: 'ok' }, ...next });
    expect(show([token('May I? '), token('two', next), ended, token('Done.'), end('May I? Done.')])).toBe(
      'May I? \ntwo\nDone.\n',
    );
  });

  it.each([
    ['aborted', 'Somebody stopped it.', 'one\n[aborted: Somebody stopped it.]\n'],
    ['interrupted', undefined, 'one\n[interrupted]\n'],
  ])('says how it ended: %s', (status, reason, text) => {
    expect(show([token('one'), end('one', status, reason)])).toBe(text);
  });
});

describe('an attempt that starts over', () => {
  it('says each word once when it says the same', () => {
    expect(show([token('a b '), restart, token('a '), token('b c'), end('a b c')])).toBe('a b c\n');
  });

  it('says each word once, over any number of attempts', () => {
    expect(
      show([token('a b '), restart, token('a '), restart, token('a b c '), token('d'), end('a b c d')]),
    ).toBe('a b c d\n');
  });

  it('is shown anew when it says something else', () => {
    expect(show([token('a b '), restart, token('a x'), token(' y'), end('a x y')])).toBe(
      'a b \n[it says something else this time]\na x y\n',
    );
  });
});

describe('what is not the answer', () => {
  it('a tool call is one line, and so is its failure', () => {
    const call = event('tool_call_stream', { tool_call: { id: 'c', name: 'search', args: { q: 'a\nb' } } });
    const failed = event('tool_result_stream', { tool_call_id: 'c', name: 'search', error: 'no\nnet' });
    const done = event('tool_result_stream', { tool_call_id: 'c', name: 'search', result: 1 });
    expect(show([token('I look'), call, done, call, failed, token('done'), end('I lookdone')])).toBe(
      'I look\n[search {"q":"a\\nb"}]\n[search {"q":"a\\nb"}]\n[search failed: no net]\ndone\n',
    );
  });

  it('long arguments are cut', () => {
    const call = event('tool_call_stream', { tool_call: { id: 'c', name: 'write', args: 'x'.repeat(500) } });
    expect(show([call])).toBe(`[write ${'x'.repeat(100)}...]\n`);
  });

  it('what members of a team say is theirs', () => {
    expect(show([token('secret', { parent_run_id: 'r0' }), token('told'), end('told')])).toBe('told\n');
  });

  it('what others asked is shown, what was typed here is not', () => {
    const asked = (messageId: string): GatewayEvent =>
      event('message', { role: 'user', content: 'hi', message_id: messageId });
    expect(show([asked('m1'), asked('m2')])).toBe('> hi\n');
  });

  it('a pipe sees the answers to its own lines alone', () => {
    const other = { message_id: 'm2' };
    expect(show([token('theirs', other), token('ours'), end('ours')], ['m1'], false)).toBe('ours\n');
  });

  it('a question to a person is a line of its own, and no event: it is asked when its turn comes', () => {
    const tool_call = { id: 'c', name: 'pay', args: { eur: 3, to: 'a\u001b[2J' } };
    expect(show([event('approval_requested', { approval_id: 'a1', tool_call })])).toBe('');
    const transcript = createTranscript({ isShown: () => true, isOwn: () => true });
    expect(transcript.show(token('May I?')) + transcript.question({ tool_call })).toBe(
      'May I?\n[allow pay {"eur":3,"to":"a\\u001b[2J"}? y/n]\n',
    );
    expect(transcript.question({ tool_call: { ...tool_call, args: 'a\u001b[2J' } })).toBe(
      '[allow pay a[2J? y/n]\n',
    );
  });

  it('nothing an agent says moves the cursor or names the window', () => {
    expect(show([token('a\u001b[2Jb\u0007\r\tc\u009d'), end('a\u001b[2Jb\u0007\r\tc\u009d')])).toBe(
      'a[2Jb\tc\n',
    );
  });
});

it('an answer that is only in a snapshot is completed from it', () => {
  const transcript = createTranscript({ isShown: () => true, isOwn: () => true });
  expect(transcript.show(token('one ')) + transcript.answer('m1', 'one two')).toBe('one two\n');
});
