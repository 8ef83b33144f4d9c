import type { RetryRule } from '@continuo/protocol/errors';
import { ConnectionError } from '../errors.ts';
import {
  type ConnectionEffect,
  type ConnectionInput,
  type ConnectionState,
  type ConnectionTerms,
  INITIAL,
  stepConnection,
} from './machine.ts';
import type { Platform, SocketLike } from './platform.ts';
import { ruleOfClose } from './retry.ts';
import type { Reason, Tokens } from './tokens.ts';

/** The longest sleep of the timer, in ms: a timer that stood still while the machine slept is noticed soon after. */
const TICK_MS = 5_000;
/** A timer that is so much late means that the machine slept, in ms. */
const JUMP_MS = 2_000;

export type ConnectionStatus = 'disconnected' | 'connecting' | 'connected' | 'reconnecting';

export interface ConnectionOptions {
  readonly url: string;
  readonly terms: ConnectionTerms;
  readonly platform: Platform;
  /** What the greeting presents: had before every dial. */
  readonly tokens: Tokens;
  /** The first frame of a new socket. */
  greeting(): object;
  /** What the client asks when it needs a sign of life. */
  readonly ping: object;
  onFrame(frame: Readonly<Record<string, unknown>>): void;
  onStatus(status: ConnectionStatus): void;
  /** It is over; without a reason because `disconnect` was called. */
  onEnd(reason: Reason | null): void;
  /** What is not the end: a frame that cannot be read, or a source of tokens that failed and will be asked again. */
  onProblem(error: unknown): void;
}

export interface Connection {
  readonly status: ConnectionStatus;
  connect(): void;
  disconnect(): void;
  /** The server has taken the greeting. */
  greeted(): void;
  /** The server has refused: its error table has the rule. */
  refused(reason: Reason, rule: RetryRule): void;
  /** When the server said to come back, should this socket end: in ms, from then on. What is no time is not taken. */
  hint(afterMs: unknown): void;
  /** Sends a frame on the open socket; false when there is none. */
  send(text: string): boolean;
  nudge(): void;
}

/** The machine and its sockets. */
export function createConnection(options: ConnectionOptions): Connection {
  const { platform, terms, tokens } = options;
  let state: ConnectionState = INITIAL;
  let socket: SocketLike | null = null;
  let stopTimer = (): void => {};
  let stopWakes = (): void => {};
  let hintMs: number | undefined;
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
        return setTimer(effect.at);
      case 'ended':
        stopTimer();
        stopWakes();
        return options.onEnd(effect.reason);
      default:
        return effect satisfies never;
    }
  }

  function setTimer(at: number): void {
    stopTimer();
    const ms = Math.min(TICK_MS, Math.max(0, at - platform.now()));
    const due = platform.now() + ms;
    stopTimer = platform.timer(ms, () => {
      if (platform.now() - due > JUMP_MS) input({ type: 'nudge' });
      input({ type: 'timer' });
    });
  }

  function dial(generation: number): void {
    hintMs = undefined;
    const asked = tokens.fetch();
    if (!asked) return open(generation);
    asked.then(
      (refusal) => {
        if (refusal) closed(generation, refusal, 'never');
        else if (state.phase === 'dialing' && generation === state.generation) open(generation);
      },
      (error: unknown) => {
        options.onProblem(error);
        closed(generation, `No token: ${error}`, 'after');
      },
    );
  }

  function open(generation: number): void {
    try {
      const dialed = platform.dial(options.url);
      socket = dialed;
      dialed.onopen = () => input({ type: 'opened', generation });
      dialed.onmessage = ({ data }) => receive(generation, data);
      dialed.onerror = () => {}; // a close follows and says more
      dialed.onclose = ({ code, reason }) => {
        closed(generation, reason || `The connection was closed (${code}).`, ruleOfClose(code));
      };
    } catch (error) {
      closed(generation, String(error), 'never');
    }
  }

  /** The rule of the server's error table says whether to come back, and the server's hint when. */
  function closed(generation: number, reason: Reason, rule: RetryRule): void {
    if (generation !== state.generation) return;
    const isRefused = rule === 'with-new-token';
    const when = isRefused ? (tokens.refused(reason) ? 'now' : 'never') : rule;
    // At once, but not over and over.
    const afterMs = when === 'now' && 'attempt' in state && !state.attempt ? 0 : undefined;
    input({ type: 'closed', generation, reason, final: when === 'never', afterMs: hintMs ?? afterMs });
  }

  function receive(generation: number, data: unknown): void {
    if (generation !== state.generation) return;
    input({ type: 'heard', generation });
    let frame: unknown;
    try {
      if (typeof data === 'string') frame = JSON.parse(data);
    } catch {
      // told below
    }
    if (!(frame instanceof Object) || Array.isArray(frame))
      return options.onProblem(new ConnectionError(`No JSON object: ${String(data).slice(0, 100)}`));
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
    connect() {
      if (status === 'disconnected') tokens.forgive();
      stopWakes();
      stopWakes = platform.onWake((isOnline) => input({ type: 'nudge', isOnline }));
      input({ type: 'connect' });
    },
    disconnect: () => input({ type: 'disconnect' }),
    greeted() {
      tokens.forgive();
      input({ type: 'greeted', generation: state.generation });
    },
    refused: (reason, rule) => closed(state.generation, reason, rule),
    hint(afterMs) {
      if (Number.isSafeInteger(afterMs)) hintMs = Number(afterMs);
    },
    send(text) {
      if (state.phase !== 'open') return false;
      socket?.send(text);
      return true;
    },
    nudge: () => input({ type: 'nudge' }),
  };
}

function statusOf({ phase, attempt }: ConnectionState & { readonly attempt?: number }): ConnectionStatus {
  if (phase === 'open') return 'connected';
  if (phase === 'idle' || phase === 'ended') return 'disconnected';
  return attempt === 0 ? 'connecting' : 'reconnecting';
}
