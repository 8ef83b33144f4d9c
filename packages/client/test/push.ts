import { createFakeClock } from '@continuo/testing';
import type { PushClientOptions } from '../src/push/options.ts';
import { PushClient } from '../src/push-client.ts';
import { createServerEnd } from './client.ts';

/** A request as the fake gateway sees it: it answers when the test says so; heartbeats and acks at once. */
export interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
  readonly isAborted: boolean;
  answer(body: unknown, status?: number): Promise<void>;
  refuse(status: number, code: string): Promise<void>;
  /** The socket is destroyed before the whole answer came. */
  tear(): Promise<void>;
  /** Answers with a stream, which the test writes. */
  stream(): { write(text: string): Promise<void>; end(): Promise<void> };
}

export type ServerEnd = ReturnType<typeof createServerEnd>;

/** A push client on a fake platform: sockets and requests end at the test. */
export function setUpPush(options: Partial<PushClientOptions> = {}) {
  const clock = createFakeClock(0);
  const ends: (ServerEnd & { isClosed: boolean })[] = [];
  const asked: Asked[] = [];
  const errors: unknown[] = [];
  const states: string[] = [];
  let ids = 0;
  let refusals = 0;

  const fetch: typeof globalThis.fetch = (input, init) => {
    const url = new URL(String(input));
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    let isAborted = false;
    let stopStream = (): void => {};
    init?.signal?.addEventListener('abort', () => {
      isAborted = true;
      stopStream();
      reject(new Error('aborted'));
    });
    asked.push({
      path: `${url.origin}${url.pathname}`,
      query: url.searchParams,
      body: typeof init?.body === 'string' ? JSON.parse(init.body) : {},
      get isAborted() {
        return isAborted;
      },
      async answer(body, status = 200) {
        resolve(Response.json(body, { status }));
        await clock.settle();
      },
      async refuse(status, code) {
        resolve(Response.json({ error: { code, message: `no: ${code}` } }, { status }));
        await clock.settle();
      },
      async tear() {
        resolve(new Response('{"messages":[{"type":"channel_mess'));
        await clock.settle();
      },
      stream() {
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
        const writer = writable.getWriter();
        stopStream = () => void writer.abort(new Error('aborted')).catch(() => {});
        resolve(new Response(readable, { headers: { 'content-type': 'text/event-stream' } }));
        return {
          async write(text) {
            void writer.write(new TextEncoder().encode(text));
            await clock.settle();
          },
          async end() {
            void writer.close();
            await clock.settle();
          },
        };
      },
    });
    if (/heartbeat$|ack$/.test(url.pathname)) resolve(Response.json({ ok: true }));
    return promise;
  };

  const client = new PushClient({
    url: 'ws://there:8765/ws',
    clientId: 'c1',
    onError: (error) => errors.push(error),
    onStateChange: (state) => states.push(state),
    fetch,
    ...options,
    platform: {
      now: clock.now,
      timer: (ms, run) => clock.schedule(clock.now() + ms, run),
      random: () => 0.5,
      id: () => `id${++ids}`,
      dial(url) {
        const end = Object.assign(createServerEnd(url), { isClosed: false });
        end.socket.close = () => {
          end.isClosed = true;
        };
        ends.push(end);
        if (refusals > 0) {
          refusals--;
          clock.soon(() => end.drop());
        }
        return end.socket;
      },
      onWake: () => () => {},
      ...options.platform,
    },
  });

  /** The server's end of the newest socket. */
  function server(): ServerEnd & { isClosed: boolean } {
    const newest = ends.at(-1);
    if (!newest) throw new Error('nothing was dialed');
    return newest;
  }

  /** Greets on the newest socket. */
  async function greet() {
    server().open();
    server().say({ type: 'connected', client_id: 'cli_x' }, authenticated);
    await clock.settle();
    return server();
  }

  /** The requests of a route, oldest first. */
  const of = (route: string): Asked[] => asked.filter(({ path }) => path.endsWith(`/${route}`));

  /** The newest request of a route. */
  function last(route: string): Asked {
    const newest = of(route).at(-1);
    if (!newest) throw new Error(`nothing asked for ${route}`);
    return newest;
  }

  return {
    clock,
    client,
    ends,
    asked,
    errors,
    states,
    fetch,
    server,
    greet,
    of,
    last,
    /** The next sockets are closed before they open. */
    refuseSockets(count: number) {
      refusals = count;
    },
    async connect() {
      const connected = client.connect();
      await greet();
      await connected;
      return server();
    },
    /** Connects by polling: upgrades are refused. */
    async poll() {
      refusals = 1;
      const connected = client.connect();
      await clock.settle();
      await last('register').answer({ client_id: 'c1', poll_token: 'p1' });
      await connected;
    },
    /** Subscribes on the newest socket, which agrees. */
    async subscribe(...args: Parameters<PushClient['subscribe']>) {
      const subscribed = client.subscribe(...args);
      await clock.settle();
      agree(server());
      await subscribed;
      await clock.settle();
    },
  };
}

export const authenticated = { type: 'authenticated', client_id: 'c1', subject: 'me' };

/** Says yes to every subscription that was asked for and not answered. */
export function agree(end: ServerEnd, fields: object = {}): void {
  for (const { channel, request_id } of end
    .got('channel.subscribe')
    .filter((frame) => !answered.has(frame))) {
    end.say({ type: 'channel.subscribed', channel, ok: true, cursor: 0, epoch: 'e1', request_id, ...fields });
  }
  for (const frame of end.got('channel.subscribe')) answered.add(frame);
}
const answered = new WeakSet<object>();

export const message = (sequence: number, fields: object = {}) => ({
  type: 'channel_message',
  channel: 'news',
  data: sequence,
  event_id: `e${sequence}`,
  timestamp: 1,
  source: null,
  target: null,
  sequence,
  attempt: 1,
  ...fields,
});

export const again = (sequence: number, fields: object = {}) =>
  message(sequence, { attempt: 2, _redelivered: true, ...fields });

/** The ids that were acked, or nacked. */
export function settledBy(end: ServerEnd, type: 'message_ack' | 'message_nack' = 'message_ack'): unknown[] {
  return end.got(type).map(({ event_id }) => event_id);
}
