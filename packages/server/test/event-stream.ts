import { createSseReader, type SseEvent } from '@continuo/protocol';

/** The client's end of a stream of server-sent events. */
export interface TestEvents {
  readonly status: number;
  readonly headers: Headers;
  /** All that came, as it came. */
  readonly text: string;
  /** What it would come back with. */
  readonly lastId: string;
  /** Whether the response has ended. */
  readonly ended: boolean;
  /** What `take` threw: check it is null. */
  readonly problem: unknown;
  /** From here on the client reads nothing, until `read`. */
  stall(): void;
  read(): void;
  /** The client goes away. */
  hangUp(): void;
}

/** Hands over every event as it comes, until `take` throws. */
export function followEvents(
  response: Response,
  abort: AbortController,
  take: (event: SseEvent) => void,
): TestEvents {
  const sse = createSseReader();
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = '';
  let ended = false;
  let problem: unknown = null;
  let stalled: Promise<void> = Promise.resolve();
  let goOn = (): void => {};

  async function follow(): Promise<void> {
    for (;;) {
      await stalled;
      const part = await reader?.read();
      if (!part || part.done) return;
      const piece = decoder.decode(part.value, { stream: true });
      text += piece;
      for (const event of sse.push(piece)) take(event);
    }
  }
  follow()
    .catch((error: unknown) => {
      problem = error;
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
    get lastId() {
      return sse.lastId;
    },
    get ended() {
      return ended;
    },
    get problem() {
      return problem;
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
