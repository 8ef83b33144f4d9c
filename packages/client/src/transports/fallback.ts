import type { Platform, SocketLike } from '../connection/platform.ts';
import { socketOf } from './adapter.ts';
import type { PollingTransport } from './polling.ts';

/** A WebSocket that has not greeted by then has polling beside it, in ms. */
const FALLBACK_MS = 2_500;
/** One that has not greeted by then is given up, in ms. */
const TRIAL_MS = 10_000;
/** So long after a move the last poll may still take the channels away, in ms: that is nobody else. */
const MOVE_MS = 10_000;

type Close = { readonly code: number; readonly reason: string };

export interface FallbackOptions {
  /** Dials a WebSocket. May throw where there is none. */
  dial(): SocketLike;
  readonly polling: PollingTransport;
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
  const { platform, polling } = options;
  const greeting = (): string => JSON.stringify(options.greeting());
  /** What was greeted: what is sent goes there. */
  let active: SocketLike | null = null;
  let trial: SocketLike | null = null;
  let poll: SocketLike | null = null;
  /** The poll that was left, until the WebSocket has all it had. */
  let left: SocketLike | null = null;
  let pollEnd: Close | null = null;
  let movedAt = Number.NEGATIVE_INFINITY;
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
      for (const each of [trial, poll, left, active]) drop(each);
    },
  };

  function end(close: Close): void {
    socket.close();
    socket.onclose?.(close);
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
      if (pollEnd) return end(pollEnd);
      if (poll) return;
      if (close.code >= 4000) return end(close); // the gateway's own word
      startPoll();
    };
    trial = dialed;
    stopTrial = platform.timer(TRIAL_MS, () => failed({ code: 1006, reason: '' }));
    dialed.onerror = () => {}; // a close follows and says more
    dialed.onopen = () => dialed.send(greeting());
    dialed.onclose = failed;
    dialed.onmessage = (message) => {
      const type = typeOf(message.data);
      if (type === 'authenticated') moveTo(dialed, message);
      else if (!poll) socket.onmessage?.(message);
      else if (type === 'error') failed({ code: 1006, reason: '' });
    };
  }

  function moveTo(dialed: SocketLike, greeted: { readonly data: unknown }): void {
    stopFallback();
    stopTrial();
    stopProbe();
    if (active) movedAt = platform.now();
    active = dialed;
    trial = null;
    left = poll;
    poll = null;
    if (left) {
      silence(left);
      polling.rest(); // a poll that comes after the subscriptions would take the channels back
    }
    dialed.onmessage = (message) => {
      // Subscriptions are done in turn: the answer means that the WebSocket has them all.
      if (left && typeOf(message.data) === 'pong') {
        drop(left);
        left = null;
      }
      socket.onmessage?.(message);
    };
    dialed.onclose = ({ code, reason }) => {
      const isOwnPoll = code === 4409 && platform.now() - movedAt < MOVE_MS;
      end({ code: isOwnPoll ? 1006 : code, reason });
    };
    options.onTransport('websocket');
    socket.onmessage?.(greeted);
    if (left) dialed.send('{"type":"ping"}');
  }

  function startPoll(): void {
    stopFallback();
    const started = socketOf(polling);
    const failed = (close: Close): void => {
      drop(started);
      if (trial && !active) pollEnd = close;
      else end(close);
    };
    poll = started;
    started.onopen = () => started.send(greeting());
    started.onclose = failed;
    started.onmessage = (message) => {
      if (!active) {
        const type = typeOf(message.data);
        // Polling may be switched off where a WebSocket is not: only a wrong token is the same on both.
        if (type === 'error' && !/"unauthorized"/.test(String(message.data)))
          return failed({ code: 1006, reason: 'Polling was refused.' });
        if (type === 'authenticated') {
          active = started;
          options.onTransport('polling');
        }
      }
      socket.onmessage?.(message);
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
function silence(socket: SocketLike): void {
  socket.onopen = null;
  socket.onmessage = null;
  socket.onclose = null;
}

function drop(socket: SocketLike | null): void {
  if (!socket) return;
  silence(socket);
  socket.close(1000);
}

function typeOf(data: unknown): unknown {
  try {
    return JSON.parse(String(data)).type;
  } catch {
    return undefined;
  }
}
