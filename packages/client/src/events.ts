import { createEventQueue, type EventQueue } from './event-queue.ts';

/** Events an iterator may leave unread. */
const UNREAD = 10_000;

/** Whoever listens to what a client tells by name: each gets every event from its coming on, at most once and in order. */
export interface Events {
  on(type: string, listener: (event: never) => void): () => void;
  read<T>(type: string): EventQueue<T>;
  /** Tells those who listen to one of the names. Whether anybody did. */
  emit(event: unknown, ...types: readonly string[]): boolean;
  /** Ends the iterators but one. */
  end(reason: Error | undefined, but?: EventQueue<unknown> | null): void;
}

export function createEvents(call: (callback: () => void) => void): Events {
  const listeners = new Set<{ readonly type: string; readonly listener: (event: never) => void }>();
  const queues = new Map<EventQueue<unknown>, () => void>();

  function on(type: string, listener: (event: never) => void): () => void {
    const entry = { type, listener };
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  function leave(queue: EventQueue<unknown>): void {
    queues.get(queue)?.();
    queues.delete(queue);
  }

  return {
    on,
    read<T>(type: string) {
      const queue = createEventQueue<T>(UNREAD, () => leave(queue));
      queues.set(queue, on(type, queue.push));
      return queue;
    },
    emit(event, ...types) {
      const heard = [...listeners].filter(({ type }) => types.includes(type));
      for (const { listener } of heard) call(() => listener(event as never));
      return heard.length > 0;
    },
    end(reason, but) {
      for (const queue of [...queues.keys()]) {
        if (queue === but) continue;
        leave(queue);
        queue.end(reason);
      }
    },
  };
}
