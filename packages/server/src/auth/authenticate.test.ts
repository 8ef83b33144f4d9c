import { describe, expect, it } from 'vitest';
import { ALL_SCOPES } from '../core/access.ts';
import { bearerOf, createAuthenticate } from './authenticate.ts';

describe('who is asking', () => {
  it('is everybody the same where no token is required', async () => {
    const authenticate = createAuthenticate([]);
    for (const credential of [undefined, '', 'anything']) {
      expect(await authenticate(credential)).toMatchObject({
        subject: 'local',
        user: 'local',
        scopes: new Set(ALL_SCOPES),
      });
    }
  });

  it('L-10 is whoever the token belongs to, with the rights it has', async () => {
    const authenticate = createAuthenticate([
      { token: 'a' },
      { token: 'b', subject: 'bob', scopes: ['read'], agents: ['echo'], channels: ['news*'] },
    ]);
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
    const authenticate = createAuthenticate([{ token: 'secret' }]);
    await expect(authenticate(credential)).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining(message),
      details: missing ? { missing } : {},
    });
  });
});

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
});
