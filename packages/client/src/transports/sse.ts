import { decodeVectorCursor, encodeVectorCursor } from '@continuo/protocol/cursor';
import { createSseReader } from '@continuo/protocol/sse';
import { createHttpTransport, type HttpTransportOptions } from './http.ts';
import type { PushFrame, PushTransport } from './transport.ts';

/** The gateway sends a comment every 15 s: after so much silence the stream is dead, in ms. */
const SILENCE_MS = 40_000;

/** Frames over HTTP, which one stream of server-sent events brings; what is sent goes by requests, as in polling. */
export class SseTransport implements PushTransport {
  readonly #http: PushTransport;

  constructor(options: HttpTransportOptions) {
    this.#http = createHttpTransport(options, (listening) => {
      const query = new URLSearchParams({ poll_token: listening.pollToken, cursor: listening.cursor });
      return listening.ask({
        path: `sse?${query}`,
        ms: SILENCE_MS,
        async read({ body }, alive) {
          const reader = createSseReader();
          const decoder = new TextDecoder();
          const bytes = body?.getReader();
          for (;;) {
            const chunk = await bytes?.read();
            if (!chunk || chunk.done) return;
            alive();
            for (const { id, data } of reader.push(decoder.decode(chunk.value, { stream: true }))) {
              listening.push(JSON.parse(data));
              if (id !== undefined) listening.cursor = mergeCursors(listening.cursor, id);
            }
          }
        },
      });
    });
  }

  get isConnected(): boolean {
    return this.#http.isConnected;
  }

  connect(): Promise<void> {
    return this.#http.connect();
  }

  disconnect(): Promise<void> {
    return this.#http.disconnect();
  }

  /** The first frame is `auth`. Rejects when it is not connected; what a request is answered is received. */
  send(frame: PushFrame): Promise<void> {
    return this.#http.send(frame);
  }

  receive(): Promise<PushFrame> {
    return this.#http.receive();
  }
}

/** The positions of both; where they name one log, the newer's. */
function mergeCursors(held: string, newer: string): string {
  const merged = new Map(decodeVectorCursor(held));
  for (const [log, at] of decodeVectorCursor(newer) ?? []) merged.set(log, at);
  return encodeVectorCursor(merged);
}
