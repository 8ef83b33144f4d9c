import type { Entry } from '../entry.ts';
import type { EndStatus, RunEvent } from '../events.ts';
import type { GatewayEvent, GatewayEventType } from '../gateway.ts';
import { eventOf } from './event-of.ts';

/** How a turn ended, in door 1's words. */
const OUTCOMES: Readonly<Record<EndStatus, string>> = {
  completed: 'ok',
  failed: 'error',
  cancelled: 'aborted',
  interrupted: 'interrupted',
  rejected: 'rejected',
};

/** Door 1's view of an entry. Total and one to one: every entry is one event, so sequences have no holes. */
export function toGateway(entry: Entry, sessionId: string): GatewayEvent {
  const event = eventOf(entry);
  const [type, data] =
    event.type === 'message'
      ? ([
          'message',
          {
            role: 'user',
            content: event.content,
            message_id: event.messageId,
            run_id: event.runId,
            ...(event.metadata && { metadata: event.metadata }),
            ...(event.copy && { copy: true }),
          },
        ] as const)
      : project(event, sessionId);
  return {
    type,
    data: { ...data, cursor: entry.offset },
    event_id: entry.id,
    timestamp: entry.at / 1000,
    source: entry.source ?? null,
    target: null,
    sequence: entry.offset,
  };
}

type Ended = Pick<Extract<RunEvent, { type: 'run.ended' }>, 'status' | 'content' | 'reason' | 'code'>;
type Projected = readonly [GatewayEventType, Record<string, unknown>];

function project(event: RunEvent, sessionId: string): Projected {
  const whose = {
    run_id: event.runId,
    message_id: event.messageId,
    attempt: event.attempt,
    ...(event.parentRunId && { parent_run_id: event.parentRunId, member: event.component }),
    ...(event.step !== undefined && { step_name: event.step }),
  };
  const status = (kind: string, more?: Record<string, unknown>): Projected => [
    'status',
    { kind, ...whose, ...more },
  ];
  switch (event.type) {
    case 'text.delta':
      return ['token_stream', { content: event.text, ...whose }];
    case 'text.completed':
      return ['stream_end', { content: event.text, ...whose }];
    case 'reasoning.delta':
      return ['reasoning_stream', { content: event.text, ...whose }];
    case 'tool.started':
      return [
        'tool_call_stream',
        {
          tool_call: {
            id: event.callId,
            name: event.name,
            args: event.args,
            ...(event.confirmed && { confirmed: true }),
          },
          ...whose,
        },
      ];
    case 'tool.progress':
      return [
        'tool_progress_stream',
        { tool_call_id: event.callId, name: event.name, progress: event.progress, ...whose },
      ];
    case 'tool.completed':
      return [
        'tool_result_stream',
        { tool_call_id: event.callId, name: event.name, result: event.result, ...whose },
      ];
    case 'tool.failed':
      return [
        'tool_result_stream',
        { tool_call_id: event.callId, name: event.name, error: event.error, ...whose },
      ];
    case 'run.attempt':
      return ['stream_error', { error: event.reason, ...whose }];
    case 'run.ended':
      if (event.parentRunId) return status('member_ended', ended(event));
      return [
        'response',
        {
          status: 'final',
          content: event.content,
          session_id: sessionId,
          outcome: outcomeOf(event),
          ...whose,
          ...(event.copy && { copy: true }),
        },
      ];
    case 'approval.requested':
      return [
        'approval_requested',
        {
          approval_id: event.approvalId,
          tool_call: { id: event.callId, name: event.name, args: event.args },
          expires_at: event.expiresAt / 1000,
          ...whose,
          ...(event.copy && { copy: true }),
        },
      ];
    case 'approval.resolved':
      return [
        'approval_resolved',
        {
          approval_id: event.approvalId,
          approved: event.approved,
          by: event.resolvedBy,
          ...(event.note && { note: event.note }),
          ...(event.expired && { expired: true }),
          ...whose,
          ...(event.copy && { copy: true }),
        },
      ];
    case 'run.started':
      return status(
        event.parentRunId ? 'member_started' : 'run_started',
        event.model ? { model: event.model } : {},
      );
    case 'run.paused':
      return status('run_paused', { approvals: event.questions.map(({ approvalId }) => approvalId) });
    case 'run.handed_over':
      return status('handed_over');
    case 'run.continued':
      return status('run_continued');
    case 'reasoning.started':
      return status('reasoning_started');
    case 'reasoning.completed':
      return status('reasoning_completed', { content: event.text });
    case 'step.started':
      return status('step_started', { step_name: event.step, step_index: event.index });
    case 'step.completed':
      return status('step_completed', {
        step_name: event.step,
        step_index: event.index,
        content: event.content,
      });
    case 'usage':
      return status('usage', {
        input_tokens: event.inputTokens,
        output_tokens: event.outputTokens,
        ...(event.toolCalls !== undefined && { tool_calls: event.toolCalls }),
      });
    case 'steered':
      return status('steered', { steer_id: event.steerId, content: event.content });
    case 'memory.started':
      return status('memory_started');
    case 'memory.completed':
      return status('memory_completed');
    default:
      return event satisfies never;
  }
}

function ended(event: Ended): Record<string, unknown> {
  return {
    content: event.content,
    outcome: outcomeOf(event),
  };
}

function outcomeOf({ status, reason, code }: Ended): Record<string, unknown> {
  return { status: OUTCOMES[status], ...(reason && { reason }), ...(code && { code }) };
}
