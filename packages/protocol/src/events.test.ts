import { describe, expect, it } from 'vitest';
import { AgentOutput, Content } from './events.ts';

const by = { runId: 'run_2', component: { kind: 'agent', id: 'clerk', name: 'Clerk' } };
const call = { callId: 'c1', name: 'search' };

const OUTPUTS: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ['text.delta', { text: '' }],
  ['text.completed', { text: 'hello' }],
  ['reasoning.started', {}],
  ['reasoning.delta', { text: 'hm' }],
  ['reasoning.completed', { text: 'hm' }],
  ['tool.started', { ...call, args: null }],
  ['tool.started', call],
  ['tool.progress', call],
  ['tool.completed', call],
  ['tool.progress', { ...call, progress: 0 }],
  ['tool.completed', { ...call, result: [] }],
  ['tool.failed', { ...call, error: 'No network.' }],
  ['step.started', { step: 'sort', index: 0 }],
  ['step.completed', { step: 'sort', index: 0 }],
  ['memory.started', {}],
  ['memory.completed', {}],
];

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['the start of the run itself', { type: 'run.started' }],
  ['the end of the run itself', { type: 'run.ended', status: 'completed', content: '' }],
  ['a pause', { type: 'run.paused', approvals: [] }],
  ['an attempt', { type: 'run.attempt', reason: 'again' }],
  ['a message of a person', { type: 'message', messageId: 'm', runId: 'r', content: 'hi' }],
  ['a type nobody knows', { type: 'dance' }],
  ['no type', { text: 'a' }],
  ['text that is no text', { type: 'text.delta', text: 5 }],
  ['an end nobody knows', { type: 'run.ended', status: 'ok', content: '', by }],
  [
    'a member of no kind',
    { type: 'text.delta', text: 'a', by: { ...by, component: { id: 'a', name: 'A' } } },
  ],
  ['a step at half an index', { type: 'step.started', step: 'sort', index: 0.5 }],
  ['a plain string', 'hello'],
  ['null', null],
];

describe('what an agent yields', () => {
  it.each(OUTPUTS)('may be %s, of its own or of a member', (type, fields) => {
    expect(AgentOutput.parse({ type, ...fields })).toEqual({ type, ...fields });
    expect(AgentOutput.parse({ type, ...fields, by })).toEqual({ type, ...fields, by });
  });

  it('may be the start and the end of a member', () => {
    expect(AgentOutput.parse({ type: 'run.started', by })).toEqual({ type: 'run.started', by });
    const end = { type: 'run.ended', status: 'failed', content: '', reason: 'x', by };
    expect(AgentOutput.parse(end)).toEqual(end);
  });

  it.each(REFUSED)('may not be %s', (_name, output) => {
    expect(AgentOutput.safeParse(output).success).toBe(false);
  });

  it('bears no lineage of its own making: the engine says whose it is', () => {
    const forged = { type: 'text.delta', text: 'a', runId: 'run_9', messageId: 'm9', attempt: 9 };
    expect(AgentOutput.parse(forged)).toEqual({ type: 'text.delta', text: 'a' });
  });
});

describe('a content', () => {
  it('is text or an object, and nothing else', () => {
    for (const good of ['', 'a', {}, { a: [1] }]) expect(Content.safeParse(good).success).toBe(true);
    for (const bad of [[], 5, null, undefined, true]) expect(Content.safeParse(bad).success).toBe(false);
  });
});
