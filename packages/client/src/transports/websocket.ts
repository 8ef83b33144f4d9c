import { type Platform, platformOf, type SocketLike } from '../connection/platform.ts';
import { type PushTransport, transportOf } from './transport.ts';

export interface WebSocketTransportOptions {
  /** `ws://host:8765/ws`; `http` and `https` are taken for `ws` and `wss`. */
  readonly url: string;
  /** For runtimes without a global one, such as the class of the `ws` package. */
  readonly WebSocket?: (new (url: string) => SocketLike) | undefined;
  /** For tests. */
  readonly platform?: Partial<Platform> | undefined;
}

function dialWebSocket(options: WebSocketTransportOptions): SocketLike {
  return platformOf(options).dial(options.url.replace(/^http/i, 'ws'));
}

/** Frames over one WebSocket. */
export const WebSocketTransport: new (options: WebSocketTransportOptions) => PushTransport =
  /* @__PURE__ */ transportOf(dialWebSocket);
