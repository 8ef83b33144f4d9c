import type { RunEventsPage, RunMeta, RunStatus, RunStreamEvent } from '@continuo/protocol';
import { ConnectionError, errorOf, GatewayError } from '../errors.ts';
import { blocksOf, fieldOf } from '../transports/sse-blocks.ts';
import { SILENCE_MS } from '../transports/sse.ts';
import { createFuse, type Fuse } from './fuse.ts';
import type { Requests } from './requests.ts';

/** A stream whose first comment takes longer than this after the request is buffered on its way, in ms. */
const FIRST_MS = 3_000;
/** How long a poll waits at the gateway, and how much longer for its answer, in ms. */
const POLL_MS = 25_000;
const ANSWER_MS = 10_000;
/** A stream that lasted this long was no quick failure, and an answer without events that came sooner is one, in ms. */
const QUICK_MS = 3_000;
/** After so much silence a machine that woke up does not trust a stream, in ms: more than the gateway's 15 s. */
const DOUBT_MS = 20_000;

/** The part of a run that is gone: `reason` says why, `to` is the index with which it goes on. */
export type RunGap = Extract<RunMeta, { readonly event: 'gap' }>;
export type RunClientEvent = RunStreamEvent | RunGap;

/** How a run is read. One for all who read it: what is learned of the way there holds for its rest. */
export interface Line {
  /** The last stream brought nothing in time. */
  isPolling: boolean;
  /** A poll was answered since: the network is well, and it is streams that do not get through. */
  isProven: boolean;
}

export interface FollowOptions {
  readonly requests: Requests;
  readonly line: Line;
  /** Ends the reading, without an error. */
  readonly signal: AbortSignal;
  /** Of the run, below the base. */
  path(): Promise<string>;
  isEnd(event: RunStreamEvent): boolean;
  /** How the run stands is told before the events that were missed. They wait until it resolves. */
  stands(status: RunStatus): Promise<void>;
}

/** What a page says of itself, as a stream does. */
type Standing = Pick<RunEventsPage, 'status'> & { readonly current_event_count: number };
type Told = RunStreamEvent | RunMeta | Standing;

/**
 * A run's events after an index, each once and in order, over any number of broken connections, to the run's end; over a
 * pause it waits. Nothing is read ahead of who takes them, but for what is on its way. Throws where the gateway refuses.
 */
export async function* follow(
  options: FollowOptions,
  from: number,
): AsyncGenerator<RunClientEvent, void, undefined> {
  const { requests, line, signal } = options;
  const { platform } = requests;
  let after = from;
  /** Nothing came yet: `after` may lie beyond the end. */
  let isNew = true;
  let attempt = 0;
  /** Of the round under way. */
  let isOver = false;
  let isHeard = false;
  let isBuffered = false;

  async function* stream(path: string, fuse: Fuse): AsyncGenerator<Told, void, undefined> {
    const { response, token } = await requests.send(path, {}, fuse, FIRST_MS);
    isOver = response.status === 204;
    if (isOver) return;
    let heardAt = platform.now();
    const stopWakes = platform.onWake((isOnline) => {
      if (isOnline && platform.now() - heardAt > DOUBT_MS) fuse.end();
    });
    try {
      const blocks = blocksOf(
        response,
        () => isHeard && fuse.arm(SILENCE_MS),
        () => {
          fuse.stop(); // who does not take what came is not to be cut for it
          isHeard = true;
          heardAt = platform.now();
        },
      );
      for await (const block of blocks) {
        const data = fieldOf(block, 'data');
        if (!data) continue;
        const told: Told = JSON.parse(data);
        if (!('error' in told) || 'event_index' in told) {
          yield told;
          continue;
        }
        const error = errorOf({ code: 'not_found', ...told, message: told.error });
        if (error.code !== 'unauthorized') throw error;
        await requests.renew(token, error);
        return;
      }
    } finally {
      stopWakes();
    }
    throw new ConnectionError('The stream ended before the run.');
  }

  async function* poll(path: string, fuse: Fuse): AsyncGenerator<Told, void, undefined> {
    const waitMs = line.isProven ? POLL_MS : 0;
    const { response } = await requests.send(`${path}&poll=${waitMs}`, {}, fuse, waitMs + ANSWER_MS);
    const {
      status,
      gap,
      events,
      last_event_index,
      ended,
    }: RunEventsPage & { readonly events: RunStreamEvent[] } = await response.json();
    fuse.stop();
    if (gap) yield gap;
    yield { status, current_event_count: events[0]?.event_index ?? last_event_index + 1 };
    yield* events;
    isOver = ended;
    const isEmpty = !ended && line.isProven && !events.length;
    line.isProven = true;
    isHeard = true;
    if (isEmpty && platform.now() - roundAt < QUICK_MS)
      throw new ConnectionError('The gateway answers a poll at once, with nothing.');
  }

  /** What a stream says of itself: who asked beyond the end goes on from the end. */
  function clamp(count = Number.MAX_VALUE): void {
    if (isNew) after = Math.min(after, count - 1);
  }

  let roundAt = 0;
  for (;;) {
    if (signal.aborted) return;
    roundAt = platform.now();
    isHeard = false;
    isBuffered = false;
    const { isPolling } = line;
    const fuse = createFuse(platform, signal, () => {
      isBuffered = !isHeard && !isPolling;
    });
    let failure: unknown;
    try {
      const path = `${await options.path()}/events?after=${after}`;
      for await (const told of isPolling ? poll(path, fuse) : stream(path, fuse)) {
        if ('event_index' in told) {
          if (told.event_index <= after) continue;
          after = told.event_index;
          isNew = false;
          attempt = 0;
          yield told;
          if (options.isEnd(told)) return;
        } else if ('to' in told) {
          after = told.to - 1;
          isNew = false;
          yield told;
        } else if ('status' in told) {
          clamp('total_events' in told ? told.total_events : told.current_event_count);
          await options.stands(told.status === 'running' ? 'RUNNING' : told.status);
        }
      }
      if (isOver) return;
      if (isPolling) continue;
      // With a fresh token at once, but not over and over.
      if (!attempt) {
        attempt = 1;
        continue;
      }
      failure = new ConnectionError('The token was refused again.');
    } catch (error) {
      failure = error;
    } finally {
      fuse.end();
    }
    if (signal.aborted) return;
    if (isBuffered) {
      line.isPolling = true;
      continue;
    }
    // Nor was the poll answered: it was the network.
    if (!(failure instanceof GatewayError)) line.isPolling = line.isProven;
    if (platform.now() - roundAt >= QUICK_MS) attempt = 0;
    await requests.pause(failure, attempt++, signal, true);
  }
}
