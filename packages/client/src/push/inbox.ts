import { createEventQueue } from '../event-queue.ts';
import type { MessageHandler, PushMessage } from './message.ts';

/** Ids of handled messages that are remembered, of all channels, and messages of one that wait for a handler. */
const REMEMBERED = 50_000;
const WAITING = 1_000;
/** Messages an iterator may leave unread. */
const UNREAD = 10_000;
/** An iterator was left with the message: it is neither handled nor failed, and comes again. */
const LEFT = Symbol();
const FAILED = Symbol();

/**
 * Messages on their way to their handlers: each shown once, in the order in which they came, without waiting for the one
 * before. When all handlers are done it is acked; when one fails it is nacked and may come again. One that nobody listens
 * for waits, at most 1,000 of a channel; what comes then is not taken, which is reported: with acks it comes again.
 */
export interface Inbox {
  /** Adds a handler of a channel, or of its next message alone. Returns its remover. */
  listen(channel: string, handler: MessageHandler, once?: boolean): () => void;
  /** Whether a handler of this very channel is there. */
  hears(channel: string): boolean;
  /** Adds a handler of all channels. */
  on(type: string, handler: MessageHandler): () => void;
  /** The messages of all channels; one counts as handled when the next is asked for. */
  read(): AsyncIterableIterator<PushMessage>;
  take(message: PushMessage): void;
  /** The channel is left, with its handlers: what waits of it comes again when it is subscribed to anew. */
  forget(channel: string): void;
  /** The channel began anew: ids that were handled may come as other messages. */
  restart(channel: string): void;
  /** Ends the iterators. */
  end(reason?: Error): void;
}

export interface InboxOptions {
  /** What became of a message: `true` is an ack. */
  settle(message: PushMessage, isHandled: boolean): void;
  report(error: unknown): void;
}

interface Listening {
  readonly channel: string | null;
  readonly handler: MessageHandler;
  readonly once: boolean;
}

const keyOf = ({ channel, eventId }: Pick<PushMessage, 'channel' | 'eventId'>): string =>
  `${channel} ${eventId}`;

export function createInbox({ settle, report }: InboxOptions): Inbox {
  const handlers = new Set<Listening>();
  /** By {@link keyOf}: handled, the oldest first; being handled, or waiting; and channels of which no more may wait. */
  const handled = new Set<string>();
  const open = new Set<string>();
  /** By channel. */
  const waiting = new Map<string, PushMessage[]>();
  const readers = new Set<(reason?: Error) => void>();

  /** Shows what waits, as long as somebody listens. */
  function show(channel: string): void {
    const messages = waiting.get(channel) ?? [];
    for (;;) {
      const listening = [...handlers].filter((each) => each.channel === null || each.channel === channel);
      const message = listening.length > 0 && messages.shift();
      if (!message) break;
      open.delete(channel);
      for (const each of listening) if (each.once) handlers.delete(each);
      void handle(message, listening);
    }
    if (messages.length === 0) waiting.delete(channel);
  }

  async function handle(message: PushMessage, listening: readonly Listening[]): Promise<void> {
    const key = keyOf(message);
    const results = await Promise.all(
      listening.map(async ({ handler }) => {
        try {
          return await handler(message);
        } catch (error) {
          report(error);
          return FAILED;
        }
      }),
    );
    open.delete(key);
    if (results.includes(FAILED)) return settle(message, false);
    if (results.includes(LEFT)) return;
    handled.add(key);
    const [oldest = key] = handled;
    if (handled.size > REMEMBERED) handled.delete(oldest);
    settle(message, true);
  }

  function listen(channel: string | null, handler: MessageHandler, once = false): () => void {
    const entry = { channel, handler, once };
    handlers.add(entry);
    for (const name of [...waiting.keys()]) show(name);
    return () => handlers.delete(entry);
  }

  return {
    listen,
    on: (_, handler) => listen(null, handler),
    hears: (of) => [...handlers].some(({ channel }) => channel === of),
    read() {
      const held = new Map<PushMessage, (result?: symbol) => void>();
      let stop = (): void => {};
      const done = (message: PushMessage, result?: symbol): void => {
        held.get(message)?.(result);
        held.delete(message);
      };
      const close = (reason?: Error): void => {
        readers.delete(close);
        stop();
        for (const message of held.keys()) done(message, LEFT);
        queue.end(reason);
      };
      const queue = createEventQueue<PushMessage>(UNREAD, close, done);
      readers.add(close);
      stop = listen(
        null,
        (message) =>
          new Promise((resolve) => {
            held.set(message, resolve);
            queue.push(message);
          }),
      );
      return queue;
    },
    take(message) {
      const { channel } = message;
      const key = keyOf(message);
      if (handled.has(key)) return settle(message, true); // the ack was lost, or came too late
      if (open.has(key)) return;
      const messages = waiting.get(channel) ?? [];
      if (messages.length === WAITING) {
        if (!open.has(channel)) report(new Error(`${WAITING} messages of "${channel}" have no handler.`));
        open.add(channel); // no key is a channel's name: this is said once
        return;
      }
      open.add(key);
      messages.push(message);
      waiting.set(channel, messages);
      show(channel);
    },
    forget(channel) {
      for (const message of waiting.get(channel) ?? []) open.delete(keyOf(message));
      waiting.delete(channel);
      open.delete(channel);
      for (const each of handlers) if (each.channel === channel) handlers.delete(each);
    },
    restart(channel) {
      for (const key of handled) if (key.startsWith(`${channel} `)) handled.delete(key);
    },
    end(reason) {
      for (const close of [...readers]) close(reason);
    },
  };
}
