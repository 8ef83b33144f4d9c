import { type Platform, systemPlatform } from '../connection/platform.ts';
import { errorOf, GatewayError } from '../errors.ts';
import { createFrames } from './frames.ts';
import { CloseError, type PushFrame, type PushTransport } from './transport.ts';

/** For one request, in ms: a proxy may swallow it. */
const REQUEST_MS = 15_000;
/** A round that lasted this long was no quick failure, in ms. */
const QUICK_MS = 3_000;
/** The first pause between rounds that are over at once without a message; doubled up to the second, in ms. */
const PAUSE_MS = 250;
const MAX_PAUSE_MS = 2_000;
/** So many quick failures in a row end the connection: who uses the transport has a longer back-off. */
const FAILURES = 4;
/** Acks under way at once: nothing waits for them, and they need no order. */
const ACK_LANES = 4;

/** The route of a frame, and the type of its answer. */
const ROUTES: Readonly<Record<string, readonly [string, string] | null>> = {
  __proto__: null,
  'channel.subscribe': ['subscribe', 'channel.subscribed'],
  'channel.unsubscribe': ['unsubscribe', 'channel.unsubscribed'],
  'channel.publish': ['publish', 'channel.published'],
  'presence.heartbeat': ['heartbeat', 'presence.heartbeat_ack'],
  message_ack: ['ack', 'ack_received'],
  message_nack: ['nack', 'nack_received'],
  ping: ['heartbeat', 'pong'],
};

export interface HttpTransportOptions {
  /** `ws://host:8765/ws` or `http://host:8765`. */
  readonly url: string;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Time; for tests. */
  readonly platform?: Pick<Platform, 'now' | 'timer'>;
}

export interface HttpRequest<T> {
  /** Below `/api/push/`. */
  readonly path: string;
  /** Posted; without one the path is got. */
  readonly body?: object;
  /** For the answer and each part of it that `read` calls `alive` for, in ms. */
  readonly ms: number;
  /** Takes the answer. */
  read(response: Response, alive: () => void): Promise<T>;
}

/** What a transport has to hear from the gateway. */
export interface Listening {
  readonly pollToken: string;
  /** The newest position that was heard of: a VectorCursor. May be set. */
  cursor: string;
  /** Hands over a frame. */
  push(frame: PushFrame): void;
  ask<T>(request: HttpRequest<T>): Promise<T>;
  pause(ms: number): Promise<void>;
}

export interface HttpTransport extends PushTransport {
  /** Listens no more; what is sent still goes out. */
  rest(): void;
}

/** Listens until the answer is over. Throws when that was not its end. */
export type Round = (listening: Listening) => Promise<void>;

/**
 * Frames over HTTP: what is sent becomes requests, what they answer becomes frames again. The first frame is `auth`, which
 * registers; from then on it listens, one round after the other, each from the cursor of the last: an answer that was torn
 * is asked for again. Requests go out one at a time and in order, but for acks.
 */
export function createHttpTransport(options: HttpTransportOptions, round: Round): HttpTransport {
  const { url, fetch: ask = fetch, platform = systemPlatform } = options;
  const base = url
    .replace(/[?#].*/, '')
    .replace(/^ws/i, 'http')
    .replace(/\/+$/, '')
    .replace(/\/ws$/, '');
  const urlToken = /[?&]token=([^&#]*)/.exec(url)?.[1];
  /** What ends with the connection: requests and pauses. */
  const underWay = new Set<() => void>();
  let stopRound = (): void => {};
  let frames = createFrames();
  let lanes: Promise<void>[] = [];
  let laneOfAck = 0;
  let isConnected = false;
  let isListening = false;
  let pollToken = '';
  let cursor = '';

  function end(error: CloseError): void {
    isConnected = false;
    rest();
    frames.end(error);
    for (const stop of underWay) stop();
  }

  function rest(): void {
    isListening = false;
    stopRound();
  }

  async function request<T>({ path, body, ms, read }: HttpRequest<T>, abort: AbortController): Promise<T> {
    const stop = (): void => abort.abort();
    let stopTimer = platform.timer(ms, stop);
    const alive = (): void => {
      stopTimer();
      stopTimer = platform.timer(ms, stop);
    };
    underWay.add(stop);
    try {
      const response = await ask(`${base}/api/push/${path}`, {
        signal: abort.signal,
        ...(body && {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      });
      if (response.ok) return await read(response, alive);
      throw errorOf((await response.json()).error);
    } finally {
      stopTimer();
      underWay.delete(stop);
    }
  }

  function call(path: string, body?: object): Promise<PushFrame> {
    const read = (response: Response): Promise<PushFrame> => response.json();
    return request({ path, ms: REQUEST_MS, read, ...(body && { body }) }, new AbortController());
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        stop();
        underWay.delete(go);
        resolve();
      };
      const stop = platform.timer(ms, go);
      underWay.add(go);
    });
  }

  async function listen(to: ReturnType<typeof createFrames>): Promise<void> {
    let quick = 0;
    isListening = true;
    /** `frames` is another one after a `connect`. */
    const isHere = (): boolean => isListening && to === frames;
    while (isHere()) {
      const begun = platform.now();
      let isFruitful = false;
      let error: unknown;
      await lanes[0]; // a subscription under way ends the poll that does not have it
      if (!isHere()) return;
      try {
        await round({
          pollToken,
          get cursor() {
            return cursor;
          },
          set cursor(at) {
            cursor = at;
          },
          push(frame) {
            isFruitful = true;
            to.push(frame);
          },
          ask(asked) {
            const abort = new AbortController();
            stopRound = () => abort.abort();
            return request(asked, abort);
          },
          pause,
        });
      } catch (thrown) {
        error = thrown;
      }
      if (!isHere()) return;
      quick = isFruitful || platform.now() - begun >= QUICK_MS ? 0 : quick + 1;
      if (error && (isUnauthorized(error) || quick >= FAILURES)) return fail(error);
      if (quick > 1) await pause(Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** (quick - 2)));
    }
  }

  /** Nothing of it is about who the client is: it may come back at once, and registers anew. */
  function fail(error: unknown): void {
    if (isConnected) end(new CloseError(1006, error instanceof Error ? error.message : String(error)));
  }

  async function take(frame: PushFrame): Promise<void> {
    const { type, request_id, ...fields } = frame;
    const { channel, event_id } = fields;
    const to = frames;
    const answer = (answered: PushFrame): void => to.push({ ...answered, request_id });
    try {
      if (type === 'auth') {
        const auth_token = fields.token ?? (urlToken && decodeURIComponent(urlToken));
        const registered = await call('poll/register', { client_id: fields.client_id, auth_token });
        const isFirst = pollToken === '';
        pollToken = String(registered.poll_token);
        answer({ type: 'authenticated', client_id: registered.client_id, subject: '' });
        if (isFirst) void listen(to);
      } else if (type === 'presence.query') {
        const of = typeof channel === 'string' ? `&channel=${encodeURIComponent(channel)}` : '';
        const path = `poll/presence?poll_token=${encodeURIComponent(pollToken)}${of}`;
        const { presence } = await call(path);
        answer({ type: 'presence.list', channel, presence, clients: presence });
      } else {
        const route = ROUTES[String(type)];
        if (!route) throw errorOf({ code: 'wrong_door', message: `"${type}" needs a WebSocket.` });
        const body = { ...fields, poll_token: pollToken };
        answer({ channel, event_id, ...(await call(`poll/${route[0]}`, body)), type: route[1] });
      }
    } catch (error) {
      if (!(error instanceof GatewayError)) fail(error);
      else if (isUnauthorized(error) && pollToken !== '') fail(error);
      else answer({ ...error.details, type: 'error' });
    }
  }

  return {
    get isConnected() {
      return isConnected;
    },
    async connect() {
      frames = createFrames();
      lanes = [];
      pollToken = '';
      isConnected = true;
    },
    async disconnect() {
      const isRegistered = isConnected && pollToken !== '';
      end(new CloseError(1000, 'disconnect() was called.'));
      // After a failure it stays: the client comes back.
      if (isRegistered) await call('poll/deregister', { poll_token: pollToken });
    },
    async send(frame) {
      if (!isConnected) throw new CloseError(1006, 'The transport is not connected.');
      const to = frames;
      const lane = /^message_n?ack$/.test(String(frame.type)) ? 1 + (laneOfAck++ % ACK_LANES) : 0;
      const before = lanes[lane] ?? Promise.resolve();
      lanes[lane] = before.then(() => (isConnected && to === frames ? take(frame) : undefined));
    },
    receive: () => frames.take(),
    rest,
  };
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'unauthorized';
}
