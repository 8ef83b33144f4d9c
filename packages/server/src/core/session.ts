import { type Approval, type Entry, eventOf, type HistoryMessage } from '@continuo/protocol';
import { isDue, isEnded, type RunState, reduceRun } from './run.ts';

/** A message that asked for a turn and has not had its end. */
export interface QueuedMessage {
  readonly messageId: string;
  readonly runId: string;
  readonly offset: number;
}

/**
 * What a session's log says: the conversation, what waits, and the turn under way. It is nothing but the fold of the
 * log, so it is the same on every server; a stored copy of it (a checkpoint) stands in for what was trimmed.
 */
export interface SessionState {
  /** Oldest first; as many of the newest as fit {@link HISTORY_BYTES}. */
  messages: HistoryMessage[];
  bytes: number;
  truncated: boolean;
  /** Oldest first: the first is next, or under way. */
  queue: QueuedMessage[];
  /** The turn under way. */
  run: RunState | null;
  /** Turns that wait for a person's answer: they are not in the queue, and come back to its end when they have it. */
  paused: PausedTurn[];
  /** Open questions of runs that have logs of their own, oldest first. */
  asked: AskedElsewhere[];
}

export interface PausedTurn {
  readonly message: QueuedMessage;
  readonly run: RunState;
}

export interface AskedElsewhere {
  readonly runId: string;
  readonly messageId: string;
  readonly approval: Approval;
}

/** Open questions of other logs that a session knows of: beyond, the oldest are forgotten here. */
const MAX_ASKED = 100;

/** Bytes of conversation a state keeps: a snapshot of it fits one frame. */
export const HISTORY_BYTES: number = 900 * 1024;

export function createSessionState(): SessionState {
  return { messages: [], bytes: 0, truncated: false, queue: [], run: null, paused: [], asked: [] };
}

/** Folds one entry into the state, in place: a session may have a hundred thousand. */
export function reduceSession(state: SessionState, entry: Entry): void {
  const event = eventOf(entry);
  if (event.type === 'message') {
    const { messageId, runId, content } = event;
    if (!event.copy) state.queue.push({ messageId, runId, offset: entry.offset });
    remember(state, { role: 'user', content, messageId, at: entry.at });
    return;
  }
  if (event.type === 'approval.requested' && event.copy) {
    const { approvalId, callId, name, args, expiresAt, runId, messageId } = event;
    const question = { approvalId, callId, name, args, expiresAt, runId };
    const approval: Approval = { ...question, requestedAt: entry.at, answer: null };
    state.asked = [...state.asked, { runId, messageId, approval }].slice(-MAX_ASKED);
    return;
  }
  if (event.type === 'approval.resolved' && event.copy) {
    const { approvalId } = event;
    state.asked = state.asked.filter(({ approval }) => approval.approvalId !== approvalId);
    return;
  }
  if (event.type === 'run.ended' && event.copy) {
    const { content, messageId } = event;
    state.asked = state.asked.filter((asked) => asked.messageId !== messageId);
    if (content !== '') remember(state, { role: 'assistant', content, messageId, at: entry.at });
    return;
  }
  const waiting = state.paused.findIndex(({ run }) => run.runId === entry.run);
  if (waiting >= 0) return reducePaused(state, waiting, entry);
  state.run = reduceRun(state.run, entry);
  const { run } = state;
  if (run?.status === 'paused') {
    const message = state.queue.find((queued) => queued.runId === run.runId);
    state.queue = state.queue.filter((queued) => queued.runId !== run.runId);
    if (message) state.paused.push({ message, run });
    state.run = null;
  } else if (run && isEnded(run)) {
    state.queue = state.queue.filter((queued) => queued.runId !== run.runId);
    state.run = null;
    rememberAnswer(state, run, entry.at);
  }
}

/** An entry of a run that is paused: an answer, its going on, or its end. */
function reducePaused(state: SessionState, at: number, entry: Entry): void {
  const turn = state.paused[at];
  const run = turn && reduceRun(turn.run, entry);
  if (!run) return;
  const takeOut = (): void => void state.paused.splice(at, 1);
  if (isEnded(run)) {
    takeOut();
    state.queue = state.queue.filter((queued) => queued.runId !== run.runId);
    rememberAnswer(state, run, entry.at);
  } else if (run.status === 'running') {
    takeOut();
    state.run = run;
  } else {
    state.paused[at] = { ...turn, run };
    const isQueued = state.queue.some((queued) => queued.runId === run.runId);
    if (isDue(run) && !isQueued) state.queue.push(turn.message);
  }
}

function rememberAnswer(state: SessionState, { text, messageId }: RunState, at: number): void {
  if (text !== '') remember(state, { role: 'assistant', content: text, messageId, at });
}

function remember(state: SessionState, message: HistoryMessage): void {
  state.messages.push(message);
  state.bytes += sizeOf(message);
  while (state.bytes > HISTORY_BYTES && state.messages.length > 1) {
    const oldest = state.messages.shift();
    state.bytes -= oldest ? sizeOf(oldest) : 0;
    state.truncated = true;
  }
}

const encoder = new TextEncoder();

function sizeOf({ content, messageId }: HistoryMessage): number {
  return encoder.encode(JSON.stringify([content, messageId])).byteLength + 100;
}
