import { reportToBench } from './report.ts';

/** What the bench uses of Bun, which brings no types of its own. */

export interface BunSocket {
  send(text: string): number;
  subscribe(topic: string): void;
}

export interface BunHandlers {
  message(socket: BunSocket, text: string): void;
}

interface BunServer {
  readonly port: number;
  upgrade(request: Request): boolean;
  /** To all subscribers. */
  publish(topic: string, text: string): number;
}

declare const Bun: {
  serve(options: {
    port: number;
    hostname: string;
    fetch(request: Request, server: BunServer): Response | undefined;
    websocket: BunHandlers & { idleTimeout: number; backpressureLimit: number; perMessageDeflate: boolean };
  }): BunServer;
};

/** Listens on a free port of this machine, and tells the bench. */
export function serve(handlers: BunHandlers): BunServer {
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request, upgrading) =>
      upgrading.upgrade(request) ? undefined : new Response('WebSocket only', { status: 426 }),
    websocket: {
      ...handlers,
      idleTimeout: 0, // connections wait for their slice
      backpressureLimit: 64 * 1024 * 1024, // beyond it messages would be left out
      perMessageDeflate: false,
    },
  });
  reportToBench(server.port);
  return server;
}
