import { createFakeClock } from '@continuo/testing';
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JSONWebKeySet,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { createVerifyJwt, type JwtOptions, type VerifyJwt } from './jwt.ts';

const SECRET = 'a secret of at least thirty-two bytes';
const clock = createFakeClock();
const NOW = clock.now() / 1000;
const GOOD: JWTPayload = { sub: 'ann', exp: NOW + 60, iss: 'https://issuer.example', aud: 'continuo' };
const KEY_SET = { issuer: 'https://issuer.example', audience: 'continuo' };

function verifierOf(jwt: JwtOptions): VerifyJwt {
  return createVerifyJwt({
    jwt,
    clock,
    report(problem, error) {
      throw new Error(problem, { cause: error });
    },
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
  });
}

interface Signer {
  readonly alg: string;
  readonly kid?: string;
  readonly key: CryptoKey | Uint8Array;
}

function sign(claims: Readonly<Record<string, unknown>>, { alg, kid, key }: Signer): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(key);
}

const bySecret: Signer = { alg: 'HS256', key: Buffer.from(SECRET) };

/** A token that nobody signed. */
function unsigned(header: object, claims: object, signature = ''): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.${signature}`;
}

async function refusal(verify: VerifyJwt, token: string): Promise<string> {
  const error = await verify(token).then(
    () => 'it was taken',
    (cause: unknown) => cause,
  );
  expect(error).toMatchObject({ code: 'unauthorized', details: {} });
  const { message } = error as Error;
  for (const part of token.split('.')) if (part.length > 3) expect(message).not.toContain(part);
  return message;
}

describe('a JWT that is signed with the secret', () => {
  const verify = verifierOf({ secret: SECRET });

  it('L-15 is whoever it names', async () => {
    expect(await verify(await sign(GOOD, bySecret))).toMatchObject({
      user: 'ann',
      expiresAt: (NOW + 60) * 1000,
    });
  });

  it.each<[string, object, string]>([
    [
      'that is over',
      { exp: NOW - 5 },
      `This token expired at ${new Date((NOW - 5) * 1000).toISOString()}: ask for a new one.`,
    ],
    ['that was over before there were clocks', { exp: -1e300 }, 'expired at -271821-04-20T00:00:00.000Z'],
    ['that is not good yet', { nbf: NOW + 6 }, 'not good before 2023-11-14T22:13:26.000Z: wait'],
    ['that is not good in any time', { nbf: 1e300 }, 'not good before +275760-09-13T00:00:00.000Z'],
    ['that never ends', { exp: undefined }, 'has no "exp": ask for one that has'],
    ['of nobody', { sub: undefined }, 'has no "sub"'],
    ['of two people', { user_id: 'bob' }, `"user_id" must be the same as "sub"`],
  ])('L-15 %s is refused', async (_what, claims, sentence) => {
    expect(await refusal(verify, await sign({ ...GOOD, ...claims }, bySecret))).toContain(sentence);
  });

  it.each<[string, object]>([
    ['that ended less than 5 s ago', { exp: NOW - 4 }],
    ['that is good in 5 s', { nbf: NOW + 5 }],
  ])('L-15 %s is taken: clocks differ', async (_what, claims) => {
    expect(await verify(await sign({ ...GOOD, ...claims }, bySecret))).toMatchObject({ user: 'ann' });
  });

  it('L-15 ends with the time that the gateway has, whatever the machine says', async () => {
    const later = createFakeClock();
    const { report } = { report: () => {} };
    const other = createVerifyJwt({ jwt: { secret: SECRET }, clock: later, report, fetch });
    const token = await sign(GOOD, bySecret);
    await later.advance(64_999);
    expect(await other(token)).toMatchObject({ expiresAt: later.now() + 1 });
    await later.advance(1);
    expect(await refusal(other, token)).toContain('expired');
  });

  it.each<[string, Signer]>([
    ['by another', { alg: 'HS256', key: Buffer.from(`${SECRET}!`) }],
    ['with another algorithm', { alg: 'HS512', key: Buffer.from(SECRET) }],
  ])('L-15 signed %s is refused', async (_what, signer) => {
    expect(await refusal(verify, await sign(GOOD, signer))).toMatch(/signature|signed with HS256/);
  });

  it.each([
    ['alg none', unsigned({ alg: 'none' }, GOOD)],
    ['alg None', unsigned({ alg: 'None' }, GOOD)],
    ['alg none and a signature', unsigned({ alg: 'none' }, GOOD, 'AAAA')],
    ['no alg', unsigned({}, GOOD)],
    ['no signature', unsigned({ alg: 'HS256' }, GOOD)],
    ['an unknown extension that it calls critical', unsigned({ alg: 'HS256', crit: ['b64x'] }, GOOD)],
    ['no JSON', 'e3t7.e3t7.AAAA'],
  ])('L-15 with %s is refused', async (_what, token) => {
    await refusal(verify, token);
  });

  it('L-15 is for this server and of that issuer where they are named', async () => {
    const strict = verifierOf({ secret: SECRET, ...KEY_SET });
    expect(await strict(await sign(GOOD, bySecret))).toMatchObject({ user: 'ann' });
    const lists = { ...GOOD, aud: ['other', 'continuo'] };
    expect(await strict(await sign(lists, bySecret))).toMatchObject({ user: 'ann' });
    for (const [claims, sentence] of [
      [{ aud: 'other' }, 'another audience'],
      [{ aud: undefined }, 'no "aud"'],
      [{ iss: 'https://evil.example' }, '"iss" is not the one that is trusted'],
      [{ iss: undefined }, 'no "iss"'],
    ] as const) {
      expect(await refusal(strict, await sign({ ...GOOD, ...claims }, bySecret))).toContain(sentence);
    }
  });
});

describe('a JWT that an issuer signed', () => {
  const signers = new Map<string, Signer>();
  let jwks: JSONWebKeySet;
  let verify: VerifyJwt;

  function signer(name: string): Signer {
    const found = signers.get(name);
    if (!found) throw new Error(`no signer ${name}`);
    return found;
  }

  beforeAll(async () => {
    const keys = await Promise.all(
      (
        [
          ['rsa', 'RS256'],
          ['ec', 'ES256'],
          ['ed', 'EdDSA'],
          ['rsa-2', 'RS256'],
          ['foreign', 'RS256'],
          ['long', 'RS512'],
        ] as const
      ).map(async ([kid, alg]) => {
        const { privateKey, publicKey } = await generateKeyPair(alg);
        signers.set(kid, { alg, kid, key: privateKey });
        return { ...(await exportJWK(publicKey)), kid };
      }),
    );
    jwks = { keys: keys.filter(({ kid }) => kid !== 'foreign') };
    verify = verifierOf({ ...KEY_SET, jwks });
  });

  it.each(['rsa', 'ec', 'ed'])('L-15 with the key %s is whoever it names', async (name) => {
    expect(await verify(await sign(GOOD, signer(name)))).toMatchObject({ user: 'ann' });
  });

  it('L-15 that does not say with which key is tried with each', async () => {
    for (const name of ['rsa', 'rsa-2']) {
      const { alg, key } = signer(name);
      expect(await verify(await sign(GOOD, { alg, key }))).toMatchObject({ user: 'ann' });
    }
    const { alg, key } = signer('foreign');
    expect(await refusal(verify, await sign(GOOD, { alg, key }))).toContain('signature');
    const { key: own } = signer('rsa');
    expect(await refusal(verify, await sign({ ...GOOD, exp: NOW - 60 }, { alg, key: own }))).toContain(
      'expired',
    );
  });

  it('L-15 with a foreign key is refused, whatever it says about its end', async () => {
    const { alg, kid, key } = signer('foreign');
    expect(await refusal(verify, await sign(GOOD, { alg, key, kid: 'unknown' }))).toContain('not known here');
    const posing = { alg, key, kid: 'rsa' };
    expect(await refusal(verify, await sign({ ...GOOD, exp: 1 }, posing))).toContain('signature');
    expect(kid).toBe('foreign');
  });

  it('L-15 with an algorithm that is not listed is refused', async () => {
    const token = await sign(GOOD, signer('long'));
    expect(await refusal(verify, token)).toContain('RS256 or ES256 or EdDSA');
    const wide = verifierOf({ ...KEY_SET, jwks, algorithms: ['RS512'] });
    expect(await wide(token)).toMatchObject({ user: 'ann' });
    expect(await refusal(wide, await sign(GOOD, signer('rsa')))).toContain('RS512');
  });

  it('L-15 is not taken for one with a secret, nor the other way round', async () => {
    const publicText = Buffer.from(JSON.stringify(jwks.keys[0]));
    for (const key of [Buffer.from(SECRET), publicText]) {
      const token = await sign(GOOD, { alg: 'HS256', kid: 'rsa', key });
      expect(await refusal(verify, token)).toContain('RS256');
    }
    expect(await refusal(verify, unsigned({ alg: 'none', kid: 'rsa' }, GOOD))).toContain('RS256');
    const secret = verifierOf({ secret: SECRET });
    expect(await refusal(secret, await sign(GOOD, signer('rsa')))).toContain('HS256');
  });

  it('L-15 that brings a key of its own is judged by ours', async () => {
    const { alg, key } = signer('foreign');
    const { publicKey } = await generateKeyPair('RS256');
    const jwk = await exportJWK(publicKey);
    const token = await new SignJWT(GOOD).setProtectedHeader({ alg, kid: 'rsa', jwk }).sign(key);
    await refusal(verify, token);
  });

  it('L-15 for another audience is refused', async () => {
    expect(await refusal(verify, await sign({ ...GOOD, aud: 'other' }, signer('ec')))).toContain(
      'another audience',
    );
  });
});

describe('options of JWTs that make no sense', () => {
  const jwks = { keys: [] };
  it.each<[string, object]>([
    ['exactly one of secret, jwksUrl and jwks, not 0', {}],
    ['not 2 of them', { ...KEY_SET, jwks, jwksUrl: 'https://a.example' }],
    ['not 2 of them', { ...KEY_SET, jwks, secret: SECRET }],
    ['auth.jwt.secret has at least 32 bytes, not 5', { secret: 'short' }],
    ['auth.jwt.secret must be text', { secret: undefined }],
    ['auth.jwt.issuer must be text', { jwks, audience: 'b' }],
    ['auth.jwt.audience must be text', { jwks, issuer: 'a' }],
    ['auth.jwt.audience must be text', { secret: SECRET, audience: '' }],
    ['auth.jwt.jwks is', { ...KEY_SET, jwks: [] }],
    ['auth.jwt.jwksUrl is an https URL', { ...KEY_SET, jwksUrl: 'http://a.example/keys' }],
    ['auth.jwt.jwksUrl is an https URL', { ...KEY_SET, jwksUrl: 'keys' }],
    ['auth.jwt.jwksUrl is an https URL', { ...KEY_SET, jwksUrl: 'file:///keys' }],
    ['not "HS256"', { ...KEY_SET, jwks, algorithms: ['RS256', 'HS256'] }],
    ['not "none"', { ...KEY_SET, jwks, algorithms: ['none'] }],
    ['auth.jwt.algorithms', { ...KEY_SET, jwks, algorithms: [] }],
  ])('are refused: %s', (sentence, jwt) => {
    expect(() => verifierOf(jwt as JwtOptions)).toThrow(sentence);
  });

  it.each(['https://a.example/keys', 'http://127.0.0.1:9/keys', 'http://localhost/k', 'http://[::1]:9/'])(
    'are not a key set at %s',
    (jwksUrl) => {
      expect(() => verifierOf({ ...KEY_SET, jwksUrl })).not.toThrow();
    },
  );
});
