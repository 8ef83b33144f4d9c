import type { GatewayEvent, GatewayEventType, SnapshotFrame } from '@continuo/protocol';
import type { EventQueue } from '../event-queue.ts';
import { createEvents } from '../events.ts';
import type { ResetReason } from './stream.ts';

/**
 * In place of events that are gone: the whole session as it stands. `null` where there is none: the session is a new one
 * (`session`), or events go on behind a hole that the server could not fill (`gap`).
 */
export interface ResetEvent {
  readonly type: 'snapshot';
  readonly data: SnapshotFrame['state'] | null;
  readonly reason: ResetReason;
}

export type ClientEvent = GatewayEvent | ResetEvent;

/** The event that a listener of a type gets; `event` stands for all types. */
export type EventOf<T> = T extends 'snapshot'
  ? ResetEvent
  : T extends GatewayEventType
    ? GatewayEvent
    : ClientEvent;

/** Whoever reads the events of a client: each gets every event from its coming on, at most once and in order. */
export interface Audience {
  /** The first one also gets what came before, when nobody was listening. */
  events(): EventQueue<ClientEvent>;
  on(type: string, listener: (event: never) => void): () => void;
  publish(event: ClientEvent): void;
  /** Ends the iterators that somebody has; what nobody has read yet, and listeners, stay for the next connection. */
  end(reason?: Error): void;
}

export function createAudience(call: (callback: () => void) => void): Audience {
  const all = createEvents(call);
  /** Sockets may hand over the first events before whoever waits for `connect()` gets to run. */
  let early: EventQueue<ClientEvent> | null = all.read('event');

  return {
    events() {
      const queue = early ?? all.read('event');
      early = null;
      return queue;
    },
    on(type, listener) {
      void early?.return?.();
      early = null;
      return all.on(type, listener);
    },
    publish: (event) => all.emit(event, 'event', event.type),
    end: (reason) => all.end(reason, early), // the end of what nobody listened to is nobody's
  };
}
