import { type Platform, type SocketLike, systemPlatform } from '../connection/platform.ts';
import { type PushTransport, transportOf } from './transport.ts';

export interface WebSocketTransportOptions {
  /** `ws://host:8765/ws`; `http` and `https` are taken for `ws` and `wss`. */
  readonly url: string;
  /** For runtimes without a global one, such as the class of the `ws` package. */
  readonly WebSocket?: (new (url: string) => SocketLike) | undefined;
  /** For tests. */
  readonly platform?: Pick<Platform, 'dial'> | undefined;
}

export function dialWebSocket({
  url,
  WebSocket,
  platform = systemPlatform,
}: WebSocketTransportOptions): SocketLike {
  const address = url.replace(/^http/i, 'ws');
  return WebSocket ? new WebSocket(address) : platform.dial(address);
}

/** Frames over one WebSocket. */
export const WebSocketTransport: new (options: WebSocketTransportOptions) => PushTransport =
  /* @__PURE__ */ transportOf(dialWebSocket);
