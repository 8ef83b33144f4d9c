import type { Platform, SocketLike } from '../connection/platform.ts';
import type { HttpSocket } from './http.ts';

/** A WebSocket that has not greeted by then has polling beside it, in ms. */
const FALLBACK_MS = 2_500;
/** One that has not greeted by then is given up, in ms. */
const TRIAL_MS = 10_000;
/** So long after a move the last poll may still take the channels away, in ms: that is nobody else. */
const MOVE_MS = 10_000;

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
}

/**
 * A WebSocket, or polling where it cannot be had, as one socket; it greets by itself. While polling it goes on trying; when
 * a WebSocket greets, it moves over: the greeting is passed on once more, and whoever hears it subscribes anew.
 */
export function dialWithFallback(options: FallbackOptions): SocketLike {
  const { platform } = options;
  /** What was greeted: what is sent goes there. */
  let active: SocketLike | null = null;
  let trial: SocketLike | null = null;
  let poll: HttpSocket | null = null;
  /** How polling failed while a WebSocket was still being tried. */
  let pollEnd: Close | null = null;
  let stopFallback = (): void => {};
  let stopTrial = (): void => {};
  let stopProbe = (): void => {};
  const socket: SocketLike = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: (data) => active?.send(data),
    close() {
      stopFallback();
      stopTrial();
      stopProbe();
      for (const each of [trial, poll, active]) drop(each);
    },
  };

  function end(close: Close): void {
    socket.close();
    socket.onclose?.(close);
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
      drop(dialed);
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
    stopFallback();
    stopTrial();
    stopProbe();
    let left = poll;
    const movedAt = left ? platform.now() : Number.NEGATIVE_INFINITY;
    active = dialed;
    trial = null;
    dialed.onmessage = (message) => {
      // Subscriptions are done in turn: the answer to what came after them means that it has them all.
      if (left && String(message.data).startsWith('{"type":"pong"')) {
        drop(left);
        left = poll = null;
      }
      socket.onmessage?.(message);
    };
    dialed.onclose = ({ code, reason }) => {
      const isOwnPoll = code === 4409 && platform.now() - movedAt < MOVE_MS;
      end({ code: isOwnPoll ? BROKEN.code : code, reason });
    };
    left?.rest(); // a poll that comes after the subscriptions would take the channels back
    options.onTransport('websocket');
    socket.onmessage?.(greeted);
    if (left) dialed.send('{"type":"ping"}');
  }

  function startPoll(): void {
    stopFallback();
    const dialed = options.dialPolling();
    const failed = (close: Close): void => {
      drop(dialed);
      if (trial && !active) pollEnd = close;
      else end(close);
    };
    poll = dialed;
    greet(dialed);
    dialed.onclose = failed;
    dialed.onmessage = (message) => {
      if (!active && says(message, 'authenticated')) {
        active = dialed;
        options.onTransport('polling');
      }
      // Polling may be switched off where a WebSocket is not: only a wrong token is the same on both.
      if (active || says(message, 'unauthorized')) socket.onmessage?.(message);
      else failed(BROKEN);
    };
    probe();
  }

  function probe(): void {
    stopProbe = platform.timer(options.probeMs, () => {
      probe();
      tryWebSocket();
    });
  }

  stopFallback = platform.timer(FALLBACK_MS, startPoll);
  tryWebSocket();
  return socket;
}

/** Nothing of it is heard any more. */
function drop(socket: SocketLike | null): void {
  if (!socket) return;
  socket.onopen = null;
  socket.onmessage = null;
  socket.onclose = null;
  socket.close(1000);
}

/** Before the greeting there are no messages, whose data might say the same. */
function says({ data }: Message, type: string): boolean {
  return String(data).includes(`"${type}"`);
}
