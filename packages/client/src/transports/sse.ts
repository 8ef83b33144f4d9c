import { mergeVectorCursors } from '@continuo/protocol/cursor';
import { dialHttp, type HttpSocket, type HttpTransportOptions } from './http.ts';
import { CloseError, type PushTransport, transportOf } from './transport.ts';

/** The gateway sends a comment every 15 s: after so much silence the stream is dead, in ms. */
const SILENCE_MS = 40_000;

function dialSse(options: HttpTransportOptions): HttpSocket {
  return dialHttp(options, (line) => {
    const query = new URLSearchParams({ poll_token: line.pollToken, cursor: line.cursor });
    return line.ask({
      path: `sse?${query}`,
      ms: SILENCE_MS,
      async read({ body, headers }, alive) {
        if (!headers.get('content-type')?.includes('event-stream'))
          throw new Error('This is no event stream.');
        const text = body?.pipeThrough(new TextDecoderStream()).getReader();
        let rest = '';
        for (;;) {
          const chunk = await text?.read();
          if (!chunk || chunk.done) return;
          alive();
          // A gateway ends every line by LF alone, and a position may come without a frame.
          const blocks = (rest + chunk.value).split('\n\n');
          rest = blocks.pop() ?? '';
          for (const block of blocks) {
            const data = /^data: (.*)/m.exec(block)?.[1];
            const id = /^id: (.*)/m.exec(block)?.[1];
            const frame = data && JSON.parse(data);
            if (frame?.code === 'taken_over') throw new CloseError(4409, frame.code);
            if (frame) line.push(frame);
            if (id) line.cursor = mergeVectorCursors(line.cursor, id);
          }
        }
      },
    });
  });
}

/** Frames over HTTP, which one stream of server-sent events brings; what is sent goes by requests. The first is `auth`. */
export const SseTransport: new (options: HttpTransportOptions) => PushTransport =
  /* @__PURE__ */ transportOf(dialSse);
