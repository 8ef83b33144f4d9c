import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request to a model, as the endpoint sees it. */
export interface ModelRequest {
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: IncomingMessage['headers'];
  /** Sends a piece of the answer's text. */
  say(content: string): void;
  /** Sends anything as an event of the stream. */
  event(data: object): void;
  /** A comment, as endpoints send while a model thinks. */
  comment(): void;
  /** Ends the answer in good order. */
  finish(reason?: 'stop' | 'length'): void;
  /** Ends the response as it stands. */
  end(): void;
  /** Answers 200 with something that is no stream of events. */
  page(type: string, body: string): void;
  /** Answers with a status and an error instead of a stream. */
  refuse(
    status: number,
    error: Readonly<Record<string, unknown>>,
    headers?: Readonly<Record<string, string>>,
  ): void;
  /** `performance.now()` when the client closed its connection; `null`: it is open. */
  readonly closedAt: number | null;
}

export interface ModelEndpoint {
  /** For `OPENAI_BASE_URL`. */
  readonly url: string;
  readonly requests: readonly ModelRequest[];
  close(): Promise<void>;
}

/**
 * An OpenAI-compatible endpoint that does what the test says, byte by byte. aimock answers from fixtures: it cannot fall
 * silent with its connection open, send an error inside a stream, or tell when its client hung up.
 */
export async function openModelEndpoint(answer: (request: ModelRequest) => void): Promise<ModelEndpoint> {
  const requests: ModelRequest[] = [];

  async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body: Record<string, unknown> = JSON.parse(Buffer.concat(await message.toArray()).toString());
    let closedAt: number | null = null;
    response.on('close', () => {
      if (!response.writableFinished) closedAt = performance.now();
    });
    const write = (text: string): void => {
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(text);
    };
    const event = (data: object): void => write(`data: ${JSON.stringify(data)}\n\n`);
    const chunk = (delta: object, finish: string | null = null): void =>
      event({
        id: 'x',
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta, finish_reason: finish }],
      });
    const request: ModelRequest = {
      body,
      headers: message.headers,
      say: (content) => chunk({ content }),
      event,
      comment: () => write(': thinking\n\n'),
      end: () => response.end('data: [DONE]\n\n'),
      finish(reason = 'stop') {
        chunk({}, reason);
        response.end('data: [DONE]\n\n');
      },
      page(type, body) {
        response.writeHead(200, { 'content-type': type });
        response.end(body);
      },
      refuse(status, error, headers = {}) {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(JSON.stringify({ error }));
      },
      get closedAt() {
        return closedAt;
      },
    };
    requests.push(request);
    answer(request);
  }

  const server = createServer((message, response) => {
    serve(message, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
