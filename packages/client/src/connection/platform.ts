/** Written as methods, so that the event types of every runtime and of the `ws` package fit. */
interface Handlers {
  open(event: never): void;
  message(event: { readonly data: unknown }): void;
  close(event: { readonly code: number; readonly reason: string }): void;
}

/** The part of the WebSocket API that the clients use: what browsers, Node, Bun, Deno and the `ws` package share. */
export interface SocketLike {
  onopen: Handlers['open'] | null;
  onmessage: Handlers['message'] | null;
  onclose: Handlers['close'] | null;
  onerror: Handlers['open'] | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** What a client needs of the world: time, chance and sockets. Tests bring their own. */
export interface Platform {
  /** Unix milliseconds. */
  now(): number;
  /** Calls `run` once, `ms` from now. Returns the way to stop it. */
  timer(ms: number, run: () => void): () => void;
  /** 0 to 1. */
  random(): number;
  /** An id that no other client makes. */
  id(): string;
  /** Throws when the URL cannot be dialed at all. */
  dial(url: string): SocketLike;
  /**
   * Calls `run` when the machine may have slept or the network has changed; with false when the network is gone.
   * Returns the way to stop it.
   */
  onWake(run: (isOnline: boolean) => void): () => void;
}

/** `visibilitychange` bubbles up to the window. A worker has the first two; Node has none of them. */
const WAKES = ['online', 'offline', 'pageshow', 'visibilitychange'];

export const systemPlatform: Platform = {
  now: () => Date.now(),
  timer(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
  id: () => crypto.randomUUID(),
  dial: (url) => new WebSocket(url),
  onWake(run) {
    const wake = ({ type }: Event): void => {
      if (!globalThis.document?.hidden) run(type !== 'offline');
    };
    for (const type of WAKES) globalThis.addEventListener?.(type, wake);
    return () => {
      for (const type of WAKES) globalThis.removeEventListener?.(type, wake);
    };
  },
};
