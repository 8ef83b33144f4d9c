import type { SocketLike } from '../connection/platform.ts';
import { createEventQueue, type EventQueue } from '../event-queue.ts';

/** A frame, by its fields. */
export type PushFrame = Readonly<Record<string, unknown>>;

/**
 * How frames get to a gateway and back. Rules:
 * - `connect` resolves when frames can be sent. It may be called again after `disconnect`.
 * - `send` resolves when the frame is on its way, and rejects when it cannot go out.
 * - `receive` resolves with one frame after the other, in their order; one call at a time. It rejects when the connection is
 *   over: with a {@link CloseError} where the gateway closed it with a code.
 * - `disconnect` may be called at any time, also more than once.
 */
export interface PushTransport {
  readonly isConnected: boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  send(frame: PushFrame): Promise<void>;
  receive(): Promise<PushFrame>;
}

/** A connection is over. `code` is that of a WebSocket close: 1006 where nobody said why. */
export class CloseError extends Error {
  override readonly name = 'CloseError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Frames that came and were not received: with more the connection is over. */
const UNREAD_FRAMES = 10_000;

/** A transport over sockets: `dial` makes one for every `connect`. */
export function transportOf<Options>(
  dial: (options: Options) => SocketLike,
): new (
  options: Options,
) => PushTransport {
  return class implements PushTransport {
    readonly #options: Options;
    #frames: EventQueue<unknown> | undefined;
    #socket: SocketLike | undefined;
    #isConnected = false;

    constructor(options: Options) {
      this.#options = options;
    }

    get isConnected(): boolean {
      return this.#isConnected;
    }

    connect(): Promise<void> {
      return new Promise((resolve, reject) => {
        const socket = dial(this.#options);
        const frames = createEventQueue<unknown>(UNREAD_FRAMES, () => {});
        this.#socket = socket;
        this.#frames = frames;
        socket.onopen = () => {
          this.#isConnected = true;
          resolve();
        };
        socket.onmessage = ({ data }) => frames.push(data);
        socket.onerror = () => {}; // a close follows and says more
        socket.onclose = ({ code, reason }) => {
          const error = new CloseError(code, reason);
          if (socket === this.#socket) this.#isConnected = false;
          frames.end(error);
          reject(error);
        };
      });
    }

    async disconnect(): Promise<void> {
      this.#isConnected = false;
      this.#frames?.end();
      this.#socket?.close(1000);
    }

    async send(frame: PushFrame): Promise<void> {
      if (!this.#isConnected) throw new CloseError(1006, 'Not connected.');
      this.#socket?.send(JSON.stringify(frame));
    }

    async receive(): Promise<PushFrame> {
      const next = await this.#frames?.next();
      if (!next || next.done) throw new CloseError(1006, 'Not connected.');
      return JSON.parse(String(next.value));
    }
  };
}
