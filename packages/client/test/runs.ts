import { createFakeClock } from '@continuo/testing';
import type { RunClientEvent } from '../src/run/follow.ts';
import type { RunClientOptions } from '../src/run/options.ts';
import { RunClient } from '../src/run-client.ts';

/** The other end of a run client's requests: the test answers each by hand. */

const encoder = new TextEncoder();

/** An answer as a stream of server-sent events. */
export interface StreamEnd {
  /** Whether its client still wants it. */
  readonly isOpen: boolean;
  comment(): void;
  say(...events: readonly object[]): void;
  text(text: string): void;
  /** In good order, and not. */
  end(): void;
  cut(): void;
}

export interface Asked {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: unknown;
  readonly redirect: RequestInit['redirect'];
  /** Its client no longer waits for it. */
  readonly isGone: boolean;
  answer(status: number, body?: unknown, headers?: Record<string, string>): void;
  fail(): void;
  /** Answers with a stream, and its first comment unless that is held back. */
  stream(isHeldBack?: boolean): StreamEnd;
}

function createAsked(url: string, init: RequestInit, settle: PromiseWithResolvers<Response>): Asked {
  const { pathname, searchParams } = new URL(url);
  const { signal } = init;
  let isGone = false;
  const leave = (): void => {
    isGone = true;
    settle.reject(signal?.reason);
  };
  signal?.addEventListener('abort', leave);
  if (signal?.aborted) leave();
  return {
    method: init.method ?? 'GET',
    path: pathname,
    query: searchParams,
    headers: new Headers(init.headers),
    body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined,
    redirect: init.redirect,
    get isGone() {
      return isGone;
    },
    answer(status, body, headers = {}) {
      const text = body === undefined ? null : JSON.stringify(body);
      settle.resolve(new Response(text, { status, headers }));
    },
    fail: () => settle.reject(new TypeError('fetch failed')),
    stream(isHeldBack = false) {
      let isOpen = true;
      let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
      const body = new ReadableStream<Uint8Array>({
        start(opened) {
          controller = opened;
        },
        cancel() {
          isOpen = false;
        },
      });
      const tear = (reason: unknown): void => {
        if (isOpen) controller?.error(reason);
        isOpen = false;
      };
      signal?.addEventListener('abort', () => tear(signal.reason));
      const end: StreamEnd = {
        get isOpen() {
          return isOpen;
        },
        comment: () => end.text(': heartbeat\n\n'),
        say(...events) {
          for (const event of events) end.text(sseOf(event));
        },
        text(text) {
          if (isOpen) controller?.enqueue(encoder.encode(text));
        },
        end() {
          if (isOpen) controller?.close();
          isOpen = false;
        },
        cut: () => tear(new TypeError('terminated')),
      };
      if (!isHeldBack) end.comment();
      settle.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } }));
      return end;
    },
  };
}

export function sseOf(event: object): string {
  const { event: name, event_index: index } = { event: '', event_index: undefined, ...event };
  return `event: ${name}\n${index === undefined ? '' : `id: ${index}\n`}data: ${JSON.stringify(event)}\n\n`;
}

/** An event of the run `r1`, or of one of its members. */
export function told(index: number, event: string, fields: object = {}) {
  return { event, event_index: index, run_id: 'r1', session_id: 's1', created_at: 1, ...fields };
}
export const said = (index: number, content = `${index} `) => told(index, 'RunContent', { content });
export const completed = (index: number, content = 'all') =>
  told(index, 'RunCompleted', { content, metrics: {} });
export const member = (index: number, event: string, fields: object = {}) =>
  told(index, event, { run_id: 'r1.1', parent_run_id: 'r1', agent_name: 'Ada', ...fields });

export function setUp(options: Partial<RunClientOptions> = {}) {
  const clock = createFakeClock(0);
  const asked: Asked[] = [];
  const retries: number[] = [];
  let wake = (_isOnline: boolean): void => {};
  let ids = 0;
  const client = new RunClient({
    url: 'http://there',
    fetch(url, init) {
      const settle = Promise.withResolvers<Response>();
      asked.push(createAsked(String(url), init ?? {}, settle));
      return settle.promise;
    },
    onRetry: (_error, waitMs) => retries.push(waitMs),
    ...options,
    platform: {
      now: clock.now,
      timer: (ms, run) => clock.schedule(clock.now() + ms, run),
      random: () => 0.5,
      id: () => `id${++ids}`,
      onWake(run) {
        wake = run;
        return () => {
          wake = () => {};
        };
      },
      ...options.platform,
    },
  });

  /** The newest request, when everything that needs no time has happened. */
  async function request(): Promise<Asked> {
    await clock.settle();
    const newest = asked.at(-1);
    if (!newest) throw new Error('nothing was asked');
    return newest;
  }

  return {
    clock,
    client,
    asked,
    retries,
    request,
    /** The newest request is for the run's events, and gets a stream. */
    async stream(isHeldBack = false): Promise<StreamEnd> {
      const end = (await request()).stream(isHeldBack);
      await clock.settle();
      return end;
    },
    wake: (isOnline = true) => wake(isOnline),
  };
}

/** Reads to the end: `seen` has indexes, and the names of what has none. */
export function read(events: AsyncIterable<RunClientEvent>) {
  const whole: RunClientEvent[] = [];
  const seen: (number | string)[] = [];
  const done = (async () => {
    for await (const event of events) {
      whole.push(event);
      seen.push('event_index' in event ? event.event_index : event.event);
    }
    return 'ended';
  })();
  done.catch(() => {});
  return { whole, seen, done };
}
