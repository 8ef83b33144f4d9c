import type { PendingApproval } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { answerIn, createQuestions, type Questions } from './questions.ts';

function question(id: string): PendingApproval {
  return { approval_id: id, message_id: `of ${id}`, tool_call: { id: 'c', name: 'pay' }, requested_at: 0 };
}

function questionsOf(...ids: readonly string[]): Questions {
  const questions = createQuestions();
  for (const id of ids) questions.add(question(id));
  return questions;
}

describe('questions', () => {
  it('are asked one at a time, the oldest first, each once', () => {
    const questions = questionsOf('a', 'b', 'a');
    expect(questions.asked).toEqual(question('a'));
    questions.resolve('a');
    expect(questions.asked).toEqual(question('b'));
    questions.resolve('b');
    expect(questions.asked).toBeNull();
  });

  it('are not asked when they were answered before their turn came', () => {
    const questions = questionsOf('a', 'b', 'c');
    questions.resolve('b');
    questions.resolve('a');
    expect(questions.asked).toEqual(question('c'));
  });

  it('are over with their turn', () => {
    const questions = questionsOf('a', 'b');
    expect(questions.isOpen('of a')).toBe(true);
    questions.end('of a');
    expect(questions.isOpen('of a')).toBe(false);
    expect(questions.asked).toEqual(question('b'));
  });

  it('are what a snapshot says', () => {
    const questions = questionsOf('a', 'b');
    questions.reset([question('c')]);
    expect(questions.asked).toEqual(question('c'));
    questions.resolve('c');
    expect(questions.asked).toBeNull();
  });
});

it.each<[string, boolean | null]>([
  ['y', true],
  ['Yes', true],
  [' yes ', true],
  ['n', false],
  ['NO', false],
  ['yes, please', null],
  ['not now', null],
  ['', null],
])('an answer is yes or no and nothing else: %j', (line, answer) => {
  expect(answerIn(line)).toBe(answer);
});
