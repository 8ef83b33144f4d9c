import type { RunEventJson } from '@continuo/protocol';
import type { Asked, TestGateway } from './gateway.ts';
import type { TestStream } from './stream.ts';

/** Somebody who watches one run, and comes back after every cut with the index of the last event seen. */
export interface RunViewer {
  readonly events: readonly RunEventJson[];
  /** How often it came back. */
  readonly returns: number;
  /** Takes what has come, and comes back where its stream has ended; to be called now and then. */
  look(): Promise<void>;
  /** Its stream is cut; it comes back to this server. */
  moveTo(world: TestGateway): void;
}

/** The names under which a run itself ends. */
const ENDS: ReadonlySet<string> = new Set(['RunCompleted', 'RunError', 'RunCancelled']);

export function endsOf(events: readonly RunEventJson[]): RunEventJson[] {
  return events.filter(({ event }) => ENDS.has(event));
}

export function watchRun(first: TestGateway, path: string, how: 'resume' | 'events' | 'poll'): RunViewer {
  const events: RunEventJson[] = [];
  let world = first;
  let asked: Asked | null = null;
  let stream: TestStream | null = null;
  let taken = 0;
  let returns = 0;

  function take(more: readonly RunEventJson[]): void {
    for (const event of more) {
      const expected = (events.at(-1)?.event_index ?? -1) + 1;
      if (event.event_index !== expected)
        throw new Error(`expected the event ${expected}, got ${event.event_index}`);
      events.push(event);
    }
  }

  function ask(): Asked {
    returns++;
    const last = events.at(-1)?.event_index;
    if (how === 'resume')
      return world.ask('POST', `${path}/resume`, { body: { last_event_index: last ?? -1 } });
    if (how === 'poll') return world.ask('GET', `${path}/events?poll=2000&after=${last ?? -1}`);
    const headers = last === undefined ? {} : { 'last-event-id': String(last) };
    return world.ask('GET', `${path}/events`, { headers });
  }

  async function open(): Promise<void> {
    asked ??= ask();
    if (!asked.answered) return;
    const answered = asked;
    if (how === 'poll') {
      asked = null;
      const { status, body } = await answered.answer();
      if (status !== 200) throw new Error(`a poll was answered with ${status}`);
      take((body as { events: RunEventJson[] }).events);
      return;
    }
    stream = await answered.stream();
    taken = 0;
  }

  return {
    events,
    get returns() {
      return returns;
    },
    async look() {
      if (endsOf(events).length > 0 && (stream === null || stream.ended)) return;
      if (!stream) await open();
      if (!stream) return;
      take(stream.events.slice(taken));
      taken = stream.events.length;
      if (stream.problem) throw stream.problem;
      if (!stream.ended) return;
      stream = null;
      asked = null;
    },
    moveTo(next) {
      asked?.hangUp();
      world = next;
      stream = null;
      asked = null;
    },
  };
}
