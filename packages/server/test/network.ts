import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { createSeededRandom } from '@continuo/testing';
import { type ClientOptions, WebSocket } from 'ws';
import { systemClock } from '../src/edge/clock.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../src/gateway.ts';
import type { Store } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { AGENTS } from './agents.ts';
import { parseServerFrame, type ServerFrame } from './frames.ts';

/** A gateway on a real network, and clients that share no code with it: 127.0.0.1, on a free port. */

/** What `listen` made last: a test has one gateway on the network at a time. */
export let store: Store;
export let gateway: Gateway;
export let port: number;

export async function listen(more: Partial<GatewayOptions> = {}): Promise<void> {
  const random = createSeededRandom(1);
  store = createMemoryStore({ clock: systemClock, random });
  gateway = createGateway({
    agents: AGENTS,
    store,
    push: true,
    drainMs: 100,
    report(problem, error) {
      throw new Error(problem, { cause: error });
    },
    ...more,
  });
  port = (await gateway.listen({ port: 0 })).port;
}

/** A client that keeps what it is told until it is asked for. */
export interface Client {
  readonly ws: WebSocket;
  next(): Promise<ServerFrame>;
  send(frame: object | string | Buffer): void;
  /** The code with which it was closed. */
  readonly closed: Promise<number>;
}

export async function dial(path: '/' | '/ws', query = '', options: ClientOptions = {}): Promise<Client> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}${query}`, options);
  const frames: ServerFrame[] = [];
  const waiting: ((frame: ServerFrame) => void)[] = [];
  ws.on('message', (data: Buffer) => {
    const frame = parseServerFrame(path, data.toString());
    const taker = waiting.shift();
    if (taker) taker(frame);
    else frames.push(frame);
  });
  const closed = new Promise<number>((resolve) => ws.once('close', resolve));
  ws.on('error', () => {}); // the close says it
  await once(ws, 'open');
  return {
    ws,
    next: () => {
      const frame = frames.shift();
      return frame ? Promise.resolve(frame) : new Promise((resolve) => waiting.push(resolve));
    },
    send: (frame) =>
      ws.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame)),
    closed,
  };
}

export interface Refused {
  readonly status: number;
  readonly body: string;
  /** `Retry-After`. */
  readonly retryAfter: string | undefined;
}

/** The status with which an upgrade is refused, and what is said. */
export async function refused(path: string, options: ClientOptions = {}): Promise<Refused> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
  ws.on('error', () => {});
  const [, response] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage];
  const { statusCode = 0, headers } = response;
  return { status: statusCode, body: await textOf(response), retryAfter: headers['retry-after'] };
}

export async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

export async function ask(options: RequestOptions, body = ''): Promise<IncomingMessage> {
  const asking = httpRequest({ host: '127.0.0.1', port, agent: false, ...options });
  asking.end(body);
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  return response;
}

/** Sends text as it is, and returns what comes back before the connection is closed, or within a moment. */
export async function raw(text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString();
  });
  socket.write(text);
  await once(socket, 'data');
  socket.destroy();
  return answer;
}
