import type { RunStreamEvent } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { completed, member, said, told } from '../../test/runs.ts';
import { NO_VIEW, type RunView, viewEvent } from './view.ts';

function fold(...events: readonly object[]): RunView {
  return events.reduce<RunView>((view, event) => viewEvent(view, 'r1', event as RunStreamEvent), NO_VIEW);
}

const tool = (id: string, fields: object = {}) => ({
  tool: { tool_call_id: id, tool_name: 'add', ...fields },
});

describe('the view of a run', () => {
  it('is what was said so far, and all of it at the end', () => {
    expect(fold(told(0, 'RunStarted'), said(1, 'he'), said(2, 'llo'))).toMatchObject({
      status: 'RUNNING',
      text: 'hello',
      lastEventIndex: 2,
      attempt: 1,
    });
    expect(fold(said(0, 'he'), completed(1, 'hello'))).toMatchObject({ status: 'COMPLETED', text: 'hello' });
    expect(fold(said(0, 'he'), told(1, 'WorkflowCompleted', { content: '' })).text).toBe('he');
  });

  it.each([
    ['WorkflowStarted', 'RUNNING'],
    ['TeamRunPaused', 'PAUSED'],
    ['TeamRunCompleted', 'COMPLETED'],
    ['WorkflowCancelled', 'CANCELLED'],
    ['TeamRunError', 'ERROR'],
  ])('has a status after %s', (event, status) => {
    expect(fold(told(0, event, { content: '', tools: [], requirements: [] })).status).toBe(status);
  });

  it('has calls of tools, with what became of them', () => {
    const { toolCalls } = fold(
      told(0, 'ToolCallStarted', tool('c1', { tool_args: { a: 1 } })),
      told(1, 'ToolCallProgress', { ...tool('c1'), progress: 0.5 }),
      member(2, 'ToolCallStarted', tool('c2')),
      told(3, 'ToolCallCompleted', tool('c1', { result: [2] })),
      member(4, 'ToolCallError', { ...tool('c2'), error: 'No network.' }),
      told(5, 'ToolCallStarted', tool('c3')),
    );
    expect(toolCalls).toEqual([
      { id: 'c1', runId: 'r1', name: 'add', args: { a: 1 }, result: [2], status: 'completed' },
      { id: 'c2', runId: 'r1.1', name: 'add', error: 'No network.', status: 'failed' },
      { id: 'c3', runId: 'r1', name: 'add', status: 'running' },
    ]);
  });

  it('keeps the calls of members apart, who choose ids by themselves', () => {
    const { toolCalls } = fold(
      told(0, 'ToolCallStarted', tool('c1')),
      member(1, 'ToolCallStarted', tool('c1')),
      member(2, 'ToolCallCompleted', tool('c1', { result: 2 })),
    );
    expect(toolCalls.map(({ runId, status }) => [runId, status])).toEqual([
      ['r1', 'running'],
      ['r1.1', 'completed'],
    ]);
  });

  it('has members, whose words are their own, and their lineage', () => {
    const nested = { run_id: 'r1.1.1', parent_run_id: 'r1.1', agent_name: undefined, team_name: 'Desk' };
    const view = fold(
      told(0, 'TeamRunStarted'),
      member(1, 'RunStarted', { step_name: 'research' }),
      member(2, 'RunContent', { content: 'so ' }),
      member(3, 'TeamRunContent', { ...nested, content: 'in' }),
      told(4, 'TeamRunContent', { content: 'own' }),
      member(5, 'RunContent', { content: 'far' }),
      member(6, 'RunCompleted', { content: 'so far' }),
    );
    expect(view).toMatchObject({ status: 'RUNNING', text: 'own' });
    expect(view.members).toEqual([
      {
        runId: 'r1.1',
        parentRunId: 'r1',
        name: 'Ada',
        step: 'research',
        text: 'so far',
        status: 'COMPLETED',
      },
      { runId: 'r1.1.1', parentRunId: 'r1.1', name: 'Desk', text: 'in', status: 'RUNNING' },
    ]);
    const ended = fold(member(0, 'RunStarted'), told(1, 'RunCancelled', { content: '', reason: 'enough' }));
    expect(ended.members[0]?.status).toBe('CANCELLED');
  });

  it('R-22 forgets what an unfinished attempt said, and keeps the questions', () => {
    const view = fold(
      said(0, 'he'),
      told(1, 'ToolCallStarted', tool('c1')),
      member(2, 'RunStarted'),
      told(3, 'ApprovalRequested', { approval_id: 'a1', ...tool('c2'), expires_at: 9 }),
      told(4, 'RunAttempt', { attempt: 2, reason: 'The server died.' }),
      said(5, 'hel'),
    );
    expect(view).toMatchObject({ text: 'hel', toolCalls: [], members: [], attempt: 2, status: 'RUNNING' });
    expect(view.approvals).toHaveLength(1);
  });

  it('R-16 has the questions that are open, however they are told', () => {
    const asks = (index: number, id: string) =>
      told(index, 'ApprovalRequested', {
        approval_id: `a${id}`,
        ...tool(`c${id}`, { tool_args: { to: 'Porto' } }),
        expires_at: 9.5,
      });
    const pause = told(2, 'RunPaused', {
      tools: ['1', '2'].map((id) => tool(`c${id}`, { tool_args: { to: 'Porto' } }).tool),
      requirements: ['1', '2'].map((id) => ({
        approval_id: `a${id}`,
        tool_call_id: `c${id}`,
        expires_at: 9.5,
      })),
    });
    const open = (id: string) => ({
      approvalId: `a${id}`,
      runId: 'r1',
      toolCallId: `c${id}`,
      toolName: 'add',
      args: { to: 'Porto' },
      expiresAt: 9_500,
    });
    expect(fold(asks(0, '1'), asks(1, '2'), pause).approvals).toEqual([open('1'), open('2')]);
    expect(fold(pause).approvals).toEqual([open('1'), open('2')]);
    const resolved = told(3, 'ApprovalResolved', { approval_id: 'a1', approved: true });
    expect(fold(pause, resolved).approvals).toEqual([open('2')]);
    expect(fold(pause, completed(3)).approvals).toEqual([]);
  });

  it('R-16 has members that wait for a person, until the run goes on', () => {
    const asks = member(1, 'ApprovalRequested', { approval_id: 'a1', ...tool('c1'), expires_at: 9 });
    const bob = (index: number, event: string) => member(index, event, { run_id: 'r1.2', agent_name: 'Bob' });
    const events = [
      member(0, 'RunStarted'),
      asks,
      bob(2, 'RunStarted'),
      told(3, 'TeamRunPaused', { tools: [], requirements: [] }),
      member(4, 'ApprovalResolved', { approval_id: 'a1', approved: true }),
      told(5, 'TeamRunContinued'),
    ];
    const statusesAfter = (count: number) => {
      const { status, members } = fold(...events.slice(0, count));
      return [status, ...members.map((each) => each.status)];
    };
    expect(statusesAfter(4)).toEqual(['PAUSED', 'PAUSED', 'RUNNING']);
    expect(statusesAfter(5)).toEqual(['PAUSED', 'PAUSED', 'RUNNING']);
    expect(statusesAfter(6)).toEqual(['RUNNING', 'RUNNING', 'RUNNING']);
  });

  it('R-16 tells questions apart whose calls have the same id', () => {
    const tools = ['1', '2'].map((id) => tool('c', { tool_args: id, approval_id: `a${id}` }).tool);
    const requirements = ['1', '2'].map((id) => ({
      approval_id: `a${id}`,
      tool_call_id: 'c',
      expires_at: 9,
    }));
    const { approvals } = fold(told(0, 'RunPaused', { tools, requirements }));
    expect(approvals.map(({ approvalId, args }) => [approvalId, args])).toEqual([
      ['a1', '1'],
      ['a2', '2'],
    ]);
  });

  it('is not changed by what it does not know, but for the index', () => {
    const before = fold(said(0, 'he'));
    expect(viewEvent(before, 'r1', told(1, 'RunDreamed') as never)).toEqual({ ...before, lastEventIndex: 1 });
  });

  it('is a new one for every event, and parts that stand stay the same', () => {
    const before = fold(member(0, 'RunStarted'), told(1, 'ToolCallStarted', tool('c1')));
    const after = viewEvent(before, 'r1', said(2) as never);
    expect(after).not.toBe(before);
    expect(after.members).toBe(before.members);
    expect(after.toolCalls).toBe(before.toolCalls);
  });
});
