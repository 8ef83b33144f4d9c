import type { Context, MiddlewareHandler } from 'hono';

/**
 * Refuses bodies above `maxBytes`: by the length they say, else by what comes. A body that does not say its length is read
 * here and handed on whole; Hono's own limit copies the request, which is none that can be copied behind Node's edge.
 */
export function createBodyLimit(maxBytes: number, refuse: (c: Context) => Response): MiddlewareHandler {
  return async (c, next) => {
    const { headers, body } = c.req.raw;
    const length = headers.get('content-length');
    if (length !== null && !headers.has('transfer-encoding'))
      return Number(length) > maxBytes ? refuse(c) : next();
    if (!body) return next();
    const whole = await readWhole(body, maxBytes).catch(() => 'broken' as const);
    if (whole === 'broken') return c.body(null, 400); // who sent it has gone: nobody reads this
    if (!whole) return refuse(c);
    const { url, method, signal } = c.req.raw;
    c.req.raw = new Request(url, { method, headers, signal, body: whole });
    return next();
  };
}

/** `null`: there is more than `maxBytes`, and the rest was not read. */
async function readWhole(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  for (let bytes = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return joined(chunks, bytes);
    bytes += value.byteLength;
    if (bytes > maxBytes) return null;
    chunks.push(value);
  }
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
