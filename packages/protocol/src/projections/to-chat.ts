import type { ChatFrame } from '../chat.ts';
import type { Entry } from '../entry.ts';
import type { RunEvent } from '../events.ts';
import { eventOf } from './event-of.ts';

/** Door 5's view of an entry: none, one or two frames. `agentId` is the agent whose conversation it is. */
export function toChat(entry: Entry, agentId: string): readonly ChatFrame[] {
  const event = eventOf(entry);
  const whose = { agent_id: agentId, message_id: event.messageId };
  if (event.type === 'message') return [{ type: 'message', ...whose, content: event.content }];
  if (event.parentRunId) return [memberFrame(event, whose)];
  switch (event.type) {
    case 'run.started':
      return [{ type: 'agent_thinking', ...whose }];
    case 'text.delta':
      return [{ type: 'response_delta', ...whose, delta: event.text }];
    case 'tool.started':
      return [
        { type: 'tool_call', ...whose, tool_call_id: event.callId, tool_name: event.name, args: event.args },
      ];
    case 'tool.progress':
      return [{ type: 'tool_progress', ...whose, tool_call_id: event.callId, progress: event.progress }];
    case 'tool.completed':
      return [
        {
          type: 'tool_result',
          ...whose,
          tool_call_id: event.callId,
          tool_name: event.name,
          result: event.result,
        },
      ];
    case 'tool.failed':
      return [
        {
          type: 'tool_result',
          ...whose,
          tool_call_id: event.callId,
          tool_name: event.name,
          error: event.error,
        },
      ];
    case 'approval.requested':
      return [
        {
          type: 'approval_requested',
          ...whose,
          approval_id: event.approvalId,
          tool_name: event.name,
          args: event.args,
        },
      ];
    case 'approval.resolved':
      return [{ type: 'approval_resolved', approval_id: event.approvalId, approved: event.approved }];
    case 'run.ended': {
      const done = { type: 'agent_done', ...whose } as const;
      if (event.status === 'completed') {
        return [{ type: 'response', ...whose, message: event.content, content: event.content }, done];
      }
      return [{ type: 'error', ...whose, code: event.status, message: event.reason ?? event.status }, done];
    }
    case 'run.attempt':
    case 'run.paused':
    case 'run.handed_over':
    case 'run.continued':
    case 'text.completed':
    case 'reasoning.started':
    case 'reasoning.delta':
    case 'reasoning.completed':
    case 'step.started':
    case 'step.completed':
    case 'usage':
    case 'steered':
    case 'memory.started':
    case 'memory.completed':
      return [];
    default:
      return event satisfies never;
  }
}

function memberFrame(event: RunEvent, whose: { agent_id: string; message_id: string }): ChatFrame {
  const content =
    event.type === 'text.delta' || event.type === 'text.completed'
      ? event.text
      : event.type === 'run.ended'
        ? event.content
        : undefined;
  return {
    type: 'team_member',
    ...whose,
    member_id: event.component.id,
    kind: event.type,
    ...(content !== undefined && { content }),
  };
}
