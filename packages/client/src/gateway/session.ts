import type { GatewayServerFrame, JoinedFrame } from '@continuo/protocol';
import type { ClientEvent } from './client-event.ts';
import {
  NEW_STREAM,
  onEvent,
  onJoined,
  onSnapshot,
  type StreamEffect,
  type StreamState,
  type StreamStep,
  startOver,
} from './stream.ts';
import { NO_VIEW, type SessionView, viewEvent, viewSnapshot } from './view.ts';

/** A position that another client, or this one after a restart, can take up. */
export interface SessionPosition {
  readonly sessionId: string;
  /** Sequence of the last event that was handled. */
  readonly cursor: number;
  readonly epoch?: string;
}

/** The session a client has joined, over all its connections: where it stands, and what is known of it. */
export interface Session {
  readonly stream: StreamState;
  readonly view: SessionView;
  readonly joined: JoinedFrame | null;
  /** The first frame of a connection. */
  greet(): object;
  /** Takes a frame that is about the session. */
  take(frame: GatewayServerFrame): void;
  /** A new connection was joined: a position that was moved meanwhile is asked for now. */
  greeted(): void;
  resume(position: SessionPosition): void;
  startOver(): void;
}

export interface SessionOptions {
  /** What every join says. */
  joinFrame(): object;
  /** Sends a frame on the open connection; false when there is none. */
  send(frame: object): boolean;
  publish(event: ClientEvent): void;
  onGap(expected: number, received: number): void;
}

export function createSession(options: SessionOptions): Session {
  let stream = NEW_STREAM;
  let view = NO_VIEW;
  let joined: JoinedFrame | null = null;
  /** The position was moved after a join that is still unanswered: the answer is about another one. */
  let moved = false;

  function joinFrame(): object {
    const { sessionId, cursor, epoch } = stream;
    return {
      ...options.joinFrame(),
      ...(sessionId !== null && { session_id: sessionId, since: cursor, ...(epoch !== null && { epoch }) }),
    };
  }

  function move(to: StreamState): void {
    stream = to;
    moved = to.sessionId !== null && !options.send(joinFrame());
  }

  function apply({ state, effects }: StreamStep): void {
    stream = state;
    for (const effect of effects) {
      perform(effect);
      if (stream !== state) return; // a callback moved the position
    }
  }

  function perform(effect: StreamEffect): void {
    switch (effect.type) {
      case 'deliver':
        view = viewEvent(view, effect.event);
        return options.publish(effect.event);
      case 'reset': {
        const { snapshot, reason, expected, received } = effect;
        options.onGap(expected, received);
        return options.publish({ type: 'snapshot', data: snapshot?.state ?? null, reason });
      }
      case 'rejoin':
        options.send(joinFrame());
        return;
      default:
        effect satisfies never;
    }
  }

  return {
    get stream() {
      return stream;
    },
    get view() {
      return view;
    },
    get joined() {
      return joined;
    },
    greet() {
      moved = false;
      return joinFrame();
    },
    take(frame) {
      switch (frame.type) {
        case 'joined':
          joined = frame;
          view = frame;
          if (!moved) apply(onJoined(stream, frame));
          return;
        case 'snapshot':
          view = viewSnapshot(view, frame);
          return apply(onSnapshot(stream, frame));
        case 'event':
        case 'replay':
          return apply(onEvent(stream, frame));
        default: // an answer that nobody waits for, or what a newer server may say
      }
    },
    greeted() {
      if (moved) move(stream);
    },
    resume: ({ sessionId, cursor, epoch = null }) =>
      move({ ...NEW_STREAM, sessionId, cursor, epoch, healing: true }),
    startOver: () => move(startOver(stream)),
  };
}

/** Of what the stream goes by, nothing is taken on trust: one frame without its number would stop it. */
export function isSound(frame: GatewayServerFrame): boolean {
  switch (frame.type) {
    case 'event':
    case 'replay':
      return Number.isInteger(frame.event?.sequence);
    case 'snapshot':
      return Number.isInteger(frame.state?.event_cursor);
    default:
      return frame.type !== 'joined' || Number.isInteger(frame.cursor);
  }
}
