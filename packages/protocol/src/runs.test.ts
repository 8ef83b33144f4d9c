import { describe, expect, it } from 'vitest';
import { ResumeRequest, RunRequest } from './runs.ts';

const YES = [true, 'true', 'TRUE', '1', 'yes', 'on', 'On'];
const NO = [false, 'false', 'False', '0', 'no', 'off', 'OFF'];
const NO_FLAG: readonly (readonly [unknown])[] = [
  [''],
  [' '],
  ['maybe'],
  ['tru'],
  ['2'],
  [1],
  [0],
  [null],
  [{}],
  [[true]],
];
const NO_MESSAGE: readonly (readonly [unknown])[] = [[''], [null], [undefined], [5], [['hi']]];

const INDEXES: readonly (readonly [unknown, number])[] = [
  [0, 0],
  [5, 5],
  [-1, -1],
  ['0', 0],
  ['12', 12],
  ['-1', -1],
  ['007', 7],
  [999_999_999_999_999, 999_999_999_999_999],
  ['999999999999999', 999_999_999_999_999],
];

const NO_INDEX: readonly (readonly [unknown])[] = [
  [1.5],
  ['1.5'],
  [''],
  [' '],
  ['1 '],
  ['+1'],
  ['1e3'],
  ['0x1'],
  ['abc'],
  ['--1'],
  ['NaN'],
  [null],
  [true],
  [{}],
  [[1]],
];

describe('a request for a run', () => {
  it('R-5 streams and stays with its client unless it says otherwise', () => {
    expect(RunRequest.parse({ message: 'hi' })).toEqual({ message: 'hi', stream: true, background: false });
  });

  it.each(YES)('R-5 reads the flag %j as yes', (flag) => {
    expect(RunRequest.parse({ message: 'hi', stream: flag, background: flag })).toMatchObject({
      stream: true,
      background: true,
    });
  });

  it.each(NO)('R-5 reads the flag %j as no', (flag) => {
    expect(RunRequest.parse({ message: 'hi', stream: flag, background: flag })).toMatchObject({
      stream: false,
      background: false,
    });
  });

  it.each(NO_FLAG)('R-5 refuses the flag %j and names it', (flag) => {
    const { error } = RunRequest.safeParse({ message: 'hi', background: flag });
    expect(error?.issues[0]?.path).toEqual(['background']);
  });

  it.each(NO_MESSAGE)('R-5 refuses the message %j', (message) => {
    expect(RunRequest.safeParse({ message }).success).toBe(false);
  });

  it('R-5 refuses a session without a name: a run would be in no session', () => {
    expect(RunRequest.safeParse({ message: 'hi', session_id: '' }).success).toBe(false);
  });
});

describe('a request to resume', () => {
  it('R-8 may name no index: everything that is kept', () => {
    expect(ResumeRequest.parse({})).toEqual({});
  });

  it.each(INDEXES)('R-8 reads the index %j, from JSON or from a form', (given, index) => {
    expect(ResumeRequest.parse({ last_event_index: given }).last_event_index).toBe(index);
  });

  it.each(NO_INDEX)('R-8 refuses %j, which is not an integer', (given) => {
    expect(ResumeRequest.safeParse({ last_event_index: given }).success).toBe(false);
  });

  it('R-8 takes an index of any length: beyond the end is the end', () => {
    const { last_event_index: index } = ResumeRequest.parse({ last_event_index: '9999999999999999999999' });
    expect(index).toBeGreaterThanOrEqual(Number.MAX_SAFE_INTEGER);
  });
});
