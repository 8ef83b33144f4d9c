import type { EventFrame, GatewayEvent, JoinedFrame, ReplayFrame, SnapshotFrame } from '@continuo/protocol';
import { type Step, to } from '../step.ts';

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

export type StreamStep = Step<StreamState, StreamEffect>;

export const NEW_STREAM: StreamState = {
  sessionId: null,
  epoch: null,
  cursor: 0,
  healing: false,
  asked: null,
};

/** What follows begins at `received`. */
function reset(
  { cursor }: StreamState,
  received: number,
  why: SnapshotFrame | { readonly reason: 'session' | 'gap' },
): StreamEffect {
  const snapshot = 'state' in why ? why : null;
  return { type: 'reset', reason: why.reason, snapshot, expected: cursor + 1, received };
}

export function onJoined(state: StreamState, frame: JoinedFrame): StreamStep {
  const { session_id: sessionId, epoch, cursor, resumed, resync_required } = frame;
  // The session is unknown now, and this is another: all that was not seen of the old one is gone.
  if (state.sessionId !== null && !resumed)
    return to({ ...NEW_STREAM, sessionId, epoch }, reset(state, 1, { reason: 'session' }));
  // The snapshot says where it goes on, and in which epoch. Until then the old position stands: a drop in between must
  // present it again, and not an old offset under the new epoch, which could pass for a good one.
  const position = resync_required ? null : { epoch, cursor };
  return to({ ...state, sessionId, ...position, healing: false });
}

export function onSnapshot(state: StreamState, frame: SnapshotFrame): StreamStep {
  const { epoch } = frame;
  const cursor = frame.state.event_cursor;
  return to({ ...state, epoch, cursor, healing: false, asked: null }, reset(state, cursor + 1, frame));
}

export function onEvent(state: StreamState, { event }: EventFrame | ReplayFrame): StreamStep {
  const expected = state.cursor + 1;
  const cursor = event.sequence;
  if (state.healing || cursor < expected) return to(state);
  const deliver = { type: 'deliver', event } as const;
  if (cursor === expected) return to({ ...state, cursor }, deliver);
  if (state.asked === expected)
    return to({ ...state, cursor }, reset(state, cursor, { reason: 'gap' }), deliver);
  return to({ ...state, healing: true, asked: expected }, { type: 'rejoin' });
}

/** Everything again, from the first event: nothing is taken until the server has answered. */
export function startOver(state: StreamState): StreamState {
  return { ...state, cursor: 0, healing: true, asked: null };
}
