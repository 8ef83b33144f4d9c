import type { MemberView, RunView, ToolCallView } from '@continuo/client';
import { describe, expect, it } from 'vitest';
import { createRunTranscript, questionOf, treeOf } from './transcript.ts';

const EMPTY: RunView = {
  status: 'RUNNING',
  text: '',
  toolCalls: [],
  members: [],
  approvals: [],
  attempt: 1,
  lastEventIndex: 0,
};

/** What a person sees of these views, one after the other: words as they are, lines in angle brackets. */
function seen(...views: readonly Partial<RunView>[]): string[] {
  const transcript = createRunTranscript();
  return views.flatMap((view) =>
    transcript.show({ ...EMPTY, ...view }).map(({ kind, text }) => (kind === 'line' ? `<${text}>` : text)),
  );
}

const ada: MemberView = { runId: 'r1.1', parentRunId: 'r1', name: 'Ada', text: '', status: 'RUNNING' };
const bob: MemberView = { ...ada, runId: 'r1.1.1', parentRunId: 'r1.1', name: 'Bob', step: 'write' };
const call: ToolCallView = { id: 'c1', runId: 'r1', name: 'add', args: { a: 1 }, status: 'running' };

describe("a run's own words", () => {
  it('are shown as they come, each once', () => {
    expect(seen({ text: 'he' }, { text: 'he' }, { text: 'hello' })).toEqual(['he', 'llo']);
    expect(seen({ text: 'he' }, { text: 'hello', status: 'COMPLETED' })).toEqual(['he', 'llo']);
  });

  it('are said once when an attempt starts over, and what differs is marked', () => {
    const over = { attempt: 2 };
    expect(
      seen({ text: 'hello' }, { ...over }, { ...over, text: 'hel' }, { ...over, text: 'hello you' }),
    ).toEqual(['hello', '<[it starts over: attempt 2]>', ' you']);
    expect(seen({ text: 'hello' }, { ...over }, { ...over, text: 'good' })).toEqual([
      'hello',
      '<[it starts over: attempt 2]>',
      '<[it says something else this time]>',
      'good',
    ]);
  });

  it('are not said again at the end of a run that was watched from its middle on', () => {
    expect(seen({ text: 'llo' }, { text: 'hello', status: 'COMPLETED' })).toEqual(['llo']);
    expect(seen({ text: 'hello', status: 'COMPLETED' })).toEqual(['hello']);
  });

  it('end with the reason, where they end before they should', () => {
    const error = { type: 'time_limit', message: 'Too\nslow.' };
    expect(
      seen({ text: 'he' }, { text: 'he', status: 'ERROR', error }, { text: 'he', status: 'ERROR', error }),
    ).toEqual(['he', '<[error: Too slow.]>']);
    expect(seen({ status: 'CANCELLED', error: { type: 'cancelled', message: 'enough' } })).toEqual([
      '<[cancelled: enough]>',
    ]);
  });
});

describe('members', () => {
  it('speak in whole lines, further in than whose members they are', () => {
    expect(
      seen(
        { members: [ada] },
        { members: [{ ...ada, text: 'one' }] },
        { members: [{ ...ada, text: 'one\ntwo\nth' }, bob] },
        {
          members: [
            { ...ada, text: 'one\ntwo\nthree' },
            { ...bob, text: 'x', status: 'COMPLETED' },
          ],
        },
        { members: [{ ...ada, text: 'one\ntwo\nthree', status: 'ERROR' }, bob] },
      ),
    ).toEqual([
      '<  + Ada>',
      '<  Ada | one>',
      '<  Ada | two>',
      '<    + Bob (write)>',
      '<    Bob | x>',
      '<    - Bob: completed>',
      '<  Ada | three>',
      '<  - Ada: error>',
    ]);
  });

  it('speak in pieces of a line where these have waited', () => {
    const transcript = createRunTranscript();
    const said = (text: string, fields: Partial<MemberView> = {}, all?: 'all'): string[] =>
      transcript
        .show({ ...EMPTY, members: [{ ...ada, ...fields, text }] }, all)
        .map((part) => (part.kind === 'piece' ? `${part.of} ${part.lead}${part.text}` : `<${part.text}>`));
    expect(said('I can')).toEqual(['<  + Ada>']);
    expect(said('I can', {}, 'all')).toEqual(['r1.1   Ada | I can']);
    expect(said('I can', {}, 'all')).toEqual([]);
    expect(said('I can res')).toEqual([]);
    expect(said('I can res', {}, 'all')).toEqual(['r1.1   Ada |  res']);
    expect(said('I can reserve\nit.\nOr')).toEqual(['r1.1   Ada | erve\n', '<  Ada | it.>']);
    expect(said('I can reserve\nit.\nOr n', {}, 'all')).toEqual(['r1.1   Ada | Or n']);
    expect(said('I can reserve\nit.\nOr not', { status: 'COMPLETED' })).toEqual([
      'r1.1   Ada | ot\n',
      '<  - Ada: completed>',
    ]);
  });

  it('are not shown again when an attempt starts over', () => {
    const done: MemberView = { ...ada, text: 'one\n', status: 'COMPLETED' };
    expect(
      seen(
        { members: [done] },
        { attempt: 2 },
        { attempt: 2, members: [ada] },
        { attempt: 2, members: [done] },
      ),
    ).toEqual(['<  + Ada>', '<  Ada | one>', '<  - Ada: completed>', '<[it starts over: attempt 2]>']);
  });

  it('are heard anew when an attempt starts over, and what differs is marked', () => {
    const transcript = createRunTranscript();
    const heard = (attempt: number, text?: string, status: MemberView['status'] = 'RUNNING'): string[] =>
      transcript
        .show({ ...EMPTY, attempt, members: text === undefined ? [] : [{ ...ada, text, status }] }, 'all')
        .map((part) => (part.kind === 'piece' ? part.lead + part.text : `<${part.text}>`));
    expect(heard(1, 'Once upon a time, ')).toEqual(['<  + Ada>', '  Ada | Once upon a time, ']);
    expect(heard(2)).toEqual(['<[it starts over: attempt 2]>']);
    expect(heard(2, 'Once upon')).toEqual([]);
    expect(heard(2, 'Once upon a time, far')).toEqual(['  Ada | far']);
    expect(heard(3)).toEqual(['<[it starts over: attempt 3]>']);
    const other = 'Far away in another land there was a fox.\n';
    expect(heard(3, other, 'COMPLETED')).toEqual([
      '<  Ada | [it says something else this time]>',
      `<  Ada | ${other.trim()}>`,
      '<  - Ada: completed>',
    ]);
    expect(heard(4)).toEqual(['<[it starts over: attempt 4]>']);
    expect(heard(4, 'No.', 'COMPLETED')).toEqual([
      '<  Ada | [it says something else this time]>',
      '<  Ada | No.>',
      '<  - Ada: completed>',
    ]);
  });

  it('are not heard again at the end where they were heard from their middle on', () => {
    const whole: MemberView = { ...ada, text: 'one\ntwo\nthree', status: 'COMPLETED' };
    expect(
      seen({ members: [{ ...ada, text: 'wo\nthree' }] }, { members: [whole] }, { members: [whole] }),
    ).toEqual(['<  + Ada>', '<  Ada | wo>', '<  Ada | three>', '<  - Ada: completed>']);
  });

  it('cannot turn the line of who reads', () => {
    const turned = '\u202ea\u2066b\u2069\u200f\u061c';
    expect(seen({ members: [{ ...ada, name: turned, text: `${turned}\n` }] })).toEqual([
      '<  + ab>',
      '<  ab | ab>',
    ]);
    expect(questionOf({ toolName: turned, args: turned })).toBe('ab ab');
  });

  it('cannot move the cursor of who reads', () => {
    expect(seen({ members: [{ ...ada, name: 'A\u001b[2J', text: 'x\u0007\n' }] })).toEqual([
      '<  + A[2J>',
      '<  A[2J | x>',
    ]);
  });
});

describe('calls of tools', () => {
  it('are a line each, and another where they fail', () => {
    const failed: ToolCallView = { ...call, status: 'failed', error: 'No network.' };
    const completed: ToolCallView = { ...call, status: 'completed', result: 2 };
    expect(seen({ toolCalls: [call] }, { toolCalls: [completed] })).toEqual(['<[add {"a":1}]>']);
    expect(seen({ toolCalls: [call] }, { toolCalls: [failed] }, { toolCalls: [failed] })).toEqual([
      '<[add {"a":1}]>',
      '<[add failed: No network.]>',
    ]);
    expect(seen({ toolCalls: [failed] })).toEqual(['<[add failed: No network.]>']);
    expect(seen({ members: [ada], toolCalls: [{ ...call, runId: 'r1.1' }] })).toEqual([
      '<  + Ada>',
      '<  [add {"a":1}]>',
    ]);
    expect(seen({ toolCalls: [call] }, { attempt: 2 }, { attempt: 2, toolCalls: [call] })).toHaveLength(2);
  });
});

describe('the tree of a run', () => {
  it('has every member below whose member it is', () => {
    const cleo: MemberView = { ...ada, runId: 'r1.2', name: 'Cleo', status: 'COMPLETED' };
    expect(treeOf({ ...EMPTY, members: [ada, cleo, bob], status: 'COMPLETED' }, 'desk')).toEqual([
      'desk: completed',
      '  Ada: running',
      '    Bob (write): running',
      '  Cleo: completed',
    ]);
    expect(treeOf(EMPTY, 'desk')).toEqual(['desk: running']);
  });
});

describe('a question', () => {
  it('names the tool and its arguments, in one line', () => {
    expect(questionOf({ toolName: 'reserve', args: { to: 'Porto' } })).toBe('reserve {"to":"Porto"}');
    expect(questionOf({ toolName: 'reserve' })).toBe('reserve');
    expect(questionOf({ toolName: 'reserve', args: 'x'.repeat(200) })).toHaveLength(111);
  });
});
