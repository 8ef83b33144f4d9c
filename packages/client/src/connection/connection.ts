import { retryRuleOf } from '@continuo/protocol/errors';
import {
  type ConnectionEffect,
  type ConnectionInput,
  type ConnectionState,
  type ConnectionTerms,
  INITIAL,
  stepConnection,
} from './machine.ts';
import type { Platform, SocketLike } from './platform.ts';

export type ConnectionStatus = 'disconnected' | 'connecting' | 'connected' | 'reconnecting';

export interface ConnectionOptions {
  readonly url: string;
  readonly terms: ConnectionTerms;
  readonly platform: Platform;
  /** The first frame of a new socket. */
  greeting(): object;
  /** What the client asks when it needs a sign of life. */
  readonly ping: object;
  onFrame(frame: Readonly<Record<string, unknown>>): void;
  onStatus(status: ConnectionStatus): void;
  /** It is over; without a reason because `disconnect` was called. */
  onEnd(reason: string | null): void;
  /** A frame that cannot be read. */
  onBadFrame(text: string): void;
}

export interface Connection {
  readonly status: ConnectionStatus;
  connect(): void;
  disconnect(): void;
  /** The server has taken the greeting. */
  greeted(): void;
  /** The server has refused: for good, or until `afterMs` have passed. */
  refused(reason: string, retry: { readonly final: boolean; readonly afterMs?: number }): void;
  /** Sends on the open socket; false when there is none. */
  send(frame: object): boolean;
  nudge(): void;
}

/** The machine and its sockets. */
export function createConnection(options: ConnectionOptions): Connection {
  const { platform, terms } = options;
  let state: ConnectionState = INITIAL;
  let socket: SocketLike | null = null;
  let stopTimer = (): void => {};
  let status: ConnectionStatus = 'disconnected';

  function input(event: ConnectionInput): void {
    const step = stepConnection(state, event, { now: platform.now(), random: platform.random(), terms });
    state = step.state;
    for (const effect of step.effects) {
      perform(effect);
      if (state !== step.state) break; // an input came in meanwhile: the rest belongs to a state that is gone
    }
    const now = statusOf(state);
    if (now === status) return;
    status = now;
    options.onStatus(now);
  }

  function perform(effect: ConnectionEffect): void {
    switch (effect.type) {
      case 'dial':
        return dial(effect.generation);
      case 'greet':
        return write(options.greeting());
      case 'ping':
        return write(options.ping);
      case 'hangUp':
        return hangUp();
      case 'timer':
        stopTimer();
        stopTimer = platform.timer(Math.max(0, effect.at - platform.now()), () => input({ type: 'timer' }));
        return;
      case 'ended':
        stopTimer();
        return options.onEnd(effect.reason);
      default:
        return effect satisfies never;
    }
  }

  function dial(generation: number): void {
    try {
      const dialed = platform.dial(options.url);
      socket = dialed;
      dialed.onopen = () => input({ type: 'opened', generation });
      dialed.onmessage = ({ data }) => receive(generation, data);
      dialed.onerror = () => {}; // a close follows and says more
      dialed.onclose = ({ code, reason }) => {
        const rule = retryRuleOf(code);
        const final = rule === 'never' || rule === 'with-new-token'; // it has the one token it was given
        input({
          type: 'closed',
          generation,
          final,
          reason: reason || `The connection was closed (${code}).`,
        });
      };
    } catch (error) {
      socket = null;
      input({
        type: 'closed',
        generation,
        final: true,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }

  function receive(generation: number, data: unknown): void {
    if (generation !== state.generation) return;
    input({ type: 'heard', generation });
    let frame: unknown;
    try {
      frame = typeof data === 'string' ? JSON.parse(data) : null;
    } catch {
      frame = null;
    }
    if (typeof frame !== 'object' || frame === null || Array.isArray(frame))
      return options.onBadFrame(String(data));
    options.onFrame(frame as Record<string, unknown>);
  }

  function write(frame: object): void {
    socket?.send(JSON.stringify(frame));
  }

  /** Nothing of the old socket is heard any more, not even its end: half-open ones may take minutes for that. */
  function hangUp(): void {
    const old = socket;
    socket = null;
    if (!old) return;
    old.onopen = null;
    old.onmessage = null;
    old.onclose = null;
    old.close(1000);
  }

  return {
    get status() {
      return status;
    },
    connect: () => input({ type: 'connect' }),
    disconnect: () => input({ type: 'disconnect' }),
    greeted: () => input({ type: 'greeted', generation: state.generation }),
    refused: (reason, retry) => input({ type: 'closed', generation: state.generation, reason, ...retry }),
    send(frame) {
      if (state.phase !== 'open') return false;
      write(frame);
      return true;
    },
    nudge: () => input({ type: 'nudge' }),
  };
}

function statusOf(state: ConnectionState): ConnectionStatus {
  switch (state.phase) {
    case 'idle':
    case 'ended':
      return 'disconnected';
    case 'dialing':
      return state.attempt === 0 ? 'connecting' : 'reconnecting';
    case 'open':
      return 'connected';
    case 'waiting':
      return 'reconnecting';
    default:
      return state satisfies never;
  }
}
