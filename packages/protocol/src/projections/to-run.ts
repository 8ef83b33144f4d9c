import type { Entry } from '../entry.ts';
import type { ComponentRef, Question, RunEvent, RunMetrics } from '../events.ts';
import type { RunEventJson } from '../runs.ts';
import { eventOf } from './event-of.ts';

/** Door 4's view of an entry of a run. Total and one to one: `event_index` is the entry's `runIndex`. */
export function toRun(entry: Entry, sessionId: string): RunEventJson {
  const event = eventOf(entry);
  const base = {
    event_index: entry.runIndex ?? -1,
    session_id: sessionId,
    created_at: Math.floor(entry.at / 1000),
  };
  if (event.type === 'message') {
    return { event: 'RunStatus', kind: 'message', run_id: event.runId, content: event.content, ...base };
  }
  const [name, data] = project(event);
  return {
    event: (event.component.kind === 'team' ? 'Team' : '') + name,
    run_id: event.runId,
    ...(event.parentRunId && { parent_run_id: event.parentRunId }),
    ...(event.step !== undefined && {
      workflow_run_id: event.workflowRunId ?? entry.run,
      step_name: event.step,
    }),
    ...componentFields(event.component),
    ...data,
    ...base,
  };
}

/** `agent_id` and `agent_name`, or the same for a team or a workflow. */
export function componentFields({ kind, id, name }: ComponentRef): Record<string, string> {
  switch (kind) {
    case 'agent':
      return { agent_id: id, agent_name: name };
    case 'team':
      return { team_id: id, team_name: name };
    case 'workflow':
      return { workflow_id: id, workflow_name: name };
    default:
      return kind satisfies never;
  }
}

type Projected = readonly [string, Record<string, unknown>];
type Ended = Pick<
  Extract<RunEvent, { type: 'run.ended' }>,
  'status' | 'content' | 'reason' | 'code' | 'metrics'
>;

function project(event: RunEvent): Projected {
  const workflow = event.component.kind === 'workflow';
  switch (event.type) {
    case 'run.started':
      return [workflow ? 'WorkflowStarted' : 'RunStarted', event.model ? { model: event.model } : {}];
    case 'text.delta':
      return ['RunContent', { content: event.text, content_type: 'str' }];
    case 'text.completed':
      return ['RunContentCompleted', { content: event.text }];
    case 'reasoning.started':
      return ['ReasoningStarted', {}];
    case 'reasoning.delta':
      return ['ReasoningContentDelta', { content: event.text }];
    case 'reasoning.completed':
      return ['ReasoningCompleted', { content: event.text }];
    case 'tool.started':
      return [
        'ToolCallStarted',
        {
          tool: {
            tool_call_id: event.callId,
            tool_name: event.name,
            tool_args: event.args,
            requires_confirmation: event.confirmed ?? false,
          },
        },
      ];
    case 'tool.progress':
      return [
        'ToolCallProgress',
        { tool: { tool_call_id: event.callId, tool_name: event.name }, progress: event.progress },
      ];
    case 'tool.completed':
      return [
        'ToolCallCompleted',
        {
          tool: { tool_call_id: event.callId, tool_name: event.name, result: event.result },
          content: `${event.name} completed`, // a sentence, as clients show it: the result itself is in `tool`
        },
      ];
    case 'tool.failed':
      return [
        'ToolCallError',
        { tool: { tool_call_id: event.callId, tool_name: event.name }, error: event.error },
      ];
    case 'step.started':
      return ['StepStarted', { step_name: event.step, step_index: event.index }];
    case 'step.completed':
      return ['StepCompleted', { step_name: event.step, step_index: event.index, content: event.content }];
    case 'memory.started':
      return ['MemoryUpdateStarted', {}];
    case 'memory.completed':
      return ['MemoryUpdateCompleted', {}];
    case 'approval.requested':
      return [
        'ApprovalRequested',
        {
          approval_id: event.approvalId,
          tool: toolOf(event),
          expires_at: event.expiresAt / 1000,
        },
      ];
    case 'approval.resolved':
      return [
        'ApprovalResolved',
        {
          approval_id: event.approvalId,
          approved: event.approved,
          resolved_by: event.resolvedBy,
          ...(event.note && { note: event.note }),
          ...(event.expired && { expired: true }),
        },
      ];
    case 'run.paused':
      return [
        'RunPaused',
        { tools: event.questions.map(toolOf), requirements: event.questions.map(requirementOf) },
      ];
    case 'usage':
      return [
        'RunStatus',
        {
          kind: 'usage',
          input_tokens: event.inputTokens,
          output_tokens: event.outputTokens,
          ...(event.toolCalls !== undefined && { tool_calls: event.toolCalls }),
        },
      ];
    case 'steered':
      return ['RunStatus', { kind: 'steered', message_id: event.steerId, content: event.content }];
    case 'run.handed_over':
      return ['RunStatus', { kind: 'handed_over' }];
    case 'run.continued':
      return ['RunContinued', {}];
    case 'run.attempt':
      return ['RunAttempt', { attempt: event.attempt, reason: event.reason }];
    case 'run.ended':
      return ended(event, workflow);
    default:
      return event satisfies never;
  }
}

/** As a client echoes it to `/continue`, with `confirmed`. */
function toolOf({ approvalId, callId, name, args }: Question): Record<string, unknown> {
  return {
    tool_call_id: callId,
    approval_id: approvalId,
    tool_name: name,
    tool_args: args,
    requires_confirmation: true,
  };
}

function requirementOf({ approvalId, callId, expiresAt }: Question): Record<string, unknown> {
  return {
    kind: 'confirmation',
    approval_id: approvalId,
    tool_call_id: callId,
    expires_at: expiresAt / 1000,
  };
}

function metricsOf(metrics: RunMetrics | undefined): Record<string, unknown> {
  if (!metrics) return {};
  const { inputTokens, outputTokens, toolCalls, durationMs } = metrics;
  return {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    tool_calls: toolCalls,
    duration: durationMs / 1000,
  };
}

function ended(event: Ended, workflow: boolean): Projected {
  const prefix = workflow ? 'Workflow' : 'Run';
  switch (event.status) {
    case 'completed':
      return [`${prefix}Completed`, { content: event.content, metrics: metricsOf(event.metrics) }];
    case 'cancelled':
      return [`${prefix}Cancelled`, { content: event.content, reason: event.reason ?? 'cancelled' }];
    case 'failed':
    case 'interrupted':
    case 'rejected':
      return [
        `${prefix}Error`,
        {
          content: event.reason ?? event.status,
          error_type: event.code ?? (event.status === 'failed' ? 'error' : event.status),
          partial_content: event.content,
        },
      ];
    default:
      return event.status satisfies never;
  }
}
