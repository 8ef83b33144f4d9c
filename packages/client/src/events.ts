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

interface Entry {
  readonly type: string;
  readonly listener: (event: never) => void;
  /** Where it is that of an iterator. */
  readonly queue?: EventQueue<unknown>;
}

export function createEvents(call: (callback: () => void) => void, earlyType?: string): Events {
  const entries = new Set<Entry>();

  function add(entry: Entry): () => void {
    entries.add(entry);
    return () => entries.delete(entry);
  }

  function open<T>(type: string): EventQueue<T> {
    const queue = createEventQueue<T>(UNREAD, () => leave());
    const leave = add({ type, listener: queue.push, queue });
    return queue;
  }

  /** Sockets may hand over the first events before whoever waits for `connect()` gets to run. */
  let early: EventQueue<never> | undefined = earlyType === undefined ? undefined : open(earlyType);

  return {
    on(type, listener) {
      void early?.return?.();
      early = undefined;
      return add({ type, listener });
    },
    read<T>(type: string) {
      if (type !== earlyType || !early) return open<T>(type);
      const queue: EventQueue<T> = early;
      early = undefined;
      return queue;
    },
    emit(event, ...types) {
      const heard = [...entries].filter(({ type }) => types.includes(type));
      for (const { listener } of heard) call(() => listener(event as never));
      return heard.length > 0;
    },
    end(reason) {
      for (const entry of entries) {
        if (!entry.queue || entry.queue === early) continue; // the end of what nobody listened to is nobody's
        entries.delete(entry);
        entry.queue.end(reason);
      }
    },
  };
}
