import { describe, expect, it } from 'vitest';
import type { Entry } from './entry.ts';
import type { AgentEvent, AgentEventType, ComponentRef, EndStatus, Lineage } from './events.ts';
import { draftOf } from './projections/event-of.ts';
import { toRun } from './projections/to-run.ts';
import { RunStreamEvent } from './run-events.ts';

const KINDS: readonly ComponentRef['kind'][] = ['agent', 'team', 'workflow'];
const ENDS: readonly EndStatus[] = ['completed', 'failed', 'cancelled', 'interrupted', 'rejected'];
const call = { callId: 'c1', name: 'search' };
const question = { approvalId: 'a1', ...call, args: { q: 1 }, expiresAt: 9_500 };

/** Every event that a component of a kind may have, with and without what is optional. A type that is missing does not compile. */
function examples(kind: ComponentRef['kind'], more: Partial<Lineage>): readonly AgentEvent[] {
  const run: Lineage = {
    runId: 'run_1',
    messageId: 'm1',
    attempt: 1,
    component: { kind, id: 'x', name: 'X' },
    ...more,
  };
  const ended = { type: 'run.ended', ...run, content: 'so far' } as const;
  const byType: { readonly [Type in AgentEventType]: readonly Extract<AgentEvent, { type: Type }>[] } = {
    message: [
      { type: 'message', messageId: 'm1', runId: 'run_1', content: 'hi' },
      { type: 'message', messageId: 'm1', runId: 'run_1', content: { text: 'hi' } },
    ],
    'run.started': [
      { type: 'run.started', ...run },
      { type: 'run.started', ...run, model: 'small' },
    ],
    'run.paused': [{ type: 'run.paused', ...run, questions: [question, { ...question, args: undefined }] }],
    'run.continued': [{ type: 'run.continued', ...run }],
    'run.handed_over': [{ type: 'run.handed_over', ...run }],
    'run.attempt': [{ type: 'run.attempt', ...run, attempt: 2, reason: 'The server died.' }],
    'run.ended': [
      ...ENDS.map((status) => ({ ...ended, status })),
      ...ENDS.map((status) => ({ ...ended, status, reason: 'Because.', code: 'time_limit' })),
      {
        ...ended,
        status: 'completed',
        metrics: { inputTokens: 1, outputTokens: 2, toolCalls: 3, durationMs: 4 },
      },
    ],
    'text.delta': [{ type: 'text.delta', ...run, text: '' }],
    'text.completed': [{ type: 'text.completed', ...run, text: 'hello' }],
    'reasoning.started': [{ type: 'reasoning.started', ...run }],
    'reasoning.delta': [{ type: 'reasoning.delta', ...run, text: 'hm' }],
    'reasoning.completed': [{ type: 'reasoning.completed', ...run, text: 'hm' }],
    'tool.started': [
      { type: 'tool.started', ...run, ...call },
      { type: 'tool.started', ...run, ...call, args: [1], confirmed: true },
    ],
    'tool.progress': [
      { type: 'tool.progress', ...run, ...call },
      { type: 'tool.progress', ...run, ...call, progress: 0.5 },
    ],
    'tool.completed': [
      { type: 'tool.completed', ...run, ...call },
      { type: 'tool.completed', ...run, ...call, result: null },
    ],
    'tool.failed': [{ type: 'tool.failed', ...run, ...call, error: 'No network.' }],
    'step.started': [{ type: 'step.started', ...run, step: 'sort', index: 0 }],
    'step.completed': [
      { type: 'step.completed', ...run, step: 'sort', index: 0 },
      { type: 'step.completed', ...run, step: 'sort', index: 0, content: 'sorted' },
    ],
    usage: [{ type: 'usage', ...run, inputTokens: 5, outputTokens: 7 }],
    steered: [{ type: 'steered', ...run, steerId: 'm2', content: 'shorter' }],
    'memory.started': [{ type: 'memory.started', ...run }],
    'memory.completed': [{ type: 'memory.completed', ...run }],
    'approval.requested': [{ type: 'approval.requested', ...run, ...question }],
    'approval.resolved': [
      { type: 'approval.resolved', ...run, approvalId: 'a1', approved: true, resolvedBy: 'ada' },
      {
        type: 'approval.resolved',
        ...run,
        approvalId: 'a1',
        approved: false,
        note: 'no',
        resolvedBy: 'expiry',
        expired: true,
      },
    ],
  };
  return Object.values(byType).flat();
}

function shown(event: AgentEvent): unknown {
  const entry: Entry = {
    log: 'run:local:run_1',
    epoch: 'e1',
    offset: 7,
    at: 1_763_600_000_250,
    id: 'run_1:1.7',
    source: 'agent:x',
    run: 'run_1',
    runIndex: 6,
    ...draftOf(event),
  };
  return JSON.parse(JSON.stringify(toRun(entry, 's1')));
}

describe('the events of a run by their names', () => {
  it.each(
    KINDS.flatMap((kind) => [
      [kind, 'its own', {}] as const,
      [kind, "a member's", { parentRunId: 'run_0' }] as const,
      [kind, "a step's", { parentRunId: 'run_0', step: 'sort' }] as const,
    ]),
  )('are all that door 4 shows of a run, with all their fields: %s, %s', (kind, _whose, more) => {
    for (const event of examples(kind, more)) {
      const json = shown(event);
      expect(RunStreamEvent.parse(json), JSON.stringify(json)).toEqual(json);
    }
  });

  it('do not have what no run says', () => {
    const json = shown({ type: 'message', messageId: 'm1', runId: 'run_1', content: 'hi' });
    expect(RunStreamEvent.safeParse({ ...Object(json), event: 'RunDreamed' }).success).toBe(false);
    expect(RunStreamEvent.safeParse({ ...Object(json), event: 'TeamWorkflowStarted' }).success).toBe(false);
    expect(RunStreamEvent.safeParse({ ...Object(json), event_index: '1' }).success).toBe(false);
  });
});
