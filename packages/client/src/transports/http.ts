import { type Platform, type SocketLike, systemPlatform } from '../connection/platform.ts';
import { errorOf, GatewayError } from '../errors.ts';
import { CloseError, closeOf, type PushFrame } from './transport.ts';

/** For one request, in ms: a proxy may swallow it. */
const REQUEST_MS = 15_000;
/** A round that lasted this long was no quick failure, in ms. */
const QUICK_MS = 3_000;
/** The first pause between rounds that are over at once and without a message; doubled up to the second, in ms. */
const PAUSE_MS = 250;
const MAX_PAUSE_MS = 2_000;
/** So many quick failures in a row end the connection: who uses it has a longer back-off. */
const FAILURES = 4;
/** Acks under way at once: they need no order. */
const ACK_LANES = 4;

/** The type of a frame's answer; its route is the last word of its own type. */
const ANSWERS: Readonly<Record<string, string | null>> = {
  __proto__: null,
  'channel.subscribe': 'channel.subscribed',
  'channel.unsubscribe': 'channel.unsubscribed',
  'channel.publish': 'channel.published',
  'presence.heartbeat': 'presence.heartbeat_ack',
  message_ack: 'ack_received',
  message_nack: 'nack_received',
  ping: 'pong',
};

export interface HttpTransportOptions {
  /** `ws://host:8765/ws` or `http://host:8765`. */
  readonly url: string;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Time; for tests. */
  readonly platform?: Pick<Platform, 'now' | 'timer'> | undefined;
}

export interface HttpRequest<T> {
  /** Below `/api/push/`. */
  readonly path: string;
  /** Posted; without one the path is got. */
  readonly body?: object | undefined;
  /** For the answer, and for each part of it that `read` calls `alive` for, in ms. Default 15,000. */
  readonly ms?: number;
  /** Takes the answer. Default: its JSON. */
  readonly read?: (response: Response, alive: () => void) => Promise<T>;
}

/** What is listened to. */
export interface Line {
  pollToken: string;
  /** The newest position that was heard of: a VectorCursor. */
  cursor: string;
  /** Hands over a frame that came. */
  push(frame: PushFrame): void;
  ask<T>(request: HttpRequest<T>): Promise<T>;
  pause(ms: number): Promise<void>;
}

export interface HttpSocket extends SocketLike {
  /** Neither listens nor asks any more. */
  rest(): void;
}

/**
 * HTTP as a socket: frames that are sent become requests, and what these answer becomes frames. The first frame is `auth`,
 * which registers; from then on `round` listens, again and again, each time from the cursor of the last: an answer that was
 * torn is asked for again. Requests go out one at a time and in order, but for acks.
 */
export function dialHttp(options: HttpTransportOptions, round: (line: Line) => Promise<void>): HttpSocket {
  const { url, fetch: ask = fetch, platform = systemPlatform } = options;
  const [address = '', query] = url.split('?');
  const base = address.replace(/^ws/i, 'http').replace(/(\/ws)?\/*$/, '/api/push/');
  const underWay = new Set<AbortController>();
  const lanes: Promise<void>[] = [];
  let acks = 0;
  let subscribed: Promise<void> | undefined;
  let isOver = false;
  let isHeard = false;
  const socket: HttpSocket = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send(text) {
      const frame: PushFrame = JSON.parse(text);
      const lane = String(frame.type).startsWith('message_') ? (acks++ % ACK_LANES) + 1 : 0;
      const taken = Promise.resolve(lanes[lane]).then(() => take(frame));
      lanes[lane] = taken;
      if (frame.type === 'channel.subscribe') subscribed = taken;
    },
    rest() {
      isOver = true;
      for (const abort of underWay) abort.abort();
    },
    close() {
      socket.rest();
      if (line.pollToken) post('deregister', {}).catch(() => {}); // gone is gone
      line.pollToken = '';
    },
  };
  const line: Line = {
    pollToken: '',
    cursor: '',
    push(frame) {
      isHeard = true;
      say(frame);
    },
    async ask({ path, body, ms = REQUEST_MS, read = (response) => response.json() }) {
      const abort = new AbortController();
      const arm = (): (() => void) => platform.timer(ms, () => abort.abort());
      let stopTimer = arm();
      underWay.add(abort);
      try {
        const response = await ask(base + path, {
          signal: abort.signal,
          ...(body && {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ ...body, poll_token: line.pollToken || undefined }),
          }),
        });
        if (!response.ok) {
          const told = await response.json().catch(() => null);
          if (told?.error) throw errorOf(told.error);
          const message = `${base}${path.split('?')[0]} answers ${response.status}.`;
          // What stands between may find a request too large for good; whatever else is wrong there may pass.
          throw response.status === 413 ? errorOf({ code: 'too_large', message }) : new Error(message);
        }
        return await read(response, () => {
          stopTimer();
          stopTimer = arm();
        });
      } finally {
        stopTimer();
        underWay.delete(abort);
      }
    },
    pause: (ms) => new Promise((resolve) => void platform.timer(ms, resolve)),
  };

  function post(path: string, body?: object): Promise<PushFrame> {
    return line.ask({ path: `poll/${path}`, body });
  }

  function say(frame: PushFrame): void {
    if (!isOver) socket.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** Its registration stays: whoever comes back gets the same. */
  function fail(error: unknown): void {
    if (isOver) return;
    line.pollToken = '';
    socket.rest();
    socket.onclose?.(closeOf(error));
  }

  async function listen(): Promise<void> {
    for (let quick = 0; !isOver; ) {
      const begun = platform.now();
      isHeard = false;
      await subscribed; // a subscription under way ends the poll that does not have it
      const failure = isOver || (await round(line).catch((error: unknown) => ({ error })));
      quick = isHeard || platform.now() - begun >= QUICK_MS ? 0 : quick + 1;
      if (typeof failure === 'object' && (isGone(failure.error) || quick >= FAILURES))
        return fail(failure.error);
      if (quick > 1) await line.pause(Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** (quick - 2)));
    }
  }

  async function answerTo({ type, ...frame }: PushFrame): Promise<PushFrame> {
    const { channel, event_id } = frame;
    if (type === 'auth') {
      const auth_token = frame.token ?? new URLSearchParams(query).get('token') ?? undefined;
      const { client_id, poll_token } = await post('register', {
        client_id: frame.client_id,
        auth_token,
      });
      line.pollToken = String(poll_token);
      return { type: 'authenticated', client_id };
    }
    if (type === 'presence.query') {
      const asked = new URLSearchParams({ poll_token: line.pollToken });
      if (channel) asked.set('channel', String(channel));
      const { presence } = await post(`presence?${asked}`);
      return { type: 'presence.list', channel, presence, clients: presence };
    }
    const answer = ANSWERS[String(type)];
    if (!answer) throw errorOf({ code: 'wrong_door', message: `"${type}" needs a WebSocket.` });
    const route = answer === 'pong' ? 'heartbeat' : String(type).replace(/^.*[._]/, '');
    return { channel, event_id, ...(await post(route, frame)), type: answer };
  }

  async function take({ request_id, ...frame }: PushFrame): Promise<void> {
    if (isOver) return;
    try {
      say({ ...(await answerTo(frame)), request_id });
      if (frame.type === 'auth') void listen();
    } catch (error) {
      // At the registration it is the client's own token that was refused.
      if (!(error instanceof GatewayError) || (line.pollToken && isGone(error))) fail(error);
      else say({ ...error.details, type: 'error', request_id });
    }
  }

  void Promise.resolve().then(() => isOver || socket.onopen?.(undefined as never));
  return socket;
}

/** The poll token is not known any more, or the server is about to end: what was asked is asked anew. Or it is taken over. */
function isGone(error: unknown): boolean {
  return (
    error instanceof CloseError ||
    (error instanceof GatewayError && /^(unauthorized|draining)$/.test(error.code))
  );
}
