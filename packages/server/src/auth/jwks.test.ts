import { createFakeClock } from '@continuo/testing';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRemoteKeys, type FetchKeys } from './jwks.ts';

const URL = 'https://issuer.example/keys';
const MINUTE = 60_000;

let first: JWK;
let second: JWK;
beforeAll(async () => {
  const jwk = async (kid: string): Promise<JWK> => {
    const { publicKey } = await generateKeyPair('ES256');
    return { ...(await exportJWK(publicKey)), kid };
  };
  [first, second] = await Promise.all([jwk('one'), jwk('two')]);
});

type Answer = () => Response | Promise<Response>;
const keySet = (...keys: readonly JWK[]): Answer => {
  return () => Response.json({ keys });
};
const broken: Answer = () => Promise.reject(new Error('nobody is there'));

/** Keys at a URL that answers as it is told to. */
function openKeys(answer: Answer) {
  const clock = createFakeClock();
  const fetched: Parameters<FetchKeys>[] = [];
  const problems: string[] = [];
  const issuer = { answer };
  const keys = createRemoteKeys({
    url: URL,
    clock,
    fetch: async (...asked) => {
      fetched.push(asked);
      return issuer.answer();
    },
    report: (problem) => problems.push(problem),
  });
  /** `ok`, or the code of what is thrown. */
  async function ask(kid: string): Promise<string> {
    try {
      await keys({ alg: 'ES256', kid }, { payload: '', signature: '' });
      return 'ok';
    } catch (error) {
      return String((error as { code?: unknown }).code);
    }
  }
  return { clock, fetched, problems, issuer, ask };
}

const UNKNOWN = 'ERR_JWKS_NO_MATCHING_KEY';

describe('the keys at a URL', () => {
  it('are fetched when they are first needed, and once for all who ask', async () => {
    const { ask, fetched } = openKeys(keySet(first, second));
    expect(fetched).toHaveLength(0);
    expect(await Promise.all([ask('one'), ask('two'), ask('one')])).toEqual(['ok', 'ok', 'ok']);
    expect(await ask('one')).toBe('ok');
    expect(fetched).toHaveLength(1);
    expect(fetched[0]).toMatchObject([URL, { redirect: 'error' }]);
  });

  it('are fetched again after ten minutes', async () => {
    const { ask, fetched, clock, issuer } = openKeys(keySet(first));
    await ask('one');
    issuer.answer = keySet(second);
    await clock.advance(10 * MINUTE - 1);
    expect(await ask('one')).toBe('ok');
    await clock.advance(1);
    expect(await ask('one')).toBe(UNKNOWN);
    expect(await ask('two')).toBe('ok');
    expect(fetched).toHaveLength(2);
  });

  it('are fetched again for a key that is new, at most once in 30 s', async () => {
    const { ask, fetched, clock, issuer } = openKeys(keySet(first));
    await ask('one');
    issuer.answer = keySet(first, second);
    await clock.advance(29_999);
    expect(await ask('two')).toBe(UNKNOWN);
    expect(fetched).toHaveLength(1);
    await clock.advance(1);
    expect(await Promise.all([ask('two'), ask('two'), ask('three')])).toEqual(['ok', 'ok', UNKNOWN]);
    expect(fetched).toHaveLength(2);
    for (let asked = 0; asked < 100; asked++) expect(await ask(`made up ${asked}`)).toBe(UNKNOWN);
    expect(fetched).toHaveLength(2);
  });
});

describe('keys that cannot be fetched', () => {
  it.each<[string, Answer]>([
    ['nobody answers', broken],
    ['the answer is an error', () => new Response('no', { status: 500 })],
    ['the answer is no JSON', () => new Response('<html>')],
    ['the answer is empty', () => new Response(null)],
    ['the answer is no key set', () => Response.json([])],
    ['the answer does not end', () => new Response(new ReadableStream({ pull: fill }))],
  ])('are `unavailable`, not `unauthorized`: %s', async (_what, answer) => {
    const { ask, problems } = openKeys(answer);
    expect(await ask('one')).toBe('unavailable');
    expect(problems).toEqual(['the keys of auth.jwt.jwksUrl']);
  });

  it('are given up after 5 s', async () => {
    const { ask, clock, fetched, issuer } = openKeys(() => new Promise(() => {}));
    issuer.answer = () =>
      new Promise((_resolve, reject) => {
        fetched[0]?.[1].signal.addEventListener('abort', () => reject(new Error('given up')));
      });
    const asked = ask('one');
    await clock.advance(4_999);
    expect(fetched[0]?.[1].signal.aborted).toBe(false);
    await clock.advance(1);
    expect(await asked).toBe('unavailable');
    expect(clock.timers).toBe(0);
  });

  it('are tried again after a second, not before', async () => {
    const { ask, clock, fetched, issuer, problems } = openKeys(broken);
    expect(await Promise.all([ask('one'), ask('one')])).toEqual(['unavailable', 'unavailable']);
    issuer.answer = keySet(first);
    await clock.advance(999);
    expect(await ask('one')).toBe('unavailable');
    expect([fetched.length, problems.length]).toEqual([1, 1]);
    await clock.advance(1);
    expect(await ask('one')).toBe('ok');
  });

  it('serve an hour when they were fetched before, but no key that is unknown', async () => {
    const { ask, clock, issuer } = openKeys(keySet(first));
    await ask('one');
    issuer.answer = broken;
    await clock.advance(10 * MINUTE);
    expect(await ask('one')).toBe('ok');
    expect(await ask('two')).toBe('unavailable');
    await clock.advance(50 * MINUTE - 1);
    expect(await ask('one')).toBe('ok');
    await clock.advance(1);
    expect(await ask('one')).toBe('unavailable');
    issuer.answer = keySet(second);
    await clock.advance(1_000);
    expect([await ask('one'), await ask('two')]).toEqual([UNKNOWN, 'ok']);
  });
});

function fill(controller: ReadableStreamDefaultController): void {
  controller.enqueue(new Uint8Array(100_000));
}
