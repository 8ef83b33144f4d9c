import type { Backoff } from '../connection/backoff.ts';
import type { ConnectionStatus } from '../connection/connection.ts';
import type { Platform, SocketLike } from '../connection/platform.ts';
import type { TokenSource } from '../connection/tokens.ts';
import type { PushTransport } from '../transports/transport.ts';

export interface PushClientOptions {
  /** `ws://host:8765/ws`; `http` and `https` are taken for `ws` and `wss`. */
  readonly url: string;
  /**
   * A token, or who makes one: asked at every dial, one call at a time. When the server refuses its token it is asked once
   * more; the same token again ends the connection with `UnauthorizedError`.
   */
  readonly authToken?: TokenSource;
  /**
   * Who this device is: what it has not acked when it goes away is delivered when a client of this id is back. Default: an
   * id of its own, kept over reconnects.
   */
  readonly clientId?: string;
  /** Whether to poll where a WebSocket cannot be had. Default true. */
  readonly fallbackToPolling?: boolean;
  /** While polling, a WebSocket is tried this often, in ms. Default 60,000. */
  readonly probeMs?: number;
  /** Default true. */
  readonly autoReconnect?: boolean;
  /** Failed attempts in a row before it gives up. Default: never. */
  readonly maxReconnectAttempts?: number;
  /** Default: 1,000 ms, doubled up to 5,000, a fifth shorter or longer by chance. */
  readonly backoff?: Partial<Backoff>;
  /** In place of a WebSocket and polling: one transport, connected anew after every end, or who makes one for each dial. */
  readonly transport?: PushTransport | (() => PushTransport);
  readonly onStateChange?: (state: ConnectionStatus) => void;
  /** An error that no call is waiting for: of the server, or thrown by a handler. Default: the console. */
  readonly onError?: (error: unknown) => void;
  /** For runtimes without a global one, such as the class of the `ws` package. */
  readonly WebSocket?: new (
    url: string,
  ) => SocketLike;
  readonly fetch?: typeof globalThis.fetch;
  /** Time, chance and sockets; for tests. */
  readonly platform?: Partial<Platform>;
}
