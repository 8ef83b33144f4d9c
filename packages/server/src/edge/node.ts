import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { HEARTBEAT_MS } from '@continuo/protocol';
import { getRequestListener, RequestError } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Limits } from '../limits.ts';
import type { Clock, EventStream, OpenStream, Peer, Report } from '../ports.ts';
import { addressOf, createAdmission, type Refusal } from './admission.ts';
import { GatheredPeer } from './gather.ts';
import { TEXT_WIRE, WS_WIRE } from './wires.ts';

/** The real network: node:http, and ws for the handshake and for reading. Writing is our own. */

/** A frame above the limit gets an error; one above so many times the limit ends the connection before it is read. */
const HARD_MAX_FACTOR = 4;
/** How long a request with its body may take, in ms: a body within the limit over a slow line. */
const REQUEST_MS = 60_000;
/** How often requests that take too long are looked for, in ms. */
const CHECK_MS = 1_000;
/** How long a socket that was told to close may take, in ms. */
const CLOSE_MS = 2_000;

export interface Inbound {
  receive(text: string): void;
  /** A frame that is not read at all. */
  reject(why: 'binary' | 'too_large'): void;
  closed(): void;
}

export interface UpgradeRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly queryToken: string | undefined;
  pause(): void;
  resume(): void;
}

export interface NodeEdgeOptions {
  fetch(request: Request, env: unknown): Response | Promise<Response>;
  /** Why an upgrade is refused, or `null`. */
  refuseUpgrade(request: {
    readonly path: string;
    readonly host: string | undefined;
    readonly origin: string | undefined;
    readonly incoming: IncomingMessage;
  }): Refusal | null;
  openSocket(peer: Peer, request: UpgradeRequest): Inbound;
  readonly limits: Limits;
  /** Whether the last entry of `X-Forwarded-For` is the address of who connects. */
  readonly trustProxy: boolean;
  readonly clock: Clock;
  readonly report: Report;
}

export interface NodeEdge {
  readonly server: Server;
  listen(port: number, host: string): Promise<{ readonly port: number }>;
  readonly sockets: number;
  /** Closes every connection with this code. Idempotent. */
  close(code: number, reason: string): Promise<void>;
}

interface Socket {
  readonly ws: WebSocket;
  readonly peer: GatheredPeer;
  readonly stream: Duplex & { readonly bytesWritten: number };
  /** Heartbeats without a pong and without a byte drained. */
  missed: number;
  drained: number;
  /** Bytes that waited at the last heartbeat. */
  backlog: number;
}

export function createNodeEdge(options: NodeEdgeOptions): NodeEdge {
  const { limits, trustProxy, clock, report } = options;
  const { maxPayloadBytes, handshakeMs } = limits;
  const listener = getRequestListener((request, env) => options.fetch(request, env), {
    overrideGlobalObjects: false,
    errorHandler(error) {
      if (error instanceof RequestError) return new Response(`${error.message}\n`, { status: 400 });
      report('a request', error);
      return new Response('Something went wrong here. It was noted; try again.\n', { status: 500 });
    },
  });
  const deadlines = {
    headersTimeout: handshakeMs,
    requestTimeout: Math.max(REQUEST_MS, handshakeMs),
    connectionsCheckingInterval: Math.min(CHECK_MS, handshakeMs),
  };
  const server = createServer(deadlines, (incoming, outgoing) => {
    listener(incoming, outgoing).catch((error: unknown) => report('a request', error));
  });
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxPayloadBytes * HARD_MAX_FACTOR,
  });
  const sockets = new Set<Socket>();
  const admission = createAdmission(limits);
  let ids = 0;
  let onEmpty = (): void => {};

  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy()); // a client that goes away in the handshake
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
    const { host, origin, authorization } = request.headers;
    const address = Number.isFinite(limits.connectionsPerAddress) ? addressOf(request, trustProxy) : '';
    const refusal =
      options.refuseUpgrade({ path, host, origin, incoming: request }) ?? admission.refuse(address);
    if (refusal) return refuse(stream, refusal);
    webSockets.handleUpgrade(request, stream, head, (ws) => {
      ws.once('close', admission.enter(address));
      accept(ws, stream as Socket['stream'], {
        path,
        authorization,
        queryToken: new URLSearchParams(query).get('token') ?? undefined,
        pause: () => ws.pause(),
        resume: () => ws.resume(),
      });
    });
  });

  function accept(ws: WebSocket, stream: Socket['stream'], request: UpgradeRequest): void {
    const peer = new GatheredPeer({
      id: `s${++ids}`,
      wire: WS_WIRE,
      socket: stream,
      close(code, reason) {
        ws.close(code, reason);
        const stop = clock.schedule(clock.now() + CLOSE_MS, () => ws.terminate());
        ws.once('close', stop);
      },
    });
    const socket: Socket = { ws, peer, stream, missed: 0, drained: 0, backlog: 0 };
    sockets.add(socket);
    const inbound = options.openSocket(peer, request);
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      socket.missed = 0;
      if (isBinary) inbound.reject('binary');
      else if (data.byteLength > maxPayloadBytes) inbound.reject('too_large');
      else inbound.receive(data.toString());
    });
    ws.on('pong', () => {
      socket.missed = 0;
    });
    ws.on('error', () => {}); // a broken frame or a frame too large: ws closes with the code that says so
    ws.on('close', () => {
      sockets.delete(socket);
      peer.dispose();
      inbound.closed();
      if (sockets.size === 0) onEmpty();
    });
  }

  /** A socket that answers, or whose buffer drains, is alive. */
  function beat(): void {
    for (const socket of sockets) {
      const drained = socket.stream.bytesWritten - socket.stream.writableLength;
      if (socket.backlog > 0 && drained > socket.drained) socket.missed = 0; // our own pings are no sign of life
      socket.drained = drained;
      socket.backlog = socket.stream.writableLength;
      if (socket.missed >= 2) {
        if (socket.stream.writableLength > 0) socket.ws.close(4508, 'slow_consumer');
        socket.ws.terminate();
        continue;
      }
      socket.missed++;
      socket.ws.ping();
    }
    stopBeat = clock.schedule(clock.now() + HEARTBEAT_MS, beat);
  }
  let stopBeat = clock.schedule(clock.now() + HEARTBEAT_MS, beat);

  async function closeAll(code: number, reason: string): Promise<void> {
    stopBeat();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    for (const { peer } of sockets) peer.close(code, reason);
    const stop = clock.schedule(clock.now() + CLOSE_MS, () => server.closeAllConnections());
    if (sockets.size > 0) {
      await new Promise<void>((resolve) => {
        onEmpty = resolve;
      });
    }
    await closed;
    stop();
  }
  let closing: Promise<void> | null = null;

  return {
    server,
    listen(port, host) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          server.on('error', (error) => report('the server', error));
          const address = server.address();
          resolve({ port: typeof address === 'object' && address ? address.port : port });
        });
      });
    },
    get sockets() {
      return sockets.size;
    },
    close(code, reason) {
      closing ??= closeAll(code, reason);
      return closing;
    },
  };
}

function refuse(stream: Duplex, { status, message, retryAfterSeconds }: Refusal): void {
  const body = `${message}\n`;
  stream.once('finish', () => stream.destroy()); // whoever does not hang up keeps no connection by it
  const retry = retryAfterSeconds === undefined ? '' : `retry-after: ${retryAfterSeconds}\r\n`;
  stream.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n${retry}` +
      `content-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Streams on the raw response, so that one chunk serves every reader. */
export const openNodeStream: OpenStream = (_request, env, headers): EventStream => {
  const { outgoing } = env as { outgoing: ServerResponse };
  outgoing.writeHead(200, { ...headers });
  outgoing.flushHeaders();
  const peer = new GatheredPeer({
    id: 'stream',
    wire: TEXT_WIRE,
    socket: outgoing,
    close: () => outgoing.end(),
  });
  return {
    peer,
    response: RESPONSE_ALREADY_SENT,
    onClosed(run) {
      const closed = (): void => {
        peer.dispose();
        run();
      };
      if (outgoing.closed || outgoing.destroyed) queueMicrotask(closed);
      else outgoing.once('close', closed);
    },
  };
};
