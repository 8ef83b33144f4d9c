import {
  type ClientRequest,
  createServer,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** How a proxy treats what goes through it. */
export interface Manners {
  /** Upgrades pass, are answered with a status, or are never answered. */
  readonly upgrades: 'pass' | 'swallow' | 403 | 404 | 502;
  /** Whether an answer is kept until it has ended. */
  readonly buffers: boolean;
  /** Every connection is cut when it is so old, in ms; `null`: none is. */
  readonly cutAfterMs: number | null;
}

/** An HTTP proxy as companies and phone networks have them. */
export interface HttpProxy {
  readonly port: number;
  /** WebSockets that are open through it. */
  readonly tunnels: number;
  /** Upgrades it did not let pass, so far. */
  readonly refused: number;
  /** From now on. What is open stays as it is. */
  behave(manners: Partial<Manners>): void;
  /** Cuts the client's connections for which it holds, without a word. Returns how many. */
  cut(holds?: () => boolean): number;
  close(): Promise<void>;
}

const HONEST: Manners = { upgrades: 'pass', buffers: false, cutAfterMs: null };

export async function startHttpProxy(target: number, first: Partial<Manners> = {}): Promise<HttpProxy> {
  let manners: Manners = { ...HONEST, ...first };
  let tunnels = 0;
  let refused = 0;
  const clients = new Set<Socket>();

  function forward(asked: IncomingMessage, response: ServerResponse): void {
    const { method, headers, url: path } = asked;
    const passing: ClientRequest = request(
      { port: target, host: '127.0.0.1', method, path, headers, agent: false },
      (answer) => relay(answer, response),
    );
    passing.on('error', () => asked.socket.destroy());
    response.on('close', () => passing.destroy());
    asked.pipe(passing);
  }

  function relay(answer: IncomingMessage, response: ServerResponse): void {
    const { statusCode = 502, headers } = answer;
    answer.on('error', () => response.destroy());
    if (!manners.buffers) {
      response.writeHead(statusCode, headers);
      answer.pipe(response);
      return;
    }
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => void chunks.push(chunk));
    answer.on('end', () => {
      response.writeHead(statusCode, headers);
      response.end(Buffer.concat(chunks));
    });
  }

  function upgrade({ url, rawHeaders }: IncomingMessage, client: Duplex, head: Buffer): void {
    client.on('error', () => client.destroy());
    const { upgrades } = manners;
    if (upgrades !== 'pass') {
      refused++;
      if (upgrades !== 'swallow')
        client.end(`HTTP/1.1 ${upgrades} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const upstream = connect(target, '127.0.0.1');
    const lines = [`GET ${url} HTTP/1.1`];
    for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
    upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
    upstream.write(head);
    tunnels++;
    upstream.on('error', () => client.destroy());
    upstream.on('close', () => client.destroy());
    client.on('close', () => {
      tunnels--;
      upstream.destroy();
    });
    client.pipe(upstream);
    upstream.pipe(client);
  }

  const server = createServer(forward);
  server.on('upgrade', upgrade);
  server.on('connection', (client: Socket) => {
    clients.add(client);
    const { cutAfterMs } = manners;
    const timer = cutAfterMs === null ? undefined : setTimeout(() => client.destroy(), cutAfterMs);
    client.on('close', () => {
      clearTimeout(timer);
      clients.delete(client);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  function cut(holds: () => boolean = () => true): number {
    const chosen = [...clients].filter(() => holds());
    for (const client of chosen) client.destroy();
    return chosen.length;
  }
  return {
    port,
    get tunnels() {
      return tunnels;
    },
    get refused() {
      return refused;
    },
    behave(changed) {
      manners = { ...manners, ...changed };
    },
    cut,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      await closed;
    },
  };
}
