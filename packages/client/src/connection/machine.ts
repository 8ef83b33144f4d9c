import { type Backoff, backoffDelay } from './backoff.ts';
import type { Reason } from './tokens.ts';

/**
 * The life of a connection, as a pure machine: one for every client. A generation is one socket; what an older one says
 * is never heard. One timer: when it comes late, or for a state that is gone, the state decides what it means.
 */

export interface ConnectionTerms {
  readonly backoff: Backoff;
  readonly reconnect: boolean;
  /** Attempts after the first that fail in a row before it gives up. */
  readonly maxAttempts: number;
  /** For the socket to open and the server to greet, in ms. */
  readonly handshakeMs: number;
  /** Silence after which the server is asked for a sign of life, in ms. */
  readonly idleMs: number;
  /** How long it may take to give one, in ms. */
  readonly pongMs: number;
  /** The same after a sleep or a change of network, in ms. */
  readonly probeMs: number;
  /** A connection that lasted this long starts the count of attempts anew, in ms. */
  readonly stableMs: number;
}

export type ConnectionState =
  | { readonly phase: 'idle'; readonly generation: number }
  | {
      readonly phase: 'dialing';
      readonly generation: number;
      readonly attempt: number;
      readonly opened: boolean;
      readonly deadline: number;
    }
  | {
      readonly phase: 'open';
      readonly generation: number;
      readonly attempt: number;
      readonly since: number;
      readonly heardAt: number;
      /** When the server must have been heard, once it was asked. */
      readonly pongBy: number | null;
    }
  | {
      readonly phase: 'waiting';
      readonly generation: number;
      readonly attempt: number;
      readonly until: number;
    }
  | { readonly phase: 'ended'; readonly generation: number };

export type ConnectionInput =
  | { readonly type: 'connect' }
  | { readonly type: 'disconnect' }
  | { readonly type: 'opened'; readonly generation: number }
  | { readonly type: 'greeted'; readonly generation: number }
  | { readonly type: 'heard'; readonly generation: number }
  /** `final`: the server said not to come back. `afterMs`: it said when. */
  | {
      readonly type: 'closed';
      readonly generation: number;
      readonly reason: Reason;
      readonly final?: boolean;
      readonly afterMs?: number | undefined;
    }
  /** The machine may have slept, or the network has changed. `isOnline` false: it is gone, and dialing is of no use. */
  | { readonly type: 'nudge'; readonly isOnline?: boolean }
  | { readonly type: 'timer' };

export type ConnectionEffect =
  | { readonly type: 'dial'; readonly generation: number }
  | { readonly type: 'greet'; readonly generation: number }
  | { readonly type: 'ping'; readonly generation: number }
  | { readonly type: 'hangUp'; readonly generation: number }
  | { readonly type: 'timer'; readonly at: number }
  /** It is over. Without a reason: because it was asked to. */
  | { readonly type: 'ended'; readonly reason: Reason | null };

export interface ConnectionEnv {
  readonly now: number;
  /** 0 to 1. */
  readonly random: number;
  readonly terms: ConnectionTerms;
}

export interface ConnectionStep {
  readonly state: ConnectionState;
  readonly effects: readonly ConnectionEffect[];
}

export const INITIAL: ConnectionState = { phase: 'idle', generation: 0 };

export function stepConnection(
  state: ConnectionState,
  input: ConnectionInput,
  env: ConnectionEnv,
): ConnectionStep {
  const same: ConnectionStep = { state, effects: [] };
  if ('generation' in input && input.generation !== state.generation) return same;
  switch (input.type) {
    case 'connect':
      return state.phase === 'idle' || state.phase === 'ended' ? dial(state, 0, env) : same;
    case 'disconnect':
      return state.phase === 'idle' || state.phase === 'ended' ? same : end(state, null);
    case 'opened':
      if (state.phase !== 'dialing' || state.opened) return same;
      return {
        state: { ...state, opened: true },
        effects: [{ type: 'greet', generation: state.generation }],
      };
    case 'greeted':
      return state.phase === 'dialing' ? open(state, env) : same;
    case 'heard':
      if (state.phase !== 'open') return same;
      return { state: { ...state, heardAt: env.now, pongBy: null }, effects: [] };
    case 'closed':
      if (state.phase !== 'dialing' && state.phase !== 'open') return same;
      return input.final ? end(state, input.reason) : retry(state, input.reason, env, input.afterMs);
    case 'nudge':
      return nudge(state, env, input.isOnline ?? true);
    case 'timer':
      return onTimer(state, env);
    default:
      return input satisfies never;
  }
}

function dial(state: ConnectionState, attempt: number, { now, terms }: ConnectionEnv): ConnectionStep {
  const generation = state.generation + 1;
  const deadline = now + terms.handshakeMs;
  return {
    state: { phase: 'dialing', generation, attempt, opened: false, deadline },
    effects: [
      { type: 'dial', generation },
      { type: 'timer', at: deadline },
    ],
  };
}

function open(
  state: Extract<ConnectionState, { phase: 'dialing' }>,
  { now, terms }: ConnectionEnv,
): ConnectionStep {
  const { generation, attempt } = state;
  return {
    state: { phase: 'open', generation, attempt, since: now, heardAt: now, pongBy: null },
    effects: [{ type: 'timer', at: now + terms.idleMs }],
  };
}

function end(state: ConnectionState, reason: Reason | null): ConnectionStep {
  const { generation } = state;
  return {
    state: { phase: 'ended', generation: generation + 1 },
    effects: [
      { type: 'hangUp', generation },
      { type: 'ended', reason },
    ],
  };
}

function retry(state: ConnectionState, reason: Reason, env: ConnectionEnv, afterMs?: number): ConnectionStep {
  const { now, random, terms } = env;
  const before = 'attempt' in state ? state.attempt : 0;
  const stable = state.phase === 'open' && now - state.since >= terms.stableMs;
  const attempt = stable ? 0 : before;
  if (!terms.reconnect || attempt >= terms.maxAttempts) return end(state, reason);
  const until = now + (afterMs ?? backoffDelay(terms.backoff, attempt, random));
  return {
    state: { phase: 'waiting', generation: state.generation, attempt: attempt + 1, until },
    effects: [
      { type: 'hangUp', generation: state.generation },
      { type: 'timer', at: until },
    ],
  };
}

function nudge(state: ConnectionState, env: ConnectionEnv, isOnline: boolean): ConnectionStep {
  const same: ConnectionStep = { state, effects: [] };
  if (state.phase === 'waiting' && isOnline) return dial(state, state.attempt, env);
  if (state.phase !== 'open') return same;
  const { now, terms } = env;
  const { pongBy } = state;
  // What was asked before a sleep, or with a long limit, is asked again.
  const isProbed = pongBy !== null && pongBy > now && pongBy <= now + terms.probeMs;
  return isProbed ? same : ask(state, now, terms.probeMs);
}

/** Asks the server for a sign of life within `ms`. */
function ask(state: Extract<ConnectionState, { phase: 'open' }>, now: number, ms: number): ConnectionStep {
  const pongBy = now + ms;
  return {
    state: { ...state, pongBy },
    effects: [
      { type: 'ping', generation: state.generation },
      { type: 'timer', at: pongBy },
    ],
  };
}

function onTimer(state: ConnectionState, env: ConnectionEnv): ConnectionStep {
  const { now, terms } = env;
  const later = (at: number): ConnectionStep => ({ state, effects: [{ type: 'timer', at }] });
  switch (state.phase) {
    case 'dialing':
      return now >= state.deadline ? retry(state, 'The server did not answer.', env) : later(state.deadline);
    case 'waiting':
      return now >= state.until ? dial(state, state.attempt, env) : later(state.until);
    case 'open': {
      if (state.pongBy !== null) {
        return now >= state.pongBy ? retry(state, 'The server did not answer.', env) : later(state.pongBy);
      }
      const idleAt = state.heardAt + terms.idleMs;
      return now >= idleAt ? ask(state, now, terms.pongMs) : later(idleAt);
    }
    default:
      return { state, effects: [] };
  }
}
