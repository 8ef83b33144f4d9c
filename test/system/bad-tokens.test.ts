import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Bystander, openBystander } from './bystander.ts';
import { type JwtServerProcess, startJwtServer } from './jwt-server-process.ts';
import { openStranger, rawHttp } from './stranger.ts';

/** The same as in bad-input.test.ts for tokens and for slow clients, on servers whose options the command does not have. */

describe('bad tokens and slow clients', () => {
  const SECRET = 'a secret of at least thirty-two bytes';
  const HANDSHAKE_MS = 1_000;
  const KEY_SET = { issuer: 'https://issuer.example', audience: 'continuo' };
  const seconds = (): number => Math.floor(Date.now() / 1000);
  const presented: string[] = [];
  const servers = new Map<'secret' | 'keys', JwtServerProcess>();
  const bystanders: Bystander[] = [];
  let issuer: CryptoKey;
  let foreigner: CryptoKey;
  let publicJwk: object;

  const serverBy = (name: 'secret' | 'keys'): JwtServerProcess => {
    const server = servers.get(name);
    if (!server) throw new Error(`no server ${name}`);
    return server;
  };
  const claimsOf = (more: object = {}): object => ({
    sub: 'ann',
    iss: KEY_SET.issuer,
    aud: KEY_SET.audience,
    exp: seconds() + 600,
    ...more,
  });
  const bytes = (text: string): Buffer => Buffer.from(text);

  function sign(
    claims: object,
    key: CryptoKey | Buffer,
    header: Partial<JWTHeaderParameters> = {},
  ): Promise<string> {
    const alg = Buffer.isBuffer(key) ? 'HS256' : 'RS256';
    const kid = Buffer.isBuffer(key) ? {} : { kid: 'k1' };
    return new SignJWT({ ...claims }).setProtectedHeader({ alg, ...kid, ...header }).sign(key);
  }

  function unsigned(header: object): string {
    const part = (value: object): string => bytes(JSON.stringify(value)).toString('base64url');
    return `${part(header)}.${part(claimsOf())}.`;
  }

  beforeAll(async () => {
    const [own, foreign] = await Promise.all([
      generateKeyPair('RS256', { extractable: true }),
      generateKeyPair('RS256'),
    ]);
    issuer = own.privateKey;
    foreigner = foreign.privateKey;
    publicJwk = { ...(await exportJWK(own.publicKey)), kid: 'k1' };
    const jwks = { keys: [{ ...(await exportJWK(own.publicKey)), kid: 'k1' }] };
    const [bySecret, byKeys] = await Promise.all([
      startJwtServer({ jwt: { secret: SECRET }, handshakeMs: HANDSHAKE_MS }),
      startJwtServer({ jwt: { jwks, ...KEY_SET }, handshakeMs: HANDSHAKE_MS }),
    ]);
    servers.set('secret', bySecret).set('keys', byKeys);
    bystanders.push(
      await openBystander({
        port: bySecret.port,
        token: await sign(claimsOf({ sub: 'bob' }), bytes(SECRET)),
      }),
      await openBystander({ port: byKeys.port, token: await sign(claimsOf({ sub: 'bob' }), issuer) }),
    );
  });
  afterAll(async () => {
    for (const server of servers.values()) await server.kill();
  });
  afterEach(async () => {
    for (const server of servers.values()) expect(server.isAlive).toBe(true);
    for (const bystander of bystanders) await bystander.check();
  });

  it.each<['secret' | 'keys', string, () => string | Promise<string>, RegExp]>([
    ['secret', 'alg none', () => unsigned({ alg: 'none' }), /HS256/],
    [
      'secret',
      'expired',
      () => sign(claimsOf({ exp: seconds() - 60 }), bytes(SECRET)),
      /expired at \d{4}-.*Z: ask/,
    ],
    [
      'secret',
      'not good yet',
      () => sign(claimsOf({ nbf: seconds() + 60 }), bytes(SECRET)),
      /not good before/,
    ],
    ['secret', 'of another secret', () => sign(claimsOf(), bytes(`${SECRET}!`)), /signature/],
    ['secret', 'signed with a key', () => sign(claimsOf(), issuer), /HS256/],
    ['secret', 'without an end', () => sign(claimsOf({ exp: undefined }), bytes(SECRET)), /no "exp"/],
    [
      'secret',
      'of a polluted nobody',
      () => sign({ __proto__: claimsOf() }, bytes(SECRET)),
      /no "(sub|exp)"/,
    ],
    ['secret', 'of half a pair', () => sign(claimsOf({ sub: '\ud800' }), bytes(SECRET)), /"sub"/],
    ['secret', 'no token at all', () => 'guess', /not valid here/],
    ['secret', 'huge', () => `${'x'.repeat(60_000)}.y.z`, /not valid here/],
    ['keys', 'alg none', () => unsigned({ alg: 'none', kid: 'k1' }), /RS256/],
    ['keys', 'expired', () => sign(claimsOf({ exp: seconds() - 60 }), issuer), /expired at/],
    ['keys', 'of a foreign key', () => sign(claimsOf(), foreigner), /signature/],
    ['keys', 'of an unknown key', () => sign(claimsOf(), foreigner, { kid: 'k2' }), /not known here/],
    ['keys', 'for another audience', () => sign(claimsOf({ aud: 'other' }), issuer), /audience/],
    ['keys', 'of another issuer', () => sign(claimsOf({ iss: 'https://evil.example' }), issuer), /"iss"/],
    ['keys', 'a secret', () => sign(claimsOf(), bytes(SECRET)), /RS256/],
    ['keys', 'the public key as a secret', () => sign(claimsOf(), bytes(JSON.stringify(publicJwk))), /RS256/],
  ])('L-15 by %s, a token that is %s gets 4401, or 401', async (by, _what, make, sentence) => {
    const { port } = serverBy(by);
    const token = await make();
    presented.push(token);
    const stranger = await openStranger({ port });
    stranger.send(JSON.stringify({ type: 'join', agent_id: 'echo', token }));
    const answer = await stranger.next();
    expect(answer).toMatchObject({ code: 'unauthorized', message: expect.stringMatching(sentence) });
    expect(JSON.stringify(answer)).not.toContain(token);
    expect(await stranger.closed()).toBe(4401);
    if (token.length > 8_000) return; // a header has no room for it
    const inQuery = await openStranger({ port, path: `/?token=${token}` });
    inQuery.send('{"type":"hello","agent_id":"echo"}');
    expect(await inQuery.next()).toMatchObject({ type: 'hello_error', code: 'auth_unauthorized' });
    expect(await inQuery.closed()).toBe(4401);
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`http://127.0.0.1:${port}/agents`, { headers })).status).toBe(401);
  });

  it('L-15 a good token is taken, until it ends', async () => {
    const token = await sign(claimsOf({ exp: seconds() + 2 }), issuer);
    const stranger = await openStranger({ port: serverBy('keys').port });
    stranger.send(JSON.stringify({ type: 'join', agent_id: 'echo', token }));
    expect(await stranger.next()).toMatchObject({ type: 'joined' });
    expect(await stranger.closed()).toBe(4401);
  });

  const SLOW = 'GET /?token=hidden HTTP/1.1\r\nHost: 127.0.0.1\r\nX: '.padEnd(10_000, 'x');
  it.each([
    ['says nothing', { text: '' }],
    ['sends a byte now and then', { text: SLOW, everyMs: 100 }],
    ['sends half an upgrade', { text: 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n' }],
  ])('G-2 a client that %s is cut with 408', async (_what, slow) => {
    const { port } = serverBy('secret');
    const many = Array.from({ length: 50 }, () => rawHttp({ port, ...slow, withinMs: 4_000 }));
    for (const { status, ms } of await Promise.all(many)) {
      expect(status).toBe(408);
      expect(ms).toBeGreaterThan(HANDSHAKE_MS - 100);
    }
  });

  it('G-2 a socket that says nothing, or nothing valid, is closed with 4408', async () => {
    const { port } = serverBy('secret');
    const [silent, noisy] = [await openStranger({ port }), await openStranger({ port })];
    for (let at = 0; at < 5; at++) {
      noisy.send('{"type":"ping"}');
      await sleep(100);
    }
    expect([await silent.closed(), await noisy.closed()]).toEqual([4408, 4408]);
  });

  it('no token was told to anyone, and the stories were told whole', async () => {
    for (const bystander of bystanders.splice(0)) expect(await bystander.finish()).toBeGreaterThan(0);
    expect(presented.length).toBeGreaterThan(10);
    for (const { said } of servers.values()) expect(said).toBe('');
  });
});
