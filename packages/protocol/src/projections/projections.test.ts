import { describe, expect, it } from 'vitest';
import type { ChatFrame } from '../chat.ts';
import type { Entry } from '../entry.ts';
import type { AgentEvent, AgentEventType, ComponentRef, EndStatus, Lineage, RunEvent } from '../events.ts';
import { GatewayEvent, type ReplayFrame } from '../gateway.ts';
import { MAX_ENTRY_DATA, MAX_PAYLOAD } from '../limits.ts';
import { RunEventJson } from '../runs.ts';
import { draftOf, eventOf, isMessage } from './event-of.ts';
import { toChat } from './to-chat.ts';
import { toGateway } from './to-gateway.ts';
import { toRun } from './to-run.ts';

const AGENT: ComponentRef = { kind: 'agent', id: 'echo', name: 'Echo' };
const TEAM: ComponentRef = { kind: 'team', id: 'desk', name: 'Desk' };
const WORKFLOW: ComponentRef = { kind: 'workflow', id: 'post', name: 'Post' };

const RUN: Lineage = { runId: 'run_1', messageId: 'm1', attempt: 1, component: AGENT };
const MEMBER: Lineage = {
  runId: 'run_1:member',
  parentRunId: 'run_1',
  messageId: 'm1',
  attempt: 1,
  component: { kind: 'agent', id: 'clerk', name: 'Clerk' },
};

const call = { callId: 'c1', name: 'search' };

/** One event of every type, as the engine writes it. A type that is missing does not compile. */
const ONE: { readonly [Type in AgentEventType]: Extract<AgentEvent, { type: Type }> } = {
  message: { type: 'message', messageId: 'm1', runId: 'run_1', content: 'hi', metadata: { lang: 'en' } },
  'run.started': { type: 'run.started', ...RUN, model: 'small' },
  'run.paused': {
    type: 'run.paused',
    ...RUN,
    questions: [{ approvalId: 'a1', ...call, args: 1, expiresAt: 9_000 }],
  },
  'run.continued': { type: 'run.continued', ...RUN },
  'run.handed_over': { type: 'run.handed_over', ...RUN },
  'run.attempt': { type: 'run.attempt', ...RUN, attempt: 2, reason: 'The server died.' },
  'run.ended': { type: 'run.ended', ...RUN, status: 'completed', content: 'echo: hi' },
  'text.delta': { type: 'text.delta', ...RUN, text: 'he' },
  'text.completed': { type: 'text.completed', ...RUN, text: 'hello' },
  'reasoning.started': { type: 'reasoning.started', ...RUN },
  'reasoning.delta': { type: 'reasoning.delta', ...RUN, text: 'hm' },
  'reasoning.completed': { type: 'reasoning.completed', ...RUN, text: 'hmm' },
  'tool.started': { type: 'tool.started', ...RUN, ...call, args: { q: 1 } },
  'tool.progress': { type: 'tool.progress', ...RUN, ...call, progress: 0.5 },
  'tool.completed': { type: 'tool.completed', ...RUN, ...call, result: [1] },
  'tool.failed': { type: 'tool.failed', ...RUN, ...call, error: 'No network.' },
  'step.started': { type: 'step.started', ...RUN, step: 'sort', index: 0 },
  'step.completed': { type: 'step.completed', ...RUN, step: 'sort', index: 0, content: 'sorted' },
  usage: { type: 'usage', ...RUN, inputTokens: 5, outputTokens: 7, toolCalls: 3 },
  steered: { type: 'steered', ...RUN, steerId: 'm9', content: 'shorter' },
  'memory.started': { type: 'memory.started', ...RUN },
  'memory.completed': { type: 'memory.completed', ...RUN },
  'approval.requested': {
    type: 'approval.requested',
    ...RUN,
    approvalId: 'a1',
    ...call,
    args: { q: 1 },
    expiresAt: 9_000,
  },
  'approval.resolved': {
    type: 'approval.resolved',
    ...RUN,
    approvalId: 'a1',
    approved: true,
    resolvedBy: 'ada',
  },
};

const END_STATUSES: Readonly<Record<EndStatus, true>> = {
  completed: true,
  failed: true,
  cancelled: true,
  interrupted: true,
  rejected: true,
};

const byAll = Object.values(ONE);
const byMember = byAll
  .filter((event): event is RunEvent => !isMessage(event))
  .map((event): RunEvent => ({ ...event, ...MEMBER }));
const ends = (Object.keys(END_STATUSES) as EndStatus[]).flatMap((status): RunEvent[] => [
  { ...ONE['run.ended'], status, content: 'so far', reason: 'Because.' },
  { ...ONE['run.ended'], ...MEMBER, status, content: 'so far', reason: 'Because.' },
]);

/** Of every type; by a member; with each end; with and without what is optional; copies. */
const EXAMPLES: readonly AgentEvent[] = [
  ...byAll,
  ...byMember,
  ...ends,
  { type: 'message', messageId: 'm2', runId: 'run_2', content: { text: 'hi' } },
  { type: 'run.started', ...RUN },
  { type: 'step.completed', ...RUN, step: 'sort', index: 0 },
  { ...ONE['approval.resolved'], approved: false },
  { ...ONE['text.delta'], attempt: 2 },
  { ...ONE['text.delta'], text: '' },
  { ...ONE['tool.completed'], result: null },
  { ...ONE['tool.completed'], result: undefined },
];
const COPIES: readonly AgentEvent[] = [
  { ...ONE.message, copy: true },
  { ...ONE['run.ended'], copy: true },
];

function entryOf(event: AgentEvent, place: Partial<Entry> = {}): Entry {
  return {
    log: 'session:local:s1',
    epoch: 'e1',
    offset: 7,
    at: 1_763_600_000_250,
    id: 'run_1:1.7',
    source: 'agent:echo',
    run: 'run_1',
    runIndex: 3,
    ...draftOf(event),
    ...place,
  };
}

/** What the client reads. */
const wire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function named(event: AgentEvent): string {
  const parts: string[] = [event.type];
  if ('status' in event) parts.push(event.status);
  if ('parentRunId' in event) parts.push('of a member');
  if ('copy' in event) parts.push('as a copy');
  return parts.join(' ');
}
const EACH = [...EXAMPLES, ...COPIES].map((event) => [named(event), event] as const);

/** The event with one field changed, for each of its fields. */
function othersOf(event: AgentEvent): readonly (readonly [string, AgentEvent])[] {
  return Object.entries(event).flatMap(([field, value]: [string, unknown]) => {
    if (field === 'type') return [];
    const other = field === 'status' ? (value === 'rejected' ? 'failed' : 'rejected') : changed(value);
    return [[field, { ...event, [field]: other } as AgentEvent] as const];
  });
}

function changed(value: unknown): unknown {
  if (typeof value === 'string') return `${value}x`;
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  if (Array.isArray(value)) return [...value, 'x'];
  return { ...(value as object), id: 'x' };
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) frozen(each);
  return Object.freeze(value);
}

describe('an entry', () => {
  it('gives back the event it was made of', () => {
    for (const [name, event] of EACH) expect(eventOf(entryOf(event)), name).toEqual(event);
  });

  it('has the type it was stored under, whatever its data says', () => {
    const data = { ...RUN, type: 'run.ended', text: 'he' };
    expect(eventOf(entryOf(ONE['text.delta'], { data })).type).toBe('text.delta');
  });

  it('is not changed by being shown: one entry serves every door', () => {
    for (const [, event] of EACH) {
      const entry = frozen(entryOf(event));
      expect(() => [toGateway(entry, 's1'), toRun(entry, 's1'), toChat(entry, 'echo')]).not.toThrow();
    }
  });
});

/** The event of door 1, and the `kind` of a status. */
const GATEWAY: Readonly<Record<AgentEventType, string>> = {
  message: 'message',
  'text.delta': 'token_stream',
  'text.completed': 'stream_end',
  'reasoning.delta': 'reasoning_stream',
  'tool.started': 'tool_call_stream',
  'tool.progress': 'tool_progress_stream',
  'tool.completed': 'tool_result_stream',
  'tool.failed': 'tool_result_stream',
  'run.attempt': 'stream_error',
  'run.ended': 'response',
  'approval.requested': 'approval_requested',
  'approval.resolved': 'approval_resolved',
  'run.started': 'status run_started',
  'run.paused': 'status run_paused',
  'run.continued': 'status run_continued',
  'run.handed_over': 'status handed_over',
  'reasoning.started': 'status reasoning_started',
  'reasoning.completed': 'status reasoning_completed',
  'step.started': 'status step_started',
  'step.completed': 'status step_completed',
  usage: 'status usage',
  steered: 'status steered',
  'memory.started': 'status memory_started',
  'memory.completed': 'status memory_completed',
};

/** What an event may say at length. */
const LONG = [...byAll, ...byMember].flatMap((event) =>
  ['text', 'content', 'error', 'reason', 'args', 'progress', 'result', 'model', 'metadata', 'step']
    .filter((field) => field in event)
    .map((field) => [event.type, field, event] as const),
);

const OUTCOMES: Readonly<Record<EndStatus, string>> = {
  completed: 'ok',
  failed: 'error',
  cancelled: 'aborted',
  interrupted: 'interrupted',
  rejected: 'rejected',
};

describe('door 1', () => {
  it.each(EACH)('G-5 shows the %s as one event that the schema knows whole', (_name, event) => {
    const shown = wire(toGateway(entryOf(event), 's1'));
    expect(GatewayEvent.parse(shown)).toEqual(shown);
    expect(shown).toMatchObject({
      event_id: 'run_1:1.7',
      timestamp: 1_763_600_000.25,
      source: 'agent:echo',
      target: null,
    });
  });

  it.each(Object.entries(GATEWAY))('G-5 calls %s %s', (type, expected) => {
    const shown = toGateway(entryOf(ONE[type as AgentEventType]), 's1');
    expect([shown.type, shown.data.kind].filter(Boolean).join(' ')).toBe(expected);
  });

  it('G-5 shows no two events alike', () => {
    const shown = [...EXAMPLES, ...COPIES].map((event) => JSON.stringify(toGateway(entryOf(event), 's1')));
    expect(new Set(shown).size).toBe(EXAMPLES.length + COPIES.length);
  });

  it('G-5 shows everything that an event says; whose session it is goes without saying', () => {
    const seen = (event: AgentEvent): string => JSON.stringify(toGateway(entryOf(event), 's1'));
    for (const event of [...byAll, ...byMember, ...ends]) {
      for (const [field, other] of othersOf(event)) {
        if (field === 'component' && !('parentRunId' in event)) continue;
        expect(seen(other), `${field} of ${named(event)}`).not.toBe(seen(event));
      }
    }
  });

  it('G-6 numbers every event by its offset, twice', () => {
    for (const [name, event] of EACH) {
      const { sequence, data } = toGateway(entryOf(event, { offset: 42 }), 's1');
      expect([sequence, data.cursor], name).toEqual([42, 42]);
    }
  });

  it('G-5 says whose every event is', () => {
    for (const [name, event] of EACH) {
      const { data } = toGateway(entryOf(event), 's1');
      expect(data, name).toMatchObject({ run_id: event.runId, message_id: event.messageId });
      if (isMessage(event)) continue;
      expect(data.attempt, name).toBe(event.attempt);
      expect(data.parent_run_id, name).toBe(event.parentRunId);
      expect(data.member, name).toEqual(event.parentRunId ? event.component : undefined);
    }
  });

  it('G-5 has no source where the entry has none', () => {
    const { source: _, ...entry } = entryOf(ONE.message);
    expect(toGateway(entry, 's1').source).toBeNull();
  });

  it.each(Object.entries(OUTCOMES))(
    'G-9 ends a turn that is %s with a final response: %s',
    (status, outcome) => {
      const end = { ...ONE['run.ended'], status: status as EndStatus, content: 'so far', reason: 'Because.' };
      expect(toGateway(entryOf(end), 's1')).toMatchObject({
        type: 'response',
        data: {
          status: 'final',
          content: 'so far',
          session_id: 's1',
          message_id: 'm1',
          outcome: { status: outcome, reason: 'Because.' },
        },
      });
    },
  );

  it('G-9 ends no turn when only a member has ended', () => {
    for (const end of ends) {
      const { type, data } = toGateway(entryOf(end), 's1');
      const member = end.parentRunId !== undefined;
      expect([type, data.status, data.kind]).toEqual(
        member ? ['status', undefined, 'member_ended'] : ['response', 'final', undefined],
      );
    }
  });

  it('G-5 tells the start of a member from that of the run', () => {
    const started = { ...ONE['run.started'], ...MEMBER };
    expect(toGateway(entryOf(started), 's1').data.kind).toBe('member_started');
  });

  it.each(LONG)('L-17 gets %s with as much %s as an entry may hold into one frame', (_type, field, event) => {
    const filled = (size: number) => ({ ...event, [field]: 'x'.repeat(size) }) as AgentEvent;
    const spare = MAX_ENTRY_DATA - JSON.stringify(draftOf(filled(0)).data).length;
    const longId = '🎻'.repeat(100);
    const entry = entryOf(filled(spare), { id: `msg:${longId}`, source: longId, offset: 2 ** 53 });
    expect(JSON.stringify(entry.data)).toHaveLength(MAX_ENTRY_DATA);
    const frame: ReplayFrame = { type: 'replay', event: toGateway(entry, 's'.repeat(200)), seq: 2 ** 53 };
    expect(Buffer.byteLength(JSON.stringify(frame))).toBeLessThan(MAX_PAYLOAD);
  });
});

const RUN_NAMES: Readonly<Record<Exclude<AgentEventType, 'message'>, string>> = {
  'run.started': 'RunStarted',
  'run.paused': 'RunPaused',
  'run.continued': 'RunContinued',
  'run.handed_over': 'RunStatus',
  'run.attempt': 'RunAttempt',
  'run.ended': 'RunCompleted',
  'text.delta': 'RunContent',
  'text.completed': 'RunContentCompleted',
  'reasoning.started': 'ReasoningStarted',
  'reasoning.delta': 'ReasoningContentDelta',
  'reasoning.completed': 'ReasoningCompleted',
  'tool.started': 'ToolCallStarted',
  'tool.progress': 'ToolCallProgress',
  'tool.completed': 'ToolCallCompleted',
  'tool.failed': 'ToolCallError',
  'step.started': 'StepStarted',
  'step.completed': 'StepCompleted',
  usage: 'RunStatus',
  steered: 'RunStatus',
  'memory.started': 'MemoryUpdateStarted',
  'memory.completed': 'MemoryUpdateCompleted',
  'approval.requested': 'ApprovalRequested',
  'approval.resolved': 'ApprovalResolved',
};

const TERMINAL: readonly (readonly [EndStatus, string, string, string])[] = [
  ['completed', 'RunCompleted', 'TeamRunCompleted', 'WorkflowCompleted'],
  ['cancelled', 'RunCancelled', 'TeamRunCancelled', 'WorkflowCancelled'],
  ['failed', 'RunError', 'TeamRunError', 'WorkflowError'],
  ['interrupted', 'RunError', 'TeamRunError', 'WorkflowError'],
  ['rejected', 'RunError', 'TeamRunError', 'WorkflowError'],
];

describe('door 4', () => {
  it.each(EACH)('R-3 shows the %s as one event under its index', (_name, event) => {
    const shown = wire(toRun(entryOf(event), 's1'));
    expect(RunEventJson.parse(shown)).toEqual(shown);
    expect(shown).toMatchObject({ event_index: 3, session_id: 's1', created_at: 1_763_600_000 });
  });

  it('R-3 counts from 0', () => {
    expect(toRun(entryOf(ONE['run.started'], { runIndex: 0 }), 's1').event_index).toBe(0);
  });

  it('R-3 shows no two events of a run alike', () => {
    const attempts = EXAMPLES.filter((event) => !('attempt' in event) || event.attempt === 1);
    const shown = attempts.map((event) => JSON.stringify(toRun(entryOf(event), 's1')));
    expect(new Set(shown).size).toBe(attempts.length);
  });

  it('R-3 shows everything that an event says; which message and which attempt are known of the run', () => {
    const seen = (event: AgentEvent): string => JSON.stringify(toRun(entryOf(event), 's1'));
    for (const event of [...byAll, ...byMember]) {
      for (const [field, other] of othersOf(event)) {
        const ofRun = field === 'messageId' || field === 'metadata' || field === 'resolvedBy';
        if (ofRun || (field === 'attempt' && event.type !== 'run.attempt')) continue;
        expect(seen(other), `${field} of ${named(event)}`).not.toBe(seen(event));
      }
    }
  });

  it.each(Object.entries(RUN_NAMES))('R-1 calls %s %s, with the prefix Team for a team', (type, name) => {
    const event = ONE[type as keyof typeof RUN_NAMES];
    expect(toRun(entryOf(event), 's1')).toMatchObject({ event: name, agent_id: 'echo', agent_name: 'Echo' });
    const ofTeam = toRun(entryOf({ ...event, component: TEAM }), 's1');
    expect(ofTeam).toMatchObject({ event: `Team${name}`, team_id: 'desk', team_name: 'Desk' });
    expect(ofTeam).not.toHaveProperty('agent_id');
  });

  it.each(TERMINAL)('R-1 ends what is %s with %s, %s or %s', (status, agent, team, workflow) => {
    for (const [component, name] of [
      [AGENT, agent],
      [TEAM, team],
      [WORKFLOW, workflow],
    ] as const) {
      expect(toRun(entryOf({ ...ONE['run.ended'], status, component }), 's1').event).toBe(name);
    }
  });

  it('R-1 starts a workflow under its own name', () => {
    const shown = toRun(entryOf({ ...ONE['run.started'], component: WORKFLOW }), 's1');
    expect(shown).toMatchObject({ event: 'WorkflowStarted', workflow_id: 'post', workflow_name: 'Post' });
  });

  it.each(byMember.map((event) => [event.type, event] as const))(
    "R-1 shows a member's %s with its own run and that of the team",
    (_type, event) => {
      expect(toRun(entryOf(event), 's1')).toMatchObject({
        run_id: 'run_1:member',
        parent_run_id: 'run_1',
        agent_id: 'clerk',
      });
    },
  );

  it.each([
    [{}, 'run_1'],
    [{ workflowRunId: 'run_1.flow' }, 'run_1.flow'],
  ])('R-20 names the step a member works in, and whose step it is: %o', (whose, workflow_run_id) => {
    const member = { ...ONE['text.delta'], runId: 'run_1.m', parentRunId: 'run_1', step: 'sort', ...whose };
    expect(toRun(entryOf(member), 's1')).toMatchObject({ step_name: 'sort', workflow_run_id });
  });

  it('R-1 names no parent where there is none', () => {
    for (const event of byAll) expect(toRun(entryOf(event), 's1')).not.toHaveProperty('parent_run_id');
  });

  it('R-1 says why a run did not complete, and what it had said so far', () => {
    const end = { ...ONE['run.ended'], content: 'so far', reason: 'Because.' };
    expect(toRun(entryOf({ ...end, status: 'interrupted' }), 's1')).toMatchObject({
      content: 'Because.',
      error_type: 'interrupted',
      partial_content: 'so far',
    });
    expect(toRun(entryOf({ ...end, status: 'cancelled' }), 's1')).toMatchObject({
      content: 'so far',
      reason: 'Because.',
    });
  });
});

/** Frames of door 5 for an event of the run itself: some events are not shown to a chat page. */
const CHAT: Readonly<Record<AgentEventType, readonly ChatFrame['type'][]>> = {
  message: ['message'],
  'run.started': ['agent_thinking'],
  'run.ended': ['response', 'agent_done'],
  'text.delta': ['response_delta'],
  'tool.started': ['tool_call'],
  'tool.progress': ['tool_progress'],
  'tool.completed': ['tool_result'],
  'tool.failed': ['tool_result'],
  'approval.requested': ['approval_requested'],
  'approval.resolved': ['approval_resolved'],
  'run.paused': [],
  'run.continued': [],
  'run.handed_over': [],
  'run.attempt': [],
  'text.completed': [],
  'reasoning.started': [],
  'reasoning.delta': [],
  'reasoning.completed': [],
  'step.started': [],
  'step.completed': [],
  usage: [],
  steered: [],
  'memory.started': [],
  'memory.completed': [],
};

describe('door 5', () => {
  it.each(Object.entries(CHAT))('shows %s as %j', (type, frames) => {
    const shown = toChat(entryOf(ONE[type as AgentEventType]), 'echo');
    expect(shown.map((frame) => frame.type)).toEqual(frames);
    for (const frame of shown) {
      if ('message_id' in frame) expect(frame).toMatchObject({ agent_id: 'echo', message_id: 'm1' });
    }
  });

  it('says the whole answer under both names that pages read', () => {
    const [response] = toChat(entryOf(ONE['run.ended']), 'echo');
    expect(response).toMatchObject({ message: 'echo: hi', content: 'echo: hi' });
  });

  it.each(['failed', 'cancelled', 'interrupted', 'rejected'] as const)(
    'ends a turn that is %s with an error, and is done all the same',
    (status) => {
      const end = { ...ONE['run.ended'], status, reason: 'Because.' };
      expect(toChat(entryOf(end), 'echo')).toEqual([
        { type: 'error', agent_id: 'echo', message_id: 'm1', code: status, message: 'Because.' },
        { type: 'agent_done', agent_id: 'echo', message_id: 'm1' },
      ]);
    },
  );

  it("shows all that a member does as the member's, and never as the end of the turn", () => {
    for (const event of [...byMember, ...ends.filter((end) => end.parentRunId)]) {
      const frames = toChat(entryOf(event), 'desk');
      expect(frames.map((frame) => frame.type)).toEqual(['team_member']);
      expect(frames[0]).toMatchObject({ agent_id: 'desk', member_id: 'clerk', kind: event.type });
    }
  });
});
