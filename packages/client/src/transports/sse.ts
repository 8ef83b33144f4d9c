import { decodeVectorCursor, encodeVectorCursor } from '@continuo/protocol/cursor';
import { createSseReader } from '@continuo/protocol/sse';
import { dialHttp, type HttpSocket, type HttpTransportOptions } from './http.ts';
import { type PushTransport, transportOf } from './transport.ts';

/** The gateway sends a comment every 15 s: after so much silence the stream is dead, in ms. */
const SILENCE_MS = 40_000;

function dialSse(options: HttpTransportOptions): HttpSocket {
  return dialHttp(options, (line) => {
    const query = new URLSearchParams({ poll_token: line.pollToken, cursor: line.cursor });
    return line.ask({
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
            line.push(JSON.parse(data));
            if (id) line.cursor = mergeCursors(line.cursor, id);
          }
        }
      },
    });
  });
}

/** The positions of both; where they name one log, the newer's. */
function mergeCursors(held: string, newer: string): string {
  const merged = new Map([...(decodeVectorCursor(held) ?? []), ...(decodeVectorCursor(newer) ?? [])]);
  return encodeVectorCursor(merged);
}

/** Frames over HTTP, which one stream of server-sent events brings; what is sent goes by requests. The first is `auth`. */
export const SseTransport: new (options: HttpTransportOptions) => PushTransport =
  /* @__PURE__ */ transportOf(dialSse);
