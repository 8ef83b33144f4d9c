import type { EventStream, OpenStream } from '../ports.ts';
import { TEXT_WIRE } from './wires.ts';

/** Streams as a fetch response: for other runtimes, and for tests without a socket. */
export const openWebStream: OpenStream = (request, _env, headers): EventStream => {
  const listeners: (() => void)[] = [];
  let onDrained: (() => void) | null = null;
  let closed = false;
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  const body = new ReadableStream<Uint8Array>(
    {
      start(opened) {
        controller = opened;
      },
      pull() {
        const run = onDrained;
        onDrained = null;
        if (run) queueMicrotask(run);
      },
      cancel: finish,
    },
    { highWaterMark: 64 * 1024, size: (chunk) => chunk.byteLength },
  );

  function finish(): void {
    if (closed) return;
    closed = true;
    for (const run of listeners) run();
  }
  if (request.signal.aborted) finish();
  else request.signal.addEventListener('abort', finish, { once: true });

  return {
    peer: {
      id: 'stream',
      wire: TEXT_WIRE,
      get bufferedBytes() {
        return closed ? 0 : 64 * 1024 - (controller?.desiredSize ?? 0);
      },
      send(frame) {
        if (!closed) controller?.enqueue(frame);
      },
      onceDrained(run) {
        onDrained = run;
      },
      close() {
        if (closed) return;
        controller?.close();
        finish();
      },
    },
    response: new Response(body, { headers }),
    onClosed(run) {
      if (closed) queueMicrotask(run);
      else listeners.push(run);
    },
  };
};
