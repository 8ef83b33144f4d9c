import { ConnectionError, errorOf } from '../errors.ts';

/** A frame, by its fields. */
type Frame = Readonly<Record<string, unknown>>;

export interface Request {
  /** Comes back with the answer. */
  readonly id: string;
  /** Without its `request_id`. */
  readonly frame: object;
  /** Whether the server may be told twice. If not, the request fails when the connection breaks before the answer. */
  readonly repeatable: boolean;
}

interface Waiting {
  readonly text: string;
  readonly repeatable: boolean;
  readonly promise: Promise<Frame>;
  readonly resolve: (answer: Frame) => void;
  readonly reject: (error: Error) => void;
  sent: boolean;
}

/**
 * Requests until their answer, in order. What the server may be told twice is sent again on every connection until it is
 * answered; the rest is sent once. Full at its limit: the next is rejected.
 */
export interface Outbox {
  /** Resolves with the answer, rejects with its error. The same id again is the same request. Rejects what is no JSON. */
  add(request: Request): Promise<Frame>;
  /** Whether the frame was the answer to a request. */
  answer(frame: Frame): boolean;
  /** Sends what waits and was not sent since the connection broke: there is a new one. */
  flush(): void;
  /** The connection broke: what was sent must be sent again, or fails. */
  broke(): void;
  /** Rejects all. */
  end(error: Error): void;
}

export function createOutbox(options: {
  send(text: string): boolean;
  /** Of a frame, in bytes, where it is known. */
  maxBytes(): number | undefined;
  /** Requests that may wait. Default 1,000. */
  readonly limit?: number;
}): Outbox {
  const { limit = 1_000 } = options;
  const all = new Map<string, Waiting>();

  function post(id: string, waiting: Waiting): void {
    const { text } = waiting;
    const maxBytes = options.maxBytes();
    const bytes = new TextEncoder().encode(text).length;
    if (maxBytes !== undefined && bytes > maxBytes) {
      const message = `A frame has at most ${maxBytes} bytes, not ${bytes}.`;
      fail(id, errorOf({ code: 'too_large', message }));
    } else waiting.sent = options.send(text);
  }

  function fail(id: string, error: Error): void {
    all.get(id)?.reject(error);
    all.delete(id);
  }

  return {
    add({ id, frame, repeatable }) {
      const known = all.get(id);
      if (known) return known.promise;
      if (all.size >= limit) return Promise.reject(new ConnectionError(`${limit} messages wait already.`));
      const text = JSON.stringify({ ...frame, request_id: id });
      const waiting = { text, repeatable, sent: false, ...Promise.withResolvers<Frame>() };
      all.set(id, waiting);
      post(id, waiting);
      return waiting.promise;
    },
    answer(frame) {
      const id = frame.request_id ?? frame.message_id;
      const waiting = typeof id === 'string' && all.get(id);
      if (!waiting) return false;
      if (frame.type === 'error') waiting.reject(errorOf(frame));
      else waiting.resolve(frame);
      return all.delete(id);
    },
    flush() {
      for (const [id, waiting] of all) if (!waiting.sent) post(id, waiting);
    },
    broke() {
      for (const [id, waiting] of all) {
        if (waiting.sent && !waiting.repeatable)
          fail(id, new ConnectionError('The connection was closed before the answer.'));
        waiting.sent = false;
      }
    },
    end(error) {
      for (const id of all.keys()) fail(id, error);
    },
  };
}
