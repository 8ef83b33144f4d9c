import { mergeVectorCursors } from '@continuo/protocol/cursor';
import { dialHttp, type HttpSocket, type HttpTransportOptions } from './http.ts';
import { blocksOf, fieldOf } from './sse-blocks.ts';
import { CloseError, type PushTransport, transportOf } from './transport.ts';

/** The gateway sends a comment every 15 s: after so much silence the stream is dead, in ms. */
export const SILENCE_MS = 40_000;

function dialSse(options: HttpTransportOptions): HttpSocket {
  return dialHttp(options, (line) => {
    const query = new URLSearchParams({ poll_token: line.pollToken, cursor: line.cursor });
    return line.ask({
      path: `sse?${query}`,
      ms: SILENCE_MS,
      async read(response, alive) {
        for await (const block of blocksOf(response, alive)) {
          const data = fieldOf(block, 'data');
          // A position may come without a frame.
          const id = fieldOf(block, 'id');
          const frame = data && JSON.parse(data);
          if (frame?.code === 'taken_over') throw new CloseError(4409, frame.code);
          if (frame) line.push(frame);
          if (id) line.cursor = mergeVectorCursors(line.cursor, id);
        }
      },
    });
  });
}

/** Frames over HTTP, which one stream of server-sent events brings; what is sent goes by requests. The first is `auth`. */
export const SseTransport: new (options: HttpTransportOptions) => PushTransport =
  /* @__PURE__ */ transportOf(dialSse);
