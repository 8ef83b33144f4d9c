import { describe, expect, it } from 'vitest';
import type { EventStream } from '../ports.ts';
import { openWebStream } from './web.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function open(signal = new AbortController().signal): EventStream {
  const request = new Request('http://127.0.0.1/', { signal });
  return openWebStream(request, {}, { 'content-type': 'text/event-stream' });
}

function send({ peer }: EventStream, text: string): void {
  peer.send(peer.wire.frame(text));
}

describe('a stream as a fetch response', () => {
  it('holds what was sent, in order, and ends with the close', async () => {
    const stream = open();
    send(stream, 'a');
    send(stream, 'b');
    stream.peer.close(1000, 'done');
    send(stream, 'late');
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream');
    expect(await stream.response.text()).toBe('ab');
  });

  it('L-5 counts what nobody has read, and says when it was read', async () => {
    const stream = open();
    const reader = stream.response.body?.getReader();
    send(stream, 'x'.repeat(200_000));
    expect(stream.peer.bufferedBytes).toBeGreaterThanOrEqual(200_000);
    let drained = 0;
    stream.peer.onceDrained(() => drained++);
    await turn();
    expect(drained).toBe(0);
    await reader?.read();
    await turn();
    expect([drained, stream.peer.bufferedBytes]).toEqual([1, 0]);
  });

  it.each([
    ['closes it', (stream: EventStream) => stream.peer.close(1000, '')],
    ['stops reading', (stream: EventStream) => void stream.response.body?.cancel().catch(() => {})],
  ])('says once when somebody %s', async (_what, end) => {
    const stream = open();
    let closed = 0;
    stream.onClosed(() => closed++);
    end(stream);
    end(stream);
    await turn();
    expect(closed).toBe(1);
  });

  it('says when its client goes away', () => {
    const abort = new AbortController();
    const stream = open(abort.signal);
    let closed = 0;
    stream.onClosed(() => closed++);
    abort.abort();
    expect(closed).toBe(1);
  });

  it('says so also when its client had gone before', async () => {
    const stream = open(AbortSignal.abort());
    let closed = 0;
    stream.onClosed(() => closed++);
    await turn();
    expect(closed).toBe(1);
  });

  it('says so also to whoever asks when it is closed', async () => {
    const stream = open();
    stream.peer.close(1000, '');
    let closed = 0;
    stream.onClosed(() => closed++);
    await turn();
    expect(closed).toBe(1);
  });
});
