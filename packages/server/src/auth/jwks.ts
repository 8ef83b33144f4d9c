import { WireError } from '@continuo/protocol';
import { createLocalJWKSet, errors, type JWTVerifyGetKey, type LocalJWKSet } from 'jose';
import type { Clock, Report } from '../ports.ts';

/** What of `fetch` is needed. */
export type FetchKeys = (
  url: string,
  init: {
    readonly headers: Readonly<Record<string, string>>;
    readonly redirect: 'error';
    readonly signal: AbortSignal;
  },
) => Promise<Response>;

/** How long one fetch may take, in ms. */
const FETCH_MS = 5_000;
/** How old a key set may grow before it is fetched again, in ms. */
const FRESH_MS = 10 * 60_000;
/** How old it may grow while it cannot be fetched, in ms: a key that was withdrawn is refused by then. */
const KEPT_MS = 60 * 60_000;
/** Milliseconds between two fetches for the sake of a key that is not in the set: anyone can make such a token. */
const UNKNOWN_KEY_MS = 30_000;
/** Milliseconds between two fetches when the last one failed. */
const RETRY_MS = 1_000;
/** Characters of a key set. */
const MAX_KEY_SET = 1024 * 1024;

export interface RemoteKeysOptions {
  readonly url: string;
  readonly fetch: FetchKeys;
  readonly clock: Clock;
  readonly report: Report;
}

/**
 * The public keys at a URL. Fetched when they are first needed, then after ten minutes or, at most once in 30 s, for a
 * token whose key is unknown; one fetch at a time, whoever asks. Throws `unavailable` when they cannot be had.
 */
export function createRemoteKeys({ url, fetch, clock, report }: RemoteKeysOptions): JWTVerifyGetKey {
  let keys: LocalJWKSet | null = null;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let failure: WireError | null = null;
  let underWay: Promise<void> | null = null;

  async function download(): Promise<LocalJWKSet> {
    const abort = new AbortController();
    const stop = clock.schedule(clock.now() + FETCH_MS, () =>
      abort.abort(new Error(`no answer in ${FETCH_MS} ms`)),
    );
    try {
      const { signal } = abort;
      const response = await fetch(url, {
        headers: { accept: 'application/json, application/jwk-set+json' },
        redirect: 'error',
        signal,
      });
      if (response.status !== 200) throw new Error(`the answer has status ${response.status}`);
      return createLocalJWKSet(JSON.parse(await textOf(response)));
    } finally {
      stop();
    }
  }

  async function load(): Promise<void> {
    triedAt = clock.now();
    try {
      keys = await download();
      fetchedAt = triedAt;
      failure = null;
    } catch (cause) {
      report('the keys of auth.jwt.jwksUrl', cause);
      failure = new WireError(
        'unavailable',
        'The keys that tokens are checked with cannot be fetched. Try again soon.',
        { cause },
      );
    } finally {
      underWay = null;
    }
  }

  /** Fetches, unless it failed a moment ago. What came of it is in `keys` and `failure`. */
  async function refresh(): Promise<void> {
    if (!underWay && failure && clock.now() - triedAt < RETRY_MS) return;
    underWay ??= load();
    await underWay;
  }

  async function current(): Promise<LocalJWKSet> {
    if (!keys || clock.now() - fetchedAt >= FRESH_MS) await refresh();
    if (keys && clock.now() - fetchedAt < KEPT_MS) return keys;
    throw failure ?? new Error('neither keys nor a failure');
  }

  return async (header, token) => {
    const known = await current();
    try {
      return await known(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const isFetched = keys !== known;
      if (!isFetched) {
        if (!underWay && !failure && clock.now() - triedAt < UNKNOWN_KEY_MS) throw error;
        await refresh();
        if (failure) throw failure;
      }
      return (await current())(header, token);
    }
  };
}

/** The body, unless it is longer than a key set is. */
async function textOf(response: Response): Promise<string> {
  if (!response.body) return '';
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length <= MAX_KEY_SET) continue;
    await reader.cancel();
    throw new Error(`the answer has more than ${MAX_KEY_SET} characters`);
  }
}
