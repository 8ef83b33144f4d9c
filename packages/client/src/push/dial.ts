import type { Platform, SocketLike } from '../connection/platform.ts';
import { socketOf } from '../transports/adapter.ts';
import { dialWithFallback } from '../transports/fallback.ts';
import { dialPolling } from '../transports/polling.ts';
import type { PushClientOptions } from './options.ts';

/** How a push client gets a socket: of the transport that was given, or a WebSocket with polling behind it. */
export function createDial(
  options: PushClientOptions,
  platform: Platform,
  fallback: {
    /** The first frame of every connection. */
    greeting(): object;
    readonly probeMs: number;
    onTransport(name: string): void;
  },
): (url: string) => SocketLike {
  const { transport, fallbackToPolling = true } = options;
  const last = { leftAt: Number.NEGATIVE_INFINITY };
  return (url) => {
    if (transport) return socketOf(typeof transport === 'function' ? transport() : transport);
    const dial = (): SocketLike => platform.dial(url);
    if (!fallbackToPolling) return dial();
    return dialWithFallback({
      ...fallback,
      dial,
      dialPolling: () => dialPolling({ ...options, platform }),
      platform,
      last,
    });
  };
}
