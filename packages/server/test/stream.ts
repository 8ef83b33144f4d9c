import {
  CatchUp,
  createSseReader,
  Gap,
  Replay,
  ResumeError,
  RunEventJson,
  type RunMeta,
  Subscribed,
} from '@continuo/protocol';

/** What a stream of door 4 says about itself, by name. */
const META = { catch_up: CatchUp, subscribed: Subscribed, replay: Replay, gap: Gap, error: ResumeError };

/** The client's end of a stream of server-sent events, every one of them checked against its schema. */
export interface TestStream {
  readonly status: number;
  readonly headers: Headers;
  /** All that came, as it came. */
  readonly text: string;
  /** Events of the run, in order. */
  readonly events: readonly RunEventJson[];
  readonly meta: readonly RunMeta[];
  /** The names of all events, also of those about the stream, in the order in which they came. */
  readonly names: readonly string[];
  /** Whether the response has ended. */
  readonly ended: boolean;
  /** What was not as its schema says: check it is null. */
  readonly problem: unknown;
  /** From here on the client reads nothing, until `read`. */
  stall(): void;
  read(): void;
  /** The client goes away. */
  hangUp(): void;
}

export function followStream(response: Response, abort: AbortController): TestStream {
  const events: RunEventJson[] = [];
  const meta: RunMeta[] = [];
  const names: string[] = [];
  const sse = createSseReader();
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = '';
  let ended = false;
  let problem: unknown = null;
  let stalled: Promise<void> = Promise.resolve();
  let goOn = (): void => {};

  function take(event: { readonly event: string; readonly id?: string; readonly data: string }): void {
    names.push(event.event);
    const json: unknown = JSON.parse(event.data);
    const about = Object.entries(META).find(([name]) => name === event.event)?.[1];
    if (about) {
      if (event.id !== undefined)
        throw new Error(`"${event.event}" is not an event of the run, yet it bears an id`);
      meta.push(about.parse(json));
      return;
    }
    const parsed = RunEventJson.parse(json);
    if (event.id !== String(parsed.event_index) || event.event !== parsed.event) {
      throw new Error(
        `the lines say ${event.event} ${event.id}, the data ${parsed.event} ${parsed.event_index}`,
      );
    }
    events.push(parsed);
  }

  async function follow(): Promise<void> {
    for (;;) {
      await stalled;
      const part = await reader?.read();
      if (!part || part.done) break;
      const piece = decoder.decode(part.value, { stream: true });
      text += piece;
      for (const event of sse.push(piece)) take(event);
    }
    ended = true;
  }
  follow().catch((error: unknown) => {
    problem = error;
    ended = true;
  });

  return {
    status: response.status,
    headers: response.headers,
    get text() {
      return text;
    },
    events,
    meta,
    names,
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
    hangUp() {
      abort.abort();
    },
  };
}
