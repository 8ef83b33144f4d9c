import { type Approval, type EndStatus, type Entry, eventOf, type RunEvent } from '@continuo/protocol';

/** What a log says of one run. */
export interface RunState {
  readonly runId: string;
  readonly status: 'running' | 'paused' | EndStatus;
  readonly attempt: number;
  /** How often its server died; one that closed in good order handed it over. */
  readonly crashes: number;
  readonly isHandedOver: boolean;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** When it started or last went on after a pause, unix ms. */
  readonly activeSince: number;
  readonly messageId: string;
  /** The run's own text of this attempt so far; the final content once it ended. */
  readonly text: string;
  /** What it and its members asked, oldest first. */
  readonly approvals: readonly Approval[];
  /** What it took in this attempt, its members included. */
  readonly used: Used;
  readonly reason?: string;
  readonly code?: string;
}

/** What counts against a run's limits. */
export interface Used {
  readonly toolCalls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export const UNUSED: Used = { toolCalls: 0, inputTokens: 0, outputTokens: 0 };

/** What was used before, with what an event says was used. */
export function addUsed(
  used: Used,
  event:
    | {
        readonly type: 'usage';
        readonly inputTokens: number;
        readonly outputTokens: number;
        readonly toolCalls?: number | undefined;
      }
    | { readonly type: 'tool.started' },
): Used {
  if (event.type === 'tool.started') return { ...used, toolCalls: used.toolCalls + 1 };
  const { inputTokens, outputTokens, toolCalls = 0 } = event;
  return {
    toolCalls: used.toolCalls + toolCalls,
    inputTokens: used.inputTokens + inputTokens,
    outputTokens: used.outputTokens + outputTokens,
  };
}

/** The id of a run's one terminal entry. */
export function endIdOf(runId: string): string {
  return `${runId}:end`;
}

/** What nobody has answered. */
export function openApprovals({ approvals }: RunState): readonly Approval[] {
  return approvals.filter(({ answer }) => answer === null);
}

/** Whether a paused run is due: nothing of what it asked is open, or one of its questions was not answered in time. */
export function isDue(state: RunState): boolean {
  return openApprovals(state).length === 0 || isExpired(state);
}

/** Whether nobody answered one of its questions in time: it only ends. */
export function isExpired({ approvals }: RunState): boolean {
  return approvals.some(({ answer }) => answer?.expired);
}

/** How often its server has died, where it is to start over now. */
export function crashesOf({ crashes, isHandedOver }: RunState): number {
  return isHandedOver ? crashes : crashes + 1;
}

export function isEnded(state: RunState): boolean {
  return state.status !== 'running' && state.status !== 'paused';
}

/** Folds one entry of a run. `null`: the run has not started. */
export function reduceRun(state: RunState | null, entry: Entry): RunState | null {
  const event = eventOf(entry);
  if (event.type === 'message') return state;
  const isOwn = event.runId === entry.run;
  if (event.type === 'run.started' && isOwn) {
    const { runId, attempt, messageId } = event;
    const at = { startedAt: entry.at, activeSince: entry.at };
    const fresh = { crashes: 0, isHandedOver: false, text: '', approvals: [], used: UNUSED };
    return { runId, status: 'running', attempt, ...at, messageId, ...fresh };
  }
  if (!state) return null;
  return isOwn ? reduceOwn(reduceAny(state, event, entry), event, entry) : reduceAny(state, event, entry);
}

/** What counts for the run, whoever of it says so. */
function reduceAny(state: RunState, event: RunEvent, entry: Entry): RunState {
  switch (event.type) {
    case 'usage':
    case 'tool.started':
      return { ...state, used: addUsed(state.used, event) };
    case 'approval.requested': {
      const { approvalId, callId, name, args, expiresAt, runId } = event;
      const asked: Approval = {
        approvalId,
        callId,
        name,
        args,
        runId,
        requestedAt: entry.at,
        expiresAt,
        answer: null,
      };
      return { ...state, approvals: [...state.approvals, asked] };
    }
    case 'approval.resolved': {
      const { approvalId, approved, note, resolvedBy: by, expired } = event;
      const answer = { approved, by, ...(note !== undefined && { note }), ...(expired && { expired }) };
      const approvals = state.approvals.map((each) =>
        each.approvalId === approvalId ? { ...each, answer } : each,
      );
      return { ...state, approvals };
    }
    default:
      return state;
  }
}

function reduceOwn(state: RunState, event: RunEvent, entry: Entry): RunState {
  switch (event.type) {
    case 'text.delta':
      return { ...state, text: state.text + event.text };
    case 'text.completed':
      return { ...state, text: event.text };
    case 'run.attempt':
      return {
        ...state,
        attempt: event.attempt,
        crashes: crashesOf(state),
        isHandedOver: false,
        status: 'running',
        text: '',
        used: UNUSED,
      };
    case 'run.handed_over':
      return { ...state, isHandedOver: true };
    case 'run.paused':
      return { ...state, status: 'paused' };
    case 'run.continued':
      return { ...state, status: 'running', activeSince: entry.at };
    case 'run.ended':
      return {
        ...state,
        status: event.status,
        text: event.content,
        ...(event.reason && { reason: event.reason }),
        ...(event.code && { code: event.code }),
      };
    default:
      return state;
  }
}
