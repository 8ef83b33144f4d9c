import { createFakeClock } from '@continuo/testing';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { ALL_SCOPES } from '../core/access.ts';
import {
  type Authenticate,
  type AuthOptions,
  bearerOf,
  createAuthenticate,
  fingerprintOf,
  isConfigured,
} from './authenticate.ts';

const SECRET = 'a secret of at least thirty-two bytes';
const JWT = { secret: SECRET };

function authenticateBy(auth: AuthOptions): Authenticate {
  return createAuthenticate({
    ...auth,
    clock: createFakeClock(),
    report(problem, error) {
      throw new Error(problem, { cause: error });
    },
  });
}

async function signed(subject: string): Promise<string> {
  const exp = createFakeClock().now() / 1000 + 60;
  const claims = new SignJWT({ sub: subject, exp }).setProtectedHeader({ alg: 'HS256' });
  return claims.sign(Buffer.from(SECRET));
}

describe('who is asking', () => {
  it('is everybody the same where no token is required', async () => {
    const authenticate = authenticateBy({});
    for (const credential of [undefined, '', 'anything']) {
      expect(await authenticate(credential)).toMatchObject({
        subject: 'local',
        user: 'local',
        scopes: new Set(ALL_SCOPES),
      });
    }
  });

  it('L-10 is whoever the token belongs to, with the rights it has', async () => {
    const authenticate = authenticateBy({
      tokens: [
        { token: 'a' },
        { token: 'b', subject: 'bob', scopes: ['read'], agents: ['echo'], channels: ['news*'] },
      ],
    });
    expect(await authenticate('a')).toEqual({
      subject: 'operator',
      user: 'operator',
      scopes: new Set(ALL_SCOPES),
      patterns: { agents: ['*'], channels: ['*'] },
    });
    expect(await authenticate('b')).toEqual({
      subject: 'bob',
      user: 'bob',
      scopes: new Set(['read']),
      patterns: { agents: ['echo'], channels: ['news*'] },
    });
  });

  it.each([
    ['missing', undefined, 'A token is required', true],
    ['empty', '', 'A token is required', true],
    ['wrong', 'c', 'not valid here', undefined],
    ['only the beginning of one', 'secre', 'not valid here', undefined],
    ['more than one', 'secrets', 'not valid here', undefined],
  ])('L-15 is nobody when the token is %s', async (_what, credential, message, missing) => {
    const authenticate = authenticateBy({ tokens: [{ token: 'secret' }] });
    await expect(authenticate(credential)).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining(message),
      details: missing ? { missing } : {},
    });
  });
});

describe('tokens and JWTs side by side', () => {
  const both = { tokens: [{ token: 'a' }, { token: 'x.y.z', subject: 'dotty' }], jwt: JWT };

  it('L-15 are both taken', async () => {
    const authenticate = authenticateBy(both);
    expect(await authenticate('a')).toMatchObject({ user: 'operator' });
    expect(await authenticate('x.y.z')).toMatchObject({ user: 'dotty' });
    expect(await authenticate(await signed('ann'))).toMatchObject({ user: 'ann' });
  });

  it.each([
    ['neither', 'b', 'Ask the operator'],
    ['a JWT without its signature', 'e30.e30.', 'can be read'],
    ['a text of many parts', 'a.b.c.d', 'Ask the operator'],
    ['longer than any token', `${'x'.repeat(16_384)}.y.z`, 'Ask the operator'],
  ])('L-15 %s is refused', async (_what, credential, sentence) => {
    await expect(authenticateBy(both)(credential)).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringMatching(sentence),
      details: {},
    });
  });

  it('L-15 a JWT is nobody where none is taken', async () => {
    const authenticate = authenticateBy({ tokens: [{ token: 'a' }] });
    await expect(authenticate(await signed('ann'))).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('L-15 whatever is presented, the answer is `unauthorized` and does not repeat it', async () => {
    const authenticate = authenticateBy(both);
    const part = fc.oneof(fc.base64String(), fc.string(), fc.json().map(base64));
    const text = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));
    await fc.assert(
      fc.asyncProperty(text, async (credential) => {
        fc.pre(!['a', 'x.y.z'].includes(credential));
        const refused = authenticate(credential);
        await expect(refused).rejects.toMatchObject({ code: 'unauthorized' });
        if (credential.length > 20) await expect(refused).rejects.not.toThrow(credential);
      }),
    );
  });
});

describe('the options of authentication', () => {
  it.each<[AuthOptions, boolean]>([
    [{}, false],
    [{ tokens: [] }, false],
    [{ tokens: [{ token: 'a' }] }, true],
    [{ jwt: JWT }, true],
    [{ tokens: [], jwt: JWT }, true],
  ])('L-16 %j require a token: %s', (auth, required) => {
    expect(isConfigured(auth)).toBe(required);
  });

  it.each(['', 'x'.repeat(16_385)])('refuse a token that could never be presented', (token) => {
    expect(() => authenticateBy({ tokens: [{ token: 'a' }, { token }] })).toThrow('auth.tokens[1].token');
  });

  it('P-12 have another fingerprint when anything of them is another', () => {
    const tokens = [{ token: 'a' }];
    const options: readonly AuthOptions[] = [
      {},
      { tokens },
      { tokens: [{ token: 'a', scopes: ['read'] }] },
      { jwt: JWT },
      { tokens, jwt: JWT },
      { jwt: { secret: `${SECRET}!` } },
      { jwt: { secret: SECRET, audience: 'b' } },
      { jwt: { jwksUrl: 'https://a.example/keys', issuer: 'a', audience: 'b' } },
      { jwt: { jwks: { keys: [] }, issuer: 'a', audience: 'b' } },
      { jwt: { jwks: { keys: [] }, issuer: 'a', audience: 'b', algorithms: ['RS256'] } },
    ];
    const prints = options.map(fingerprintOf);
    expect(new Set(prints).size).toBe(options.length);
    expect(fingerprintOf({ tokens: [{ token: 'a' }] })).toBe(prints[1]);
    for (const print of prints) expect(print).not.toContain(SECRET);
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64url');
}

describe('the Authorization header', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer abc', 'abc'],
    ['Bearer   abc', 'abc'],
    ['Bearer a.b-c_d~e+f/g=', 'a.b-c_d~e+f/g='],
    ['Basic abc', undefined],
    ['Bearer', undefined],
    ['Bearer a b', undefined],
    ['', undefined],
    [null, undefined],
    [undefined, undefined],
  ])('L-15 "%s" holds the token %s', (header, token) => {
    expect(bearerOf(header)).toBe(token);
  });

  it('L-15 gives back any token that has no blank, and nothing of other schemes', () => {
    const token = fc.string({ minLength: 1 }).filter((text) => !/\s/.test(text));
    fc.assert(
      fc.property(token, fc.nat(5), (text, blanks) => {
        expect(bearerOf(`Bearer ${' '.repeat(blanks)}${text}`)).toBe(text);
        expect(bearerOf(`Basic ${text}`)).toBeUndefined();
        expect(bearerOf(text)).toBeUndefined();
      }),
    );
  });

  it('L-15 takes no time, however long it is', () => {
    expect(bearerOf(`Bearer ${' '.repeat(1_000_000)}`)).toBeUndefined();
  });
});
