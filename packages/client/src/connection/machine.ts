import { type Backoff, backoffDelay } from './backoff.ts';
import { type Step, to } from '../step.ts';
import type { Reason } from './tokens.ts';

/**
 * The life of a connection, as a pure machine: one for every client. A generation is one socket; what an older one says
 * is never heard. One timer, which the state itself asks for: when it comes early or late, the state decides what it means.
 */

export interface ConnectionTerms {
  readonly backoff: Backoff;
  readonly reconnect: boolean;
  /** Attempts after the first that fail in a row before it gives up. */
  readonly maxAttempts: number;
}

/** For the socket to open and the server to greet, in ms. */
const HANDSHAKE_MS = 15_000;
/** Silence after which the server is asked for a sign of life, in ms. */
const IDLE_MS = 30_000;
/** How long it may take to give one, in ms. */
const PONG_MS = 10_000;
/** The same after a sleep or a change of network, in ms. */
const PROBE_MS = 3_000;
/** A connection that lasted this long starts the count of attempts anew, in ms. */
const STABLE_MS = 60_000;

export type ConnectionState =
  | { readonly phase: 'idle'; readonly generation: number }
  | {
      readonly phase: 'dialing';
      readonly generation: number;
      readonly attempt: number;
      readonly opened: boolean;
      /** When it must have been greeted. */
      readonly until: number;
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

type Open = Extract<ConnectionState, { phase: 'open' }>;
type Live = Extract<ConnectionState, { attempt: number }>;

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

/** For the socket of the state's generation. */
export type ConnectionEffect =
  | { readonly type: 'dial' | 'greet' | 'ping' | 'hangUp' }
  /** It is over. Without a reason: because it was asked to. */
  | { readonly type: 'ended'; readonly reason: Reason | null };

export interface ConnectionEnv extends ConnectionTerms {
  readonly now: number;
  /** 0 to 1. */
  readonly random: number;
}

export type ConnectionStep = Step<ConnectionState, ConnectionEffect>;

export const INITIAL: ConnectionState = { phase: 'idle', generation: 0 };

const HANG_UP: ConnectionEffect = { type: 'hangUp' };

export function stepConnection(
  state: ConnectionState,
  input: ConnectionInput,
  env: ConnectionEnv,
): ConnectionStep {
  const { now } = env;
  const same: ConnectionStep = to(state);
  if ('generation' in input && input.generation !== state.generation) return same;
  const isDead = !('attempt' in state);
  switch (input.type) {
    case 'connect':
      return isDead ? dial(state, 0, env) : same;
    case 'disconnect':
      return isDead ? same : end(state, null);
    case 'opened':
      if (state.phase !== 'dialing' || state.opened) return same;
      return to({ ...state, opened: true }, { type: 'greet' });
    case 'greeted': {
      if (state.phase !== 'dialing') return same;
      const { generation, attempt } = state;
      return to({ phase: 'open', generation, attempt, since: now, heardAt: now, pongBy: null });
    }
    case 'heard':
      return state.phase === 'open' ? to({ ...state, heardAt: now, pongBy: null }) : same;
    case 'closed':
      if (state.phase !== 'dialing' && state.phase !== 'open') return same;
      return input.final ? end(state, input.reason) : retry(state, input.reason, env, input.afterMs);
    case 'nudge': {
      if (state.phase === 'waiting' && input.isOnline !== false) return dial(state, state.attempt, env);
      if (state.phase !== 'open') return same;
      // What was asked before a sleep, or with a long limit, is asked again.
      const leftMs = (state.pongBy ?? now) - now;
      return leftMs > 0 && leftMs <= PROBE_MS ? same : ask(state, now + PROBE_MS);
    }
    case 'timer':
      return onTimer(state, env);
    default:
      return input satisfies never;
  }
}

/** When the machine wants its timer: a state that is alive has something to judge then. */
export function dueAt(state: ConnectionState): number {
  if ('until' in state) return state.until;
  return state.phase === 'open' ? (state.pongBy ?? state.heardAt + IDLE_MS) : Number.MAX_VALUE;
}

function dial({ generation }: ConnectionState, attempt: number, { now }: ConnectionEnv): ConnectionStep {
  const until = now + HANDSHAKE_MS;
  return to(
    { phase: 'dialing', generation: generation + 1, attempt, opened: false, until },
    { type: 'dial' },
  );
}

function end({ generation }: ConnectionState, reason: Reason | null): ConnectionStep {
  return to({ phase: 'ended', generation: generation + 1 }, HANG_UP, { type: 'ended', reason });
}

function retry(
  state: Live,
  reason: Reason,
  { now, random, reconnect, maxAttempts, backoff }: ConnectionEnv,
  afterMs?: number,
): ConnectionStep {
  const isStable = state.phase === 'open' && now - state.since >= STABLE_MS;
  const attempt = isStable ? 0 : state.attempt;
  if (!reconnect || attempt >= maxAttempts) return end(state, reason);
  const until = now + (afterMs ?? backoffDelay(backoff, attempt, random));
  return to({ phase: 'waiting', generation: state.generation, attempt: attempt + 1, until }, HANG_UP);
}

/** Asks the server for a sign of life. */
function ask(state: Open, pongBy: number): ConnectionStep {
  return to({ ...state, pongBy }, { type: 'ping' });
}

function onTimer(state: ConnectionState, env: ConnectionEnv): ConnectionStep {
  const { now } = env;
  if (!('attempt' in state) || now < dueAt(state)) return to(state);
  if (state.phase === 'waiting') return dial(state, state.attempt, env);
  if (state.phase === 'open' && state.pongBy === null) return ask(state, now + PONG_MS);
  return retry(state, 'The server did not answer.', env);
}
