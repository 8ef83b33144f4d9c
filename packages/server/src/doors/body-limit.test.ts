import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { createBodyLimit } from './body-limit.ts';

/** Says back what it got, and whether who asked is still there. */
function createApp(): Hono {
  const app = new Hono();
  app.use(createBodyLimit(10, (c) => c.text('too large', 413)));
  app.all('*', async (c) =>
    c.text(`${c.req.header('x-mine')} ${await c.req.text()} ${c.req.raw.signal.aborted}`),
  );
  return app;
}

/** A request whose body comes in pieces, as long as somebody reads it. */
function inPieces(
  pieces: readonly string[],
  { read = [], headers = {} }: { readonly read?: string[]; readonly headers?: Record<string, string> } = {},
): RequestInit {
  const left = [...pieces];
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = left.shift();
        if (piece === undefined) return controller.close();
        read.push(piece);
        controller.enqueue(new TextEncoder().encode(piece));
      },
    },
    { highWaterMark: 0 },
  );
  return { method: 'POST', body, duplex: 'half', headers: { 'x-mine': 'header', ...headers } } as RequestInit;
}

describe('the limit of a body', () => {
  it.each([
    ['as long as it may be', ['12345', '67890'], 'header 1234567890 false'],
    ['empty', [], 'header  false'],
    ['cut within a character', ['\u00e9\u00e9', '\u00e9\u00e9'], 'header \u00e9\u00e9\u00e9\u00e9 false'],
  ])('L-12 lets one pass, whole, that is %s', async (_what, pieces, answer) => {
    const response = await createApp().request('/', inPieces(pieces));
    expect([response.status, await response.text()]).toEqual([200, answer]);
  });

  it('L-12 refuses one that turns out too large, and reads no further', async () => {
    const read: string[] = [];
    const response = await createApp().request(
      '/',
      inPieces(['12345', '67890', '1', 'more', 'more'], { read }),
    );
    expect([response.status, await response.text()]).toEqual([413, 'too large']);
    expect(read).toEqual(['12345', '67890', '1']);
  });

  it('L-12 refuses one that says it is too large, unread', async () => {
    const read: string[] = [];
    const asked = inPieces(['1'], { read, headers: { 'content-length': '11' } });
    expect((await createApp().request('/', asked)).status).toBe(413);
    expect(read).toEqual([]);
  });

  it('L-12 counts what comes, not what is said, where it comes in chunks', async () => {
    const headers = { 'content-length': '1', 'transfer-encoding': 'chunked' };
    const asked = inPieces(['1234567890', '1'], { headers });
    expect((await createApp().request('/', asked)).status).toBe(413);
  });

  it('L-12 is no fault of ours where the client goes away before the end', async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(new Error('aborted')),
    });
    const asked = { method: 'POST', body, duplex: 'half' } as RequestInit;
    expect((await createApp().request('/', asked)).status).toBe(400);
  });

  it('leaves a request without a body as it is', async () => {
    const response = await createApp().request('/', { method: 'DELETE', headers: { 'x-mine': 'header' } });
    expect(await response.text()).toBe('header  false');
  });

  it('lets a handler know that who asked has gone', async () => {
    const gone = new AbortController();
    gone.abort();
    const asked = new Request('http://x/', inPieces(['1']));
    const response = await createApp().request(new Request(asked, { signal: gone.signal }));
    expect(await response.text()).toBe('header 1 true');
  });
});
