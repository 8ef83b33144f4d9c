import { hangUp, type Platform, type SocketLike } from '../connection/platform.ts';
import type { HttpSocket } from './http.ts';

/** A WebSocket that has not greeted by then has polling beside it, in ms. */
const FALLBACK_MS = 2_500;
/** One that has not greeted by then is given up, in ms. */
const TRIAL_MS = 10_000;
/** So long after it was left, an own connection may still take the channels away from one that is so young, in ms. */
const LEFT_MS = 10_000;
const YOUNG_MS = 5_000;

type Message = { readonly data: unknown };
type Close = { readonly code: number; readonly reason: string };
const BROKEN: Close = { code: 1006, reason: '' };

export interface FallbackOptions {
  /** Dials a WebSocket. May throw where there is none. */
  dial(): SocketLike;
  dialPolling(): HttpSocket;
  /** The first frame of every connection. */
  greeting(): object;
  /** While polling, a WebSocket is tried this often, in ms. */
  readonly probeMs: number;
  readonly platform: Pick<Platform, 'now' | 'timer'>;
  onTransport(name: 'websocket' | 'polling'): void;
  /** When the client last left a connection; kept from one to the next. */
  readonly last: { leftAt: number };
}

/**
 * A WebSocket, or polling where it cannot be had, as one socket; it greets by itself. While polling it goes on trying; when
 * a WebSocket greets, it moves over: the greeting is passed on once more, and whoever hears it subscribes anew.
 */
export function dialWithFallback(options: FallbackOptions): SocketLike {
  const { platform, last } = options;
  let { leftAt } = last;
  let greetedAt = 0;
  /** What was greeted: what is sent goes there. */
  let active: SocketLike | null = null;
  let trial: SocketLike | null = null;
  let poll: HttpSocket | null = null;
  /** How polling failed while a WebSocket was still being tried. */
  let pollEnd: Close | null = null;
  /** The timer of the fallback, and then of the next try. */
  let stopNext = (): void => {};
  let stopTrial = (): void => {};
  const socket: SocketLike = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: (data) => active?.send(data),
    close() {
      if (active) last.leftAt = platform.now();
      stopNext();
      stopTrial();
      for (const each of [trial, poll, active]) hangUp(each);
      active = null;
    },
  };

  function end({ code, reason }: Close): void {
    const isTaken = code === 4409;
    const now = platform.now();
    const isOwn = isTaken && now - leftAt < LEFT_MS && now - greetedAt < YOUNG_MS;
    socket.close();
    if (isTaken) last.leftAt = Number.NEGATIVE_INFINITY; // once for each that was left
    socket.onclose?.({ code: isOwn ? BROKEN.code : code, reason });
  }

  function greet(dialed: SocketLike): void {
    dialed.onerror = () => {}; // a close follows and says more
    dialed.onopen = () => dialed.send(JSON.stringify(options.greeting()));
  }

  function tryWebSocket(): void {
    if (trial) return;
    let dialed: SocketLike;
    try {
      dialed = options.dial();
    } catch {
      return poll ? undefined : startPoll();
    }
    const failed = (close: Close): void => {
      stopTrial();
      hangUp(dialed);
      trial = null;
      if (pollEnd) end(pollEnd);
      else if (!poll && close.code >= 4000)
        end(close); // the gateway's own word
      else if (!poll) startPoll();
    };
    trial = dialed;
    stopTrial = platform.timer(TRIAL_MS, () => failed(BROKEN));
    greet(dialed);
    dialed.onclose = failed;
    dialed.onmessage = (message) => {
      if (says(message, 'authenticated')) moveTo(dialed, message);
      else if (!poll) socket.onmessage?.(message);
      else if (says(message, 'error')) failed(BROKEN);
    };
  }

  function moveTo(dialed: SocketLike, greeted: Message): void {
    stopNext();
    stopTrial();
    let left = poll;
    greetedAt = platform.now();
    if (left) leftAt = greetedAt;
    active = dialed;
    trial = null;
    dialed.onmessage = (message) => {
      // Subscriptions are done in turn: the answer to what came after them means that it has them all.
      if (left && String(message.data).startsWith('{"type":"pong"')) {
        hangUp(left);
        left = poll = null;
      }
      socket.onmessage?.(message);
    };
    dialed.onclose = end;
    left?.rest(); // a poll that comes after the subscriptions would take the channels back
    options.onTransport('websocket');
    socket.onmessage?.(greeted);
    if (left) dialed.send('{"type":"ping"}');
  }

  function startPoll(): void {
    stopNext();
    const dialed = options.dialPolling();
    const failed = (close: Close): void => {
      hangUp(dialed);
      if (trial && !active) pollEnd = close;
      else end(close);
    };
    poll = dialed;
    greet(dialed);
    dialed.onclose = failed;
    dialed.onmessage = (message) => {
      if (!active && says(message, 'authenticated')) {
        active = dialed;
        greetedAt = platform.now();
        options.onTransport('polling');
      }
      // Polling may be switched off where a WebSocket is not: only a wrong token is the same on both.
      if (active || says(message, 'unauthorized')) socket.onmessage?.(message);
      else failed(BROKEN);
    };
    probe();
  }

  function probe(): void {
    stopNext = platform.timer(options.probeMs, () => {
      probe();
      tryWebSocket();
    });
  }

  stopNext = platform.timer(FALLBACK_MS, startPoll);
  tryWebSocket();
  return socket;
}

/** Before the greeting there are no messages, whose data might say the same. */
function says({ data }: Message, type: string): boolean {
  return String(data).includes(`"${type}"`);
}
