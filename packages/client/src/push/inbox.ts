import { createEventQueue } from '../event-queue.ts';
import type { MessageHandler, PushMessage } from './message.ts';

/** Ids of handled messages that a channel remembers, and messages that wait for a handler. */
const REMEMBERED = 2_000;
const WAITING = 1_000;
/** Messages an iterator may leave unread. */
const UNREAD = 10_000;
/** An iterator was left with the message: it is neither handled nor failed, and comes again. */
const LEFT = Symbol();

/**
 * Messages on their way to their handlers: each shown once, in the order in which they came, without waiting for the one
 * before. When all handlers are done it is acked; when one fails it is nacked and may come again. One that nobody listens
 * for waits, at most 1,000 of a channel; what comes then is not taken, which is reported: with acks it comes again.
 */
export interface Inbox {
  /** Adds a handler of a channel, or (`null`) of all. Returns its remover. */
  listen(channel: string | null, handler: MessageHandler): () => void;
  /** Whether a handler of this very channel is there. */
  hears(channel: string): boolean;
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

interface Held {
  readonly message: PushMessage;
  settle(result?: symbol): void;
}

export function createInbox({ settle, report }: InboxOptions): Inbox {
  const handlers = new Set<{ readonly channel: string | null; readonly handler: MessageHandler }>();
  const boxes = new Map<string, Box>();
  const readers = new Set<(reason?: Error) => void>();

  const handlersOf = (of: string): MessageHandler[] =>
    [...handlers].filter(({ channel }) => channel === null || channel === of).map(({ handler }) => handler);

  function boxOf(channel: string): Box {
    let box = boxes.get(channel);
    if (!box) {
      box = { handled: new Set(), open: new Set(), waiting: [], isFull: false };
      boxes.set(channel, box);
    }
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
    const results = await Promise.allSettled(listening.map(async (handler) => handler(message)));
    box.open.delete(eventId);
    const failures = results.filter((result) => result.status === 'rejected');
    for (const { reason } of failures) report(reason);
    if (failures.length > 0) return settle(message, false);
    if (results.some((result) => result.status === 'fulfilled' && result.value === LEFT)) return;
    box.handled.add(eventId);
    for (const oldest of box.handled) {
      if (box.handled.size <= REMEMBERED) break;
      box.handled.delete(oldest);
    }
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
    hears: (of) => [...handlers].some(({ channel }) => channel === of),
    read() {
      const held = new Set<Held>();
      const close = (reason?: Error): void => {
        readers.delete(close);
        stop();
        for (const { settle: leave } of held) leave(LEFT);
        queue.end(reason);
      };
      const queue = createEventQueue<Held>(UNREAD, close);
      async function* iterate(): AsyncGenerator<PushMessage, void, undefined> {
        for await (const { message, settle: done } of queue) {
          yield message;
          done();
        }
      }
      let stop = (): void => {};
      readers.add(close);
      stop = listen(
        null,
        (message) =>
          new Promise((resolve) => {
            const entry: Held = {
              message,
              settle(result) {
                held.delete(entry);
                resolve(result);
              },
            };
            held.add(entry);
            queue.push(entry);
          }),
      );
      const reader = iterate();
      const leave = reader.return.bind(reader);
      return Object.assign(reader, {
        return() {
          close();
          void queue.return?.();
          return leave();
        },
      });
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
