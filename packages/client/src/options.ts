import { checkOption } from './check-option.ts';
import { BACKOFF, type Backoff, checkBackoff } from './connection/backoff.ts';
import type { ConnectionStatus } from './connection/connection.ts';
import type { ConnectionTerms } from './connection/machine.ts';
import type { Platform, SocketLike } from './connection/platform.ts';
import type { TokenSource } from './connection/tokens.ts';

export interface GatewayClientOptions {
  /** `ws://host:8765`; `http` and `https` are taken for `ws` and `wss`. */
  readonly url: string;
  readonly agentId: string;
  /**
   * A token, or who makes one: asked at every dial, one call at a time. When the server refuses its token it is asked once
   * more; the same token again ends the connection with `UnauthorizedError`.
   */
  readonly token?: TokenSource;
  /** Who this device is; kept over reconnects. */
  readonly clientId?: string;
  /** Default true. */
  readonly reconnect?: boolean;
  /** Default: 1,000 ms, doubled up to 30,000, a fifth shorter or longer by chance. */
  readonly backoff?: Partial<Backoff>;
  /** Failed attempts in a row before it gives up. Default: never. */
  readonly maxReconnectAttempts?: number;
  /** For every `connect()` that has no signal of its own: ends those under way, which reject with its reason. */
  readonly signal?: AbortSignal;
  /** Called for a hole that the server could not fill: `expected` was not there, `received` is where it goes on. */
  readonly onGap?: (expected: number, received: number) => void;
  readonly onStateChange?: (state: ConnectionStatus) => void;
  /** An error that no call is waiting for: of the server, or thrown by a callback. Default: the console. */
  readonly onError?: (error: unknown) => void;
  /** For runtimes without a global one, such as the class of the `ws` package. */
  readonly WebSocket?: new (
    url: string,
  ) => SocketLike;
  /** Time, chance and sockets; for tests. */
  readonly platform?: Partial<Platform>;
}

/** What the options of every client say about its connection. Throws a sentence that names the option that cannot be. */
export function termsOf({
  url,
  reconnect = true,
  backoff,
  maxReconnectAttempts: maxAttempts = Number.MAX_VALUE,
}: {
  readonly url: string;
  readonly reconnect?: boolean | undefined;
  readonly backoff?: Partial<Backoff> | undefined;
  readonly maxReconnectAttempts?: number | undefined;
}): ConnectionTerms {
  checkOption('url', url, 'string');
  checkOption('maxReconnectAttempts', maxAttempts, 'number', maxAttempts >= 0);
  return {
    backoff: checkBackoff({ ...BACKOFF, ...backoff }),
    reconnect,
    maxAttempts,
    handshakeMs: 15_000,
    idleMs: 30_000,
    pongMs: 10_000,
    probeMs: 3_000,
    stableMs: 60_000,
  };
}
