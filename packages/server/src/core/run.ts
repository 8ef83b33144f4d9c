import { type Approval, type EndStatus, type Entry, eventOf } from '@continuo/protocol';

/** What a log says of one run. */
export interface RunState {
  readonly runId: string;
  readonly status: 'running' | 'paused' | EndStatus;
  readonly attempt: number;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly messageId: string;
  /** The run's own text of this attempt so far; the final content once it ended. */
  readonly text: string;
  /** What it asked, oldest first. */
  readonly approvals: readonly Approval[];
  readonly reason?: string;
}

/** The id of a run's one terminal entry. */
export function endIdOf(runId: string): string {
  return `${runId}:end`;
}

/** Whether a paused run may go on: nothing of what it asked is open. */
export function isAnswered({ approvals }: RunState): boolean {
  return approvals.every(({ answer }) => answer !== null);
}

export function isEnded(state: RunState): boolean {
  return state.status !== 'running' && state.status !== 'paused';
}

/** Folds one entry of a run. `null`: the run has not started. */
export function reduceRun(state: RunState | null, entry: Entry): RunState | null {
  const event = eventOf(entry);
  if (event.type === 'message' || event.runId !== entry.run) return state; // not the run's own word
  if (event.type === 'run.started') {
    const { runId, attempt, messageId } = event;
    return { runId, status: 'running', attempt, startedAt: entry.at, messageId, text: '', approvals: [] };
  }
  if (!state) return null;
  switch (event.type) {
    case 'text.delta':
      return { ...state, text: state.text + event.text };
    case 'text.completed':
      return { ...state, text: event.text };
    case 'run.attempt':
      return { ...state, attempt: event.attempt, status: 'running', text: '' };
    case 'approval.requested': {
      const { approvalId, callId, name, args } = event;
      const asked: Approval = { approvalId, callId, name, args, requestedAt: entry.at, answer: null };
      return { ...state, approvals: [...state.approvals, asked] };
    }
    case 'approval.resolved': {
      const { approvalId, approved, note, resolvedBy: by } = event;
      const answer = { approved, by, ...(note !== undefined && { note }) };
      const approvals = state.approvals.map((each) =>
        each.approvalId === approvalId ? { ...each, answer } : each,
      );
      return { ...state, approvals };
    }
    case 'run.paused':
      return { ...state, status: 'paused' };
    case 'run.continued':
      return { ...state, status: 'running' };
    case 'run.ended':
      return {
        ...state,
        status: event.status,
        text: event.content,
        ...(event.reason && { reason: event.reason }),
      };
    default:
      return state;
  }
}
