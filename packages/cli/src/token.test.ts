import { jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { parseDuration } from './duration.ts';
import { signToken, TOKEN_DEFAULTS, type TokenOptions } from './token.ts';

const SECRET = '0123456789abcdef0123456789abcdef';
const NOW = 1_763_600_000_500;

async function claimsOf(options: Partial<TokenOptions>): Promise<Record<string, unknown>> {
  const token = await signToken({ ...TOKEN_DEFAULTS, sub: 'ann', ...options }, { secret: SECRET, now: NOW });
  const { payload, protectedHeader } = await jwtVerify(token, new TextEncoder().encode(SECRET), {
    currentDate: new Date(NOW),
  });
  expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'JWT' });
  return payload;
}

describe('a token', () => {
  it('says whose it is, what it allows and until when', async () => {
    expect(await claimsOf({})).toEqual({
      sub: 'ann',
      user_id: 'ann',
      scopes: ['read', 'write', 'publish'],
      agents: ['*'],
      channels: ['*'],
      jti: expect.stringMatching(/^[\da-f-]{36}$/),
      iat: 1_763_600_000,
      exp: 1_763_603_600,
    });
  });

  it('takes scopes, patterns and a time', async () => {
    const claims = await claimsOf({
      scopes: 'read, admin',
      agents: 'echo,story*',
      channels: 'news',
      ttl: '2d',
    });
    expect(claims).toMatchObject({
      scopes: ['read', 'admin'],
      agents: ['echo', 'story*'],
      channels: ['news'],
      exp: 1_763_600_000 + 2 * 86_400,
    });
  });

  it('has an id of its own every time', async () => {
    expect((await claimsOf({})).jti).not.toBe((await claimsOf({})).jti);
  });

  it.each<[Partial<TokenOptions>, string]>([
    [{ sub: '' }, '--sub is "": it must be printable text'],
    [{ sub: 'a\nb' }, '--sub is'],
    [{ scopes: 'read,fly' }, '--scopes has "fly": there are read, write, publish, admin, impersonate.'],
    [{ scopes: 'read,,write' }, '--scopes is "read,,write": give names with a comma between them.'],
    [{ agents: 'a*b' }, '--agents has "a*b": a "*" stands at the end alone.'],
    [{ channels: '' }, '--channels is "": give names'],
    [{ ttl: 'soon' }, '--ttl is "soon": write it as 90s, 15m, 1h or 30d.'],
  ])('is not signed for %j', async (options, sentence) => {
    await expect(claimsOf(options)).rejects.toThrow(sentence);
  });
});

it.each([
  ['90s', 90],
  ['15m', 900],
  ['1h', 3_600],
  ['30d', 2_592_000],
  ['0s', null],
  ['1', null],
  ['h', null],
  ['1.5h', null],
  ['-1h', null],
  ['1h30m', null],
  ['9999999999d', null],
])('%s is %s seconds', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});
