import { type Entry, eventOf, type HistoryMessage } from '@continuo/protocol';
import { isEnded, type RunState, reduceRun } from './run.ts';

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
}

/** Bytes of conversation a state keeps: a snapshot of it fits one frame. */
export const HISTORY_BYTES: number = 900 * 1024;

export function createSessionState(): SessionState {
  return { messages: [], bytes: 0, truncated: false, queue: [], run: null };
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
  if (event.type === 'run.ended' && event.copy) {
    const { content, messageId } = event;
    if (content !== '') remember(state, { role: 'assistant', content, messageId, at: entry.at });
    return;
  }
  state.run = reduceRun(state.run, entry);
  if (!state.run || !isEnded(state.run)) return;
  const { runId, messageId, text } = state.run;
  state.queue = state.queue.filter((queued) => queued.runId !== runId);
  state.run = null;
  if (text !== '') remember(state, { role: 'assistant', content: text, messageId, at: entry.at });
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
