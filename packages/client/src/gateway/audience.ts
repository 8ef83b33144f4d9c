import type { GatewayEvent, GatewayEventType, SnapshotFrame } from '@continuo/protocol';
import { createEventQueue, type EventQueue } from '../event-queue.ts';
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

/** Events an iterator may leave unread. */
const UNREAD_EVENTS = 10_000;

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
  const queues = new Set<EventQueue<ClientEvent>>();
  const listeners = new Set<{ readonly type: string; readonly listener: (event: never) => void }>();
  const open = (): EventQueue<ClientEvent> => {
    const queue = createEventQueue<ClientEvent>(UNREAD_EVENTS, () => queues.delete(queue));
    queues.add(queue);
    return queue;
  };
  /** Sockets may hand over the first events before whoever waits for `connect()` gets to run. */
  let early: EventQueue<ClientEvent> | null = open();

  return {
    events() {
      const queue = early ?? open();
      early = null;
      return queue;
    },
    on(type, listener) {
      void early?.return?.();
      early = null;
      const entry = { type, listener };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
    publish(event) {
      for (const queue of queues) queue.push(event);
      for (const { type, listener } of listeners)
        if (type === 'event' || type === event.type) call(() => listener(event as never));
    },
    end(reason) {
      for (const queue of queues) {
        if (queue === early) continue; // the end of what nobody listened to is nobody's
        queues.delete(queue);
        queue.end(reason);
      }
    },
  };
}
