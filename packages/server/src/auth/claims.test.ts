import { WireError } from '@continuo/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALL_SCOPES, type Scope } from '../core/access.ts';
import { type Claims, principalOfClaims } from './claims.ts';

const NOW = 1_700_000_000_000;
const CLAIMS = { sub: 'ann', exp: NOW / 1000 + 60 };
const USUAL: readonly Scope[] = ['read', 'write', 'publish'];

const scopesOf = (claims: Claims): readonly Scope[] => [
  ...principalOfClaims({ ...CLAIMS, ...claims }, NOW).scopes,
];

describe('the claims of a token', () => {
  it('L-10 say who it is, what it may do, and until when', () => {
    const claims = { user_id: 'ann', scopes: ['read'], agents: ['echo'], channels: ['news*'], jti: 't1' };
    expect(principalOfClaims({ ...CLAIMS, ...claims }, NOW)).toEqual({
      subject: 'ann',
      user: 'ann',
      scopes: new Set(['read']),
      patterns: { agents: ['echo'], channels: ['news*'] },
      tokenId: 't1',
      expiresAt: NOW + 60_000,
    });
  });

  it('L-10 that are only a subject and an end may read, write and publish everywhere', () => {
    expect(principalOfClaims(CLAIMS, NOW)).toEqual({
      subject: 'ann',
      user: 'ann',
      scopes: new Set(USUAL),
      patterns: { agents: ['*'], channels: ['*'] },
      expiresAt: NOW + 60_000,
    });
  });

  it.each<[string, Claims]>([
    ['sub', { sub: undefined }],
    ['sub', { sub: '' }],
    ['sub', { sub: 7 }],
    ['sub', { sub: 'x'.repeat(201) }],
    ['sub', { sub: 'a\ud83c' }],
    ['sub', { sub: 'a\u0000' }],
    ['user_id', { user_id: 'bob' }],
    ['user_id', { user_id: null }],
    ['user_id', { user_id: ['ann'] }],
    ['user_id', { user_id: { toString: 1 } }],
    ['jti', { jti: 7 }],
    ['exp', { exp: 'soon' }],
    ['exp', { exp: undefined }],
    ['scopes', { scopes: 'read' }],
    ['scopes', { scopes: [7] }],
    ['scopes', { scopes: null, scope: 'read' }],
    ['scope', { scope: ['read'] }],
    ['agents', { agents: '*' }],
    ['agents', { agents: [null] }],
    ['channels', { channels: {} }],
  ])('L-15 are refused by the name of the one that is wrong: %s in %j', (name, claims) => {
    expect(() => principalOfClaims({ ...CLAIMS, ...claims }, NOW)).toThrow(`"${name}"`);
  });

  it('L-10 may name the user with a number', () => {
    expect(principalOfClaims({ ...CLAIMS, sub: '7', user_id: 7 }, NOW).user).toBe('7');
  });

  it('L-15 that are any JSON make a principal or are refused, never anything else', () => {
    const names = ['sub', 'user_id', 'exp', 'scopes', 'scope', 'agents', 'channels', 'jti'];
    const claims = fc.dictionary(fc.constantFrom(...names), fc.jsonValue());
    fc.assert(
      fc.property(claims, (some) => {
        try {
          const { subject, user } = principalOfClaims({ ...CLAIMS, ...some }, NOW);
          expect([subject, user]).toEqual(some.sub === undefined ? ['ann', 'ann'] : [some.sub, some.sub]);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
          expect(error).toMatchObject({ code: 'unauthorized' });
        }
      }),
    );
  });
});

describe('the scopes of a token', () => {
  it.each<[Claims, readonly Scope[]]>([
    [{ scopes: ['admin', 'impersonate'] }, ['admin', 'impersonate']],
    [{ scopes: ['read', 'dance'] }, ['read']],
    [{ scopes: ['raed'] }, []],
    [{ scopes: [] }, []],
    [{ scopes: ['read'], scope: 'admin' }, ['read']],
    [{ scope: 'read admin' }, ['read', 'admin']],
    [{ scope: 'openid write' }, ['write']],
    [{ scope: 'openid profile' }, USUAL],
    [{ scope: '' }, USUAL],
    [{ scope: 'READ' }, USUAL],
    [{}, USUAL],
  ])('L-10 of %j are %j', (claims, scopes) => {
    expect(scopesOf(claims)).toEqual(scopes);
  });

  const words = fc.array(fc.oneof(fc.constantFrom<string>(...ALL_SCOPES), fc.string({ minLength: 1 })));

  it('L-10 are never more than `scopes` names', () => {
    fc.assert(
      fc.property(words, (names) => {
        expect(scopesOf({ scopes: names })).toEqual(ALL_SCOPES.filter((scope) => names.includes(scope)));
      }),
    );
  });

  it('L-10 are `admin` and `impersonate` only where `scope` names them', () => {
    fc.assert(
      fc.property(words, (names) => {
        const text = names.join(' ');
        for (const scope of ['admin', 'impersonate'] as const)
          expect(scopesOf({ scope: text }).includes(scope)).toBe(text.split(' ').includes(scope));
      }),
    );
  });
});

describe('the end of a token', () => {
  it('L-15 is the end of the tolerance for one that is over already', () => {
    const over = { ...CLAIMS, exp: NOW / 1000 - 2 };
    expect(principalOfClaims(over, NOW).expiresAt).toBe(NOW + 3_000);
  });

  it.each([1e300, Number.POSITIVE_INFINITY])('L-15 is a date also when it is %d', (exp) => {
    const { expiresAt } = principalOfClaims({ ...CLAIMS, exp }, NOW);
    expect(new Date(expiresAt ?? 0).getTime()).toBe(expiresAt);
  });
});
