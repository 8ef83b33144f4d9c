import type { ChannelResetFrame, PresenceChangeFrame, PresenceListFrame } from '@continuo/protocol';
import { createEventQueue } from '../event-queue.ts';
import type { PushMessage } from './message.ts';

/** What a client tells by name; a frame of any other type is told under its type. */
export interface PushEvents {
  channel_message: PushMessage;
  /** Messages between two positions are gone. Without a listener it is an error. */
  'channel.reset': ChannelResetFrame;
  presence_join: PresenceChangeFrame;
  presence_update: PresenceChangeFrame;
  presence_leave: PresenceChangeFrame;
  /** Every answer to `getPresence`, under both names. */
  'presence.list': PresenceListFrame;
  presence_list: PresenceListFrame;
}

/** Events an iterator may leave unread. */
const UNREAD = 10_000;

/** Whoever listens to events that are no messages: at most once, in order. */
export interface Events {
  on(type: string, listener: (event: never) => void): () => void;
  read(type: string): AsyncIterableIterator<unknown>;
  /** Whether anybody listened. */
  emit(type: string, event: unknown): boolean;
  /** Ends the iterators. */
  end(reason?: Error): void;
}

export function createEvents(call: (callback: () => void) => void): Events {
  const listeners = new Set<{ readonly type: string; readonly listener: (event: never) => void }>();
  const readers = new Set<(reason?: Error) => void>();

  function on(type: string, listener: (event: never) => void): () => void {
    const entry = { type, listener };
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  return {
    on,
    read(type) {
      const queue = createEventQueue<unknown>(UNREAD, () => {
        off();
        readers.delete(queue.end);
      });
      const off = on(type, queue.push);
      readers.add(queue.end);
      return queue;
    },
    emit(type, event) {
      const heard = [...listeners].filter((entry) => entry.type === type);
      for (const { listener } of heard) call(() => listener(event as never));
      return heard.length > 0;
    },
    end(reason) {
      for (const end of [...readers]) end(reason);
      readers.clear();
    },
  };
}
