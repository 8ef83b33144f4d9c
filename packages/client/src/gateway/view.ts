import type { GatewayEvent, Health, JoinedFrame, Policy, SnapshotFrame } from '@continuo/protocol';

/** What a client knows of its session besides the events: as it was joined, and as later events changed it. */
export interface SessionView extends Pick<JoinedFrame, 'presence' | 'pending' | 'turn'> {
  readonly health: Health | null;
  readonly policy?: Policy;
  /** Sequence up to which events are in here already. */
  readonly head: number;
}

export const NO_VIEW: SessionView = { presence: [], health: null, pending: [], turn: null, head: 0 };

export function viewSnapshot(view: SessionView, { state }: SnapshotFrame): SessionView {
  const { pending, event_cursor: head } = state;
  return { ...view, pending, turn: state.state === 'idle' ? null : view.turn, head };
}

export function viewEvent(view: SessionView, { type, data, timestamp, sequence }: GatewayEvent): SessionView {
  const { message_id, approval_id, kind } = data;
  const { turn, pending } = view;
  if (sequence <= view.head || typeof message_id !== 'string') return view;
  const ended = turn?.message_id === message_id ? null : turn;
  switch (type === 'status' ? kind : type) {
    case 'approval_requested': {
      const { tool_call, expires_at } = data;
      if (!approval_id || !tool_call) return view;
      const open = { approval_id, message_id, tool_call, requested_at: timestamp, expires_at };
      return { ...view, pending: [...pending, open] };
    }
    case 'approval_resolved':
      return { ...view, pending: pending.filter((open) => open.approval_id !== approval_id) };
    case 'response':
      return { ...view, turn: ended, pending: pending.filter((open) => open.message_id !== message_id) };
    case 'run_started':
    case 'run_continued':
      return { ...view, turn: { message_id, started_at: timestamp } };
    case 'run_paused':
      return { ...view, turn: ended };
    default:
      return view;
  }
}
