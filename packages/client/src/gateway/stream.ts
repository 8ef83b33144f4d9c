import type { EventFrame, GatewayEvent, JoinedFrame, ReplayFrame, SnapshotFrame } from '@continuo/protocol';

/**
 * The numbered events of a session, as a pure machine: each is handed over once and in order. A hole is asked for again
 * on the same socket; what the server cannot give is a visible reset.
 */
export interface StreamState {
  readonly sessionId: string | null;
  readonly epoch: string | null;
  /** Sequence of the last event handed over. */
  readonly cursor: number;
  /** The hole that was asked for: until the answer comes, events are not taken. */
  readonly healing: boolean;
  /** The sequence that was missing when a hole was last asked for: the same hole again is one the server cannot fill. */
  readonly asked: number | null;
}

export type ResetReason = SnapshotFrame['reason'] | 'session' | 'gap';

export type StreamEffect =
  | { readonly type: 'deliver'; readonly event: GatewayEvent }
  /** Entries are gone for good; what follows goes on from the snapshot, or from the start of a new session. */
  | {
      readonly type: 'reset';
      /** As the snapshot says; `session`: it is another session; `gap`: the server has not what lies between. */
      readonly reason: ResetReason;
      readonly snapshot: SnapshotFrame | null;
      readonly expected: number;
      readonly received: number;
    }
  /** Ask for everything after the cursor. */
  | { readonly type: 'rejoin' };

export interface StreamStep {
  readonly state: StreamState;
  readonly effects: readonly StreamEffect[];
}

export const NEW_STREAM: StreamState = {
  sessionId: null,
  epoch: null,
  cursor: 0,
  healing: false,
  asked: null,
};

export function onJoined(state: StreamState, frame: JoinedFrame): StreamStep {
  const { session_id: sessionId, epoch, cursor, resumed, resync_required } = frame;
  if (state.sessionId !== null && !resumed) {
    // The session is unknown now, and this is another: all that was not seen of the old one is gone.
    const reset = {
      type: 'reset',
      reason: 'session',
      snapshot: null,
      expected: state.cursor + 1,
      received: 1,
    } as const;
    return { state: { ...NEW_STREAM, sessionId, epoch }, effects: [reset] };
  }
  // The snapshot says where it goes on, and in which epoch. Until then the old position stands: a drop in between must
  // present it again, and not an old offset under the new epoch, which could pass for a good one.
  const position = resync_required ? null : { epoch, cursor };
  return { state: { ...state, sessionId, ...position, healing: false }, effects: [] };
}

export function onSnapshot(state: StreamState, frame: SnapshotFrame): StreamStep {
  const cursor = frame.state.event_cursor;
  const reset = {
    type: 'reset',
    reason: frame.reason,
    snapshot: frame,
    expected: state.cursor + 1,
    received: cursor + 1,
  } as const;
  return { state: { ...state, epoch: frame.epoch, cursor, healing: false, asked: null }, effects: [reset] };
}

export function onEvent(state: StreamState, frame: EventFrame | ReplayFrame): StreamStep {
  const { event } = frame;
  const expected = state.cursor + 1;
  const received = event.sequence;
  if (state.healing || received < expected) return { state, effects: [] };
  const deliver = { type: 'deliver', event } as const;
  if (received === expected) return { state: { ...state, cursor: received }, effects: [deliver] };
  if (state.asked === expected) {
    const reset = { type: 'reset', reason: 'gap', snapshot: null, expected, received } as const;
    return { state: { ...state, cursor: received }, effects: [reset, deliver] };
  }
  return { state: { ...state, healing: true, asked: expected }, effects: [{ type: 'rejoin' }] };
}

/** Everything again, from the first event: nothing is taken until the server has answered. */
export function startOver(state: StreamState): StreamState {
  return { ...state, cursor: 0, healing: true, asked: null };
}
