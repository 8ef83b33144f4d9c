import {
  CatchUp,
  Gap,
  Replay,
  ResumeError,
  RunEventJson,
  type RunMeta,
  type SseEvent,
  Subscribed,
} from '@continuo/protocol';
import { followEvents, type TestEvents } from './event-stream.ts';

/** What a stream of door 4 says about itself, by name. */
const META = { catch_up: CatchUp, subscribed: Subscribed, replay: Replay, gap: Gap, error: ResumeError };

/** The client's end of a stream of server-sent events, every one of them checked against its schema. */
export interface TestStream extends TestEvents {
  /** Events of the run, in order. */
  readonly events: readonly RunEventJson[];
  readonly meta: readonly RunMeta[];
  /** The names of all events, also of those about the stream, in the order in which they came. */
  readonly names: readonly string[];
}

export function followStream(response: Response, abort: AbortController): TestStream {
  const events: RunEventJson[] = [];
  const meta: RunMeta[] = [];
  const names: string[] = [];

  function take(event: SseEvent): void {
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

  return Object.assign(followEvents(response, abort, take), { events, meta, names });
}
