import { createFakeClock } from '@continuo/testing';
import { type JWTPayload, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { ALICE, type Asked, openGateway, type TestGateway, TWO_PEOPLE } from '../test/gateway.ts';
import type { TestSocket } from '../test/socket.ts';

/** Authentication as the doors have it: one `authenticate()` for sockets, streams and polls. */

const SECRET = 'a secret of at least thirty-two bytes';
const AUTH = { jwt: { secret: SECRET } };

function tokenOf(claims: JWTPayload, secret = SECRET): Promise<string> {
  const exp = createFakeClock().now() / 1000 + 60;
  const token = new SignJWT({ exp, ...claims }).setProtectedHeader({ alg: 'HS256' });
  return token.sign(Buffer.from(secret));
}

/** Lets the platform's cryptography and network finish, which take turns of the event loop but none of the clock's time. */
async function eventually({ clock }: TestGateway, holds: () => boolean): Promise<void> {
  while (!holds()) await clock.settle();
}

async function statusOf(world: TestGateway, asked: Asked): Promise<number> {
  await eventually(world, () => asked.answered);
  return (await asked.answer()).status;
}

const agentsStatus = (world: TestGateway, token: string): Promise<number> =>
  statusOf(world, world.ask('GET', '/agents', { token }));

async function joined(world: TestGateway, token: string, frame: object = {}): Promise<TestSocket> {
  const socket = await world.join({ token, ...frame });
  await eventually(world, () => socket.frames.length > 0);
  return socket;
}

describe('a JWT at the doors', () => {
  it('L-10 owns what it makes', async () => {
    const world = openGateway({ auth: AUTH });
    const [ann, bob] = [await tokenOf({ sub: 'ann' }), await tokenOf({ sub: 'bob' })];
    const first = await joined(world, ann);
    const { session_id } = first.last('joined');
    expect((await joined(world, await tokenOf({ sub: 'ann' }), { session_id })).last('joined')).toMatchObject(
      {
        resumed: true,
      },
    );
    expect((await joined(world, bob, { session_id })).last('joined')).toMatchObject({ resumed: false });
    expect(await agentsStatus(world, ann)).toBe(200);
  });

  it('L-10 may do what its scopes and patterns say', async () => {
    const world = openGateway({ auth: AUTH });
    for (const claims of [{ scopes: ['read'] }, { agents: ['sl*'] }]) {
      const socket = await joined(world, await tokenOf({ sub: 'ann', ...claims }));
      expect(socket.last('error')).toMatchObject({ code: 'forbidden' });
      expect(socket.closed).toMatchObject({ code: 4403 });
    }
    const slow = await joined(world, await tokenOf({ sub: 'ann', agents: ['sl*'] }), { agent_id: 'slow' });
    expect(slow.last('joined')).toMatchObject({ agent_id: 'slow' });
  });

  it('L-15 ends its connection when it ends', async () => {
    const world = openGateway({ auth: AUTH });
    const socket = await joined(world, await tokenOf({ sub: 'ann' }));
    await world.clock.advance(59_999);
    expect(socket.closed).toBeNull();
    await world.clock.advance(1);
    expect(socket.closed).toMatchObject({ code: 4401 });
  });

  it('L-15 that is over gets a sentence, and 4401 or 401', async () => {
    const world = openGateway({ auth: AUTH });
    const token = await tokenOf({ sub: 'ann', exp: world.clock.now() / 1000 - 60 });
    const socket = await joined(world, token);
    expect(socket.last('error')).toMatchObject({
      code: 'unauthorized',
      message: 'This token expired at 2023-11-14T22:12:20.000Z: ask for a new one.',
    });
    expect(socket.closed).toMatchObject({ code: 4401 });
    expect(await agentsStatus(world, token)).toBe(401);
  });

  it('P-12 keeps its poll token as long as the secret is the same', async () => {
    const world = openGateway({ auth: AUTH });
    const token = await tokenOf({ sub: 'ann' });
    const registered = world.ask('POST', '/api/push/poll/register', { body: { client_id: 'device' }, token });
    await eventually(world, () => registered.answered);
    const { poll_token } = (await registered.answer()).body as { poll_token: string };
    async function poll(server: TestGateway): Promise<number> {
      const asked = server.ask('POST', '/api/push/poll/messages', { body: { poll_token, timeout: 1 } });
      await world.clock.advance(1_000);
      return statusOf(server, asked);
    }
    expect(await poll(openGateway({ beside: world, auth: AUTH }))).toBe(200);
    const other = { jwt: { secret: `${SECRET}, another` } };
    expect(await poll(openGateway({ beside: world, auth: other }))).toBe(401);
  });

  it('L-15 ends the stream, and the poll, that it was given for', async () => {
    const world = openGateway({ auth: AUTH });
    const token = await tokenOf({ sub: 'ann', exp: world.clock.now() / 1000 + 20 });
    const opening = world.ask('GET', `/api/push/sse?channel=news&token=${token}`);
    const registering = world.ask('POST', '/api/push/poll/register', { token });
    await eventually(world, () => opening.answered && registering.answered);
    const stream = await opening.pushStream();
    const { poll_token } = (await registering.answer()).body as { poll_token: string };
    const parked = world.ask('POST', '/api/push/poll/messages', { body: { poll_token } });
    await world.clock.advance(19_999);
    expect([stream.ended, parked.answered]).toEqual([false, false]);
    await world.clock.advance(1);
    expect([stream.ended, parked.answered]).toEqual([true, true]);
    expect(
      await statusOf(world, world.ask('POST', '/api/push/poll/messages', { body: { poll_token } })),
    ).toBe(401);
  });

  it('L-15 that cannot be checked is `unavailable`: 4503 or 503', async () => {
    const jwksUrl = 'http://127.0.0.1:1/keys';
    const world = openGateway({ auth: { jwt: { jwksUrl, issuer: 'a', audience: 'b' } } });
    const token = 'eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AAAA';
    const socket = await joined(world, token);
    expect(socket.last('error')).toMatchObject({ code: 'unavailable' });
    expect(socket.closed).toMatchObject({ code: 4503 });
    expect(await agentsStatus(world, token)).toBe(503);
    expect(world.problems.splice(0)).toHaveLength(1);
  });
});

describe('the options of authentication', () => {
  it.each([
    [{}, false],
    [{ auth: {} }, false],
    [{ auth: AUTH }, true],
    [{ auth: { tokens: TWO_PEOPLE } }, true],
    [{ tokens: TWO_PEOPLE }, true],
  ])('L-16 are what decides whether a token is required: %j', async (options, required) => {
    const { get, gateway } = openGateway(options);
    expect((await get('/info')).body).toMatchObject({ token_required: required });
    const refused = gateway.listen({ port: 0, host: '192.0.2.1' }); // an address that no machine has
    await expect(refused).rejects.toThrow(required ? 'EADDRNOTAVAIL' : 'without a token, or auth.jwt');
  });

  it('L-15 take the tokens of both places', async () => {
    const [first, second] = TWO_PEOPLE;
    if (!first || !second) throw new Error('two people');
    const { get } = openGateway({ tokens: [first], auth: { tokens: [second] } });
    expect((await get('/agents', { token: ALICE })).status).toBe(200);
    expect((await get('/agents', { token: second.token })).status).toBe(200);
    expect((await get('/agents', { token: 'another' })).status).toBe(401);
  });

  it('are refused with a sentence', () => {
    expect(() => openGateway({ auth: { jwt: { secret: 'short' } } })).toThrow('auth.jwt.secret');
  });
});
