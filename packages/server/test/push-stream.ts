import { createSseReader, PollBatch } from '@continuo/protocol';
import type { Batch } from './poller.ts';

/** The client's end of a stream of door 2: an EventSource whose `onmessage` checks every frame against its schema. */
export interface PushStream {
  readonly status: number;
  readonly headers: Headers;
  /** All that came, as it came. */
  readonly text: string;
  readonly messages: Batch['messages'];
  /** What it would come back with. */
  readonly lastId: string;
  readonly ended: boolean;
  /** From here on the client reads nothing, until `read`. */
  stall(): void;
  read(): void;
  /** The client goes away. */
  hangUp(): void;
}

export function followPushStream(response: Response, abort: AbortController): PushStream {
  const { element } = PollBatch.shape.messages;
  const sse = createSseReader();
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  const messages: Batch['messages'] = [];
  let text = '';
  let ended = false;
  let stalled: Promise<void> = Promise.resolve();
  let goOn = (): void => {};

  async function follow(): Promise<void> {
    for (;;) {
      await stalled;
      const part = await reader?.read();
      if (!part || part.done) break;
      const piece = decoder.decode(part.value, { stream: true });
      text += piece;
      for (const { event, data } of sse.push(piece)) {
        if (event !== 'message') throw new Error(`an EventSource's onmessage does not get "${event}"`);
        messages.push(element.parse(JSON.parse(data)));
      }
    }
  }
  follow()
    .catch((error: unknown) => {
      text += `\n: ${String(error)}`;
      messages.length = 0; // no test goes on with a stream that is wrong
    })
    .finally(() => {
      ended = true;
    });

  return {
    status: response.status,
    headers: response.headers,
    get text() {
      return text;
    },
    messages,
    get lastId() {
      return sse.lastId;
    },
    get ended() {
      return ended;
    },
    stall() {
      stalled = new Promise((resolve) => {
        goOn = resolve;
      });
    },
    read: () => goOn(),
    hangUp: () => abort.abort(),
  };
}
