import { type Backoff, backoffDelay } from '../connection/backoff.ts';
import type { Platform } from '../connection/platform.ts';
import { ruleOfCode } from '../connection/retry.ts';
import type { Tokens } from '../connection/tokens.ts';
import { errorOf, GatewayError, textOf } from '../errors.ts';
import { createFuse, type Fuse } from './fuse.ts';

/** For one try of a call, in ms: a proxy may swallow it. */
const REQUEST_MS = 15_000;
/** A server that asks for more patience is asked again all the same, in ms. */
const MAX_HINT_MS = 3_600_000;

/** The error of a status, where the body does not name one. */
const CODES: Readonly<Record<number, string>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  408: 'unavailable',
  409: 'conflict',
  413: 'too_large',
  422: 'invalid',
  425: 'unavailable',
  429: 'rate_limited',
  500: 'internal',
};

export interface RunRequest {
  /** JSON, posted; without one the path is got. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A field that its answer must have: whatever answers without it is no gateway. */
  readonly has?: string;
}

export interface Answered {
  readonly response: Response;
  /** What it was asked with. */
  readonly token: string | undefined;
}

/** Requests to a gateway, with a token that is renewed when it is refused. */
export interface Requests {
  readonly platform: Platform;
  /**
   * One try; another at once with a fresh token where the old one is refused. It has `ms`, and so has what is read of the
   * answer until `fuse` is stopped; a token has its own time. Rejects with the gateway's error, or with the network's.
   */
  send(path: string, request: RunRequest, fuse: Fuse, ms: number): Promise<Answered>;
  /**
   * Its JSON. Tried again until the gateway has answered: ask for nothing that must not be done twice. Rejects with
   * `bad_request` where it is not a gateway that answers.
   */
  ask<T>(path: string, request?: RunRequest, signal?: AbortSignal): Promise<T>;
  /**
   * Waits before the next try, until the signal at the longest. Rejects with the error where no try can help; an `internal`
   * error of the gateway ends a call, and not a stream.
   */
  pause(error: unknown, attempt: number, signal?: AbortSignal, isStream?: boolean): Promise<void>;
  /** The gateway refused this token: resolves when there is another one, rejects with the error when there is none. */
  renew(token: string | undefined, error: Error): Promise<void>;
}

export interface RequestsOptions {
  /** Without a slash at the end. */
  readonly base: string;
  readonly fetch: typeof globalThis.fetch;
  readonly tokens: Tokens;
  readonly backoff: Backoff;
  readonly maxAttempts: number;
  readonly platform: Platform;
  readonly onRetry: ((error: unknown, waitMs: number) => void) | undefined;
}

export function createRequests(options: RequestsOptions): Requests {
  const { base, fetch: ask, tokens, backoff, maxAttempts, platform, onRetry } = options;
  let renewal: Promise<void> | undefined;

  async function another(error: Error): Promise<void> {
    try {
      const refusal = tokens.refused(error) ? await tokens.fetch() : error;
      if (refusal) throw refusal;
    } catch (thrown) {
      tokens.forgive(); // who calls again begins anew
      throw thrown;
    }
  }

  async function renew(token: string | undefined, error: Error): Promise<void> {
    if (token !== tokens.current) return; // another request has seen to it
    renewal ??= another(error).finally(() => {
      renewal = undefined;
    });
    await renewal;
  }

  async function send(
    path: string,
    { body, headers }: RunRequest,
    fuse: Fuse,
    ms: number,
  ): Promise<Answered> {
    for (;;) {
      if (tokens.current === undefined) await tokens.fetch();
      const token = tokens.current;
      fuse.arm(ms);
      const response = await ask(base + path, {
        signal: fuse.signal,
        redirect: 'manual', // followed, a POST may become a GET
        ...(body && { method: 'POST', body }),
        headers: {
          ...(body && { 'content-type': 'application/json' }),
          ...headers,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
      });
      if (response.ok) {
        if (token === tokens.current) tokens.forgive();
        return { response, token };
      }
      const error = await refusalOf(response);
      fuse.stop();
      if (error.code !== 'unauthorized') throw error;
      await renew(token, error);
    }
  }

  function pause(error: unknown, attempt: number, signal?: AbortSignal, isStream?: boolean): Promise<void> {
    const isFinal =
      error instanceof GatewayError &&
      (ruleOfCode(error.code) !== 'after' || (!isStream && error.code === 'internal'));
    if (isFinal || attempt >= maxAttempts) return Promise.reject(error);
    const hint = error instanceof GatewayError ? hintOf(error.details.retry_after, platform.now()) : 0;
    const waitMs = Math.max(Math.min(hint, MAX_HINT_MS), backoffDelay(backoff, attempt, platform.random()));
    onRetry?.(error, waitMs);
    return new Promise((resolve) => {
      const done = (): void => {
        stopTimer();
        stopWakes();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const stopTimer = platform.timer(waitMs, done);
      const stopWakes = platform.onWake((isOnline) => isOnline && done());
      signal?.addEventListener('abort', done);
      if (signal?.aborted) done();
    });
  }

  return {
    platform,
    send,
    pause,
    renew,
    async ask(path, request = {}, signal) {
      for (let attempt = 0; ; attempt++) {
        signal?.throwIfAborted();
        const fuse = createFuse(platform, signal);
        let failure: unknown;
        try {
          const { response } = await send(path, request, fuse, REQUEST_MS);
          const told = await response.json();
          if (request.has && told?.[request.has] === undefined) throw new SyntaxError();
          return told;
        } catch (error) {
          failure = error;
          // It came whole, else it were the network's error.
          if (error instanceof SyntaxError)
            failure = new GatewayError('bad_request', `What answers at ${base + path} is no gateway.`);
        } finally {
          fuse.end();
        }
        signal?.throwIfAborted();
        await pause(failure, attempt, signal);
      }
    },
  };
}

/** Of a `Retry-After`, seconds or a date: in ms. */
function hintOf(value: unknown, now: number): number {
  return Number(value) * 1_000 || Date.parse(String(value)) - now || 0;
}

async function refusalOf(response: Response): Promise<GatewayError> {
  const { status, headers } = response;
  const told = await response.json().catch(() => null);
  const fields = { ...told, ...told?.error, retry_after: headers.get('retry-after') };
  const code = textOf(fields.code) ?? CODES[status] ?? (status < 500 ? 'bad_request' : 'unavailable');
  // Browsers give a redirect the status 0, and do not say where it leads.
  const answer =
    status < 400 ? `redirects to ${headers.get('location') ?? 'another url'}` : `answers ${status}`;
  const message = textOf(fields.message ?? fields.detail) ?? `The gateway ${answer}.`;
  // Of conflicts, those about approvals alone have an answer to tell of.
  if (code === 'conflict' && fields.approved === undefined) return new GatewayError(code, message, fields);
  return errorOf({ by: fields.resolved_by, ...fields, code, message });
}
