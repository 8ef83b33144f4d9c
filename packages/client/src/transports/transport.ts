/** A frame, by its fields. */
export type PushFrame = Readonly<Record<string, unknown>>;

/**
 * How frames get to a gateway and back. Rules:
 * - `connect` resolves when frames can be sent. It may be called again after `disconnect`, and is never called twice without.
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
