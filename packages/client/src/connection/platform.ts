/** The part of the WebSocket API that the clients use: what browsers, Node, Bun, Deno and the `ws` package share. */
export interface SocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
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
}

export const systemPlatform: Platform = {
  now: () => Date.now(),
  timer(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
  id: () => crypto.randomUUID(),
  dial: (url) => new WebSocket(url) as SocketLike,
};
