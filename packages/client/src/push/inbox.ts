import { createEventQueue } from '../event-queue.ts';
import type { MessageHandler, PushMessage } from './message.ts';

/** Ids of handled messages that a channel remembers, and messages that wait for a handler. */
const REMEMBERED = 2_000;
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
  /** Adds a handler of a channel. Returns its remover. */
  listen(channel: string, handler: MessageHandler): () => void;
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

interface Box {
  readonly handled: Set<string>;
  /** Of messages that are being handled, or wait. */
  readonly open: Set<string>;
  readonly waiting: PushMessage[];
  /** More came than may wait. */
  isFull: boolean;
}

export function createInbox({ settle, report }: InboxOptions): Inbox {
  const handlers = new Set<{ readonly channel: string | null; readonly handler: MessageHandler }>();
  const boxes = new Map<string, Box>();
  const readers = new Set<(reason?: Error) => void>();

  const handlersOf = (of: string): MessageHandler[] =>
    [...handlers].filter(({ channel }) => channel === null || channel === of).map(({ handler }) => handler);

  function boxOf(channel: string): Box {
    const box = boxes.get(channel) ?? { handled: new Set(), open: new Set(), waiting: [], isFull: false };
    boxes.set(channel, box);
    return box;
  }

  /** Shows what waits, as long as somebody listens: a handler may remove itself. */
  function show(channel: string, box: Box): void {
    for (;;) {
      const listening = handlersOf(channel);
      const message = listening.length > 0 && box.waiting.shift();
      if (!message) return;
      box.isFull = false;
      void handle(message, box, listening);
    }
  }

  async function handle(message: PushMessage, box: Box, listening: readonly MessageHandler[]): Promise<void> {
    const { eventId } = message;
    const results = await Promise.all(
      listening.map(async (handler) => {
        try {
          return await handler(message);
        } catch (error) {
          report(error);
          return FAILED;
        }
      }),
    );
    box.open.delete(eventId);
    if (results.includes(FAILED)) return settle(message, false);
    if (results.includes(LEFT)) return;
    box.handled.add(eventId);
    const [oldest = eventId] = box.handled;
    if (box.handled.size > REMEMBERED) box.handled.delete(oldest);
    settle(message, true);
  }

  function listen(channel: string | null, handler: MessageHandler): () => void {
    const entry = { channel, handler };
    handlers.add(entry);
    for (const [name, box] of boxes) show(name, box);
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
      const { channel, eventId } = message;
      const box = boxOf(channel);
      if (box.handled.has(eventId)) return settle(message, true); // the ack was lost, or came too late
      if (box.open.has(eventId)) return;
      if (box.waiting.length < WAITING) {
        box.open.add(eventId);
        box.waiting.push(message);
        show(channel, box);
      } else if (!box.isFull) {
        box.isFull = true;
        report(new Error(`${WAITING} messages of "${channel}" have no handler.`));
      }
    },
    forget(channel) {
      boxes.delete(channel);
      for (const each of handlers) if (each.channel === channel) handlers.delete(each);
    },
    restart: (channel) => boxes.get(channel)?.handled.clear(),
    end(reason) {
      for (const close of [...readers]) close(reason);
    },
  };
}
