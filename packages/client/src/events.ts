import { createEventQueue, type EventQueue } from './event-queue.ts';

/** Events an iterator may leave unread. */
const UNREAD = 10_000;

/** Whoever listens to what a client tells by name: each gets every event from its coming on, at most once and in order. */
export interface Events {
  on(type: string, listener: (event: never) => void): () => void;
  /** Of the early type, the first one also gets what came before, when nobody was listening. */
  read<T>(type: string): EventQueue<T>;
  /** Tells those who listen to one of the names. Whether anybody did. */
  emit(event: unknown, ...types: readonly string[]): boolean;
  /** Ends the iterators that somebody has; what nobody has read yet, and listeners, stay for the next connection. */
  end(reason?: Error): void;
}

export function createEvents(call: (callback: () => void) => void, earlyType?: string): Events {
  const listeners = new Set<{ readonly type: string; readonly listener: (event: never) => void }>();
  const queues = new Map<EventQueue<unknown>, () => void>();

  function add(type: string, listener: (event: never) => void): () => void {
    const entry = { type, listener };
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  function leave(queue: EventQueue<unknown>): void {
    queues.get(queue)?.();
    queues.delete(queue);
  }

  function open<T>(type: string): EventQueue<T> {
    const queue = createEventQueue<T>(UNREAD, () => leave(queue));
    queues.set(queue, add(type, queue.push));
    return queue;
  }

  /** Sockets may hand over the first events before whoever waits for `connect()` gets to run. */
  let early: EventQueue<never> | null = earlyType === undefined ? null : open(earlyType);

  return {
    on(type, listener) {
      void early?.return?.();
      early = null;
      return add(type, listener);
    },
    read<T>(type: string): EventQueue<T> {
      const queue = early ?? open<T>(type);
      early = null;
      return queue;
    },
    emit(event, ...types) {
      const heard = [...listeners].filter(({ type }) => types.includes(type));
      for (const { listener } of heard) call(() => listener(event as never));
      return heard.length > 0;
    },
    end(reason) {
      for (const queue of [...queues.keys()]) {
        if (queue === early) continue; // the end of what nobody listened to is nobody's
        leave(queue);
        queue.end(reason);
      }
    },
  };
}
