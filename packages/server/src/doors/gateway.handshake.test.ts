import { MAX_PAYLOAD } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { interceptStore } from '../../test/intercept.ts';
import { only } from '../../test/pick.ts';
import { StoreError } from '../ports.ts';

/** Tokens whose rights end somewhere. */
const LIMITED = [
  { token: ALICE, subject: 'alice', agents: ['ec*'] },
  { token: BOB, subject: 'bob', scopes: ['read'] as const },
];

describe('join', () => {
  it('G-3 is answered by one frame that restores everything', async () => {
    const { join, clock } = openGateway();
    await clock.advance(12_500);
    const client = await join();
    const joined = only(client.take());
    expect(joined).toMatchObject({
      type: 'joined',
      agent_id: 'echo',
      resumed: false,
      cursor: 0,
      sequence: 0,
      head: 0,
      oldest_cursor: 1,
      resync_required: false,
      protocol_version: 1,
      presence: [{ status: 'online', channels: [], metadata: {} }],
      presence_total: 1,
      health: { status: 'ok', uptime: 12.5, clients: 1 },
      policy: { max_payload: MAX_PAYLOAD, max_buffered_bytes: 524_288, heartbeat_ms: 30_000 },
      pending: [],
      turn: null,
    });
  });

  it('G-3 says which turn is under way', async () => {
    const { join, clock } = openGateway();
    const client = await join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'hi', message_id: 'm7' });
    const startedAt = clock.now() / 1000;
    await clock.advance(500);
    const other = await join({ agent_id: 'slow', session_id: client.last('joined').session_id });
    expect(other.last('joined').turn).toEqual({ message_id: 'm7', started_at: startedAt });
    await clock.advance(2_000);
    const late = await join({ agent_id: 'slow', session_id: client.last('joined').session_id });
    expect(late.last('joined').turn).toBeNull();
  });

  it.each(['echo', 'pair', 'chain'])('G-3 may name an agent, a team or a workflow: %s', async (agentId) => {
    const { join, clock } = openGateway();
    const client = await join({ agent_id: agentId });
    await client.send({ type: 'message', content: 'hi' });
    await clock.settle();
    expect(client.last('joined').agent_id).toBe(agentId);
    const end = client.of('event').at(-1);
    expect(end?.event).toMatchObject({ type: 'response', data: { outcome: { status: 'ok' } } });
  });

  it('G-3 says the methods that the door takes, and no other', async () => {
    const { join, socket } = openGateway();
    const { methods } = (await join()).last('joined').features;
    for (const type of methods) {
      const client = await socket('/');
      await client.send({ type });
      expect(client.of('error').map(({ code }) => code)).not.toContain('unknown_type');
    }
    const client = await socket('/');
    await client.send({ type: 'moderate' });
    expect(client.last('error').code).toBe('unknown_type');
    expect(methods).not.toContain('moderate');
  });
});

describe.each(['join', 'hello'])('the versions of %s', (type) => {
  const names = type === 'join' ? ['min_version', 'max_version'] : ['protocol_min', 'protocol_max'];
  const boundsOf = (min: unknown, max: unknown): object =>
    Object.fromEntries(
      [min, max].flatMap((value, index) => (value === undefined ? [] : [[names[index], value]])),
    );

  it.each([
    [undefined, undefined],
    [1, 1],
    [1, undefined],
    [0, 1],
    [1, 9],
    [-3, 3],
    [null, null],
  ])('G-4 from %j to %j meet ours at 1', async (min, max) => {
    const { socket } = openGateway();
    const client = await socket('/');
    await client.send({ type, agent_id: 'echo', ...boundsOf(min, max) });
    const answer = type === 'join' ? client.last('joined') : client.last('hello_ok');
    expect(answer).toMatchObject({ protocol_version: 1, server_min_version: 1, server_max_version: 1 });
  });

  it.each([
    [2, 3],
    [0, 0],
    [-5, 0],
  ])('G-4 from %j to %j do not meet ours', async (min, max) => {
    const { socket } = openGateway();
    const client = await socket('/');
    await client.send({ type, agent_id: 'echo', ...boundsOf(min, max) });
    expect(only(client.frames)).toMatchObject(
      type === 'join'
        ? { type: 'error', code: 'version_unsupported', server_min_version: 1, server_max_version: 1 }
        : { type: 'hello_error', code: 'protocol_unsupported' },
    );
    expect(client.closed?.code).toBe(4426);
  });

  it.each([
    ['1', '1'],
    [1.5, 2],
    [2, 1],
    [2, undefined],
    [true, 1],
    [{}, []],
  ])('G-4 from %j to %j are no versions', async (min, max) => {
    const { socket } = openGateway();
    const client = await socket('/');
    await client.send({ type, agent_id: 'echo', ...boundsOf(min, max) });
    expect(only(client.frames)).toMatchObject(
      type === 'join'
        ? { type: 'error', code: 'invalid_protocol_hello' }
        : { type: 'hello_error', code: 'protocol_unsupported' },
    );
    expect(client.closed?.code).toBe(4400);
  });
});

describe('hello', () => {
  it('G-14 is answered with all that joined has', async () => {
    const { join, socket } = openGateway();
    const joined = (await join()).last('joined');
    const client = await socket('/');
    await client.send({
      type: 'hello',
      agent_id: 'echo',
      capabilities: ['x'],
      session_id: null,
      since: null,
    });
    const { protocol, ...rest } = client.last('hello_ok');
    expect(protocol).toBe(1);
    expect(Object.keys(rest)).toEqual(Object.keys(joined));
  });

  it('G-14 takes the versions also as `protocol`', async () => {
    const { socket } = openGateway();
    const client = await socket('/');
    await client.send({ type: 'hello', agent_id: 'echo', protocol: { min: 1, max: 2 } });
    expect(client.last('hello_ok').protocol).toBe(1);
    const other = await socket('/');
    await other.send({ type: 'hello', agent_id: 'echo', protocol: { min: 2, max: 2 } });
    expect(other.last('hello_error').code).toBe('protocol_unsupported');
  });

  it('G-14 gets every event as `replay`, live ones too', async () => {
    const { join, socket, clock } = openGateway();
    const before = await join();
    await before.send({ type: 'message', content: 'one' });
    const client = await socket('/');
    await client.send({ type: 'hello', agent_id: 'echo', session_id: before.last('joined').session_id });
    const old = client.of('replay').length;
    await client.send({ type: 'message', content: 'two' });
    await clock.settle();
    const replayed = client.of('replay');
    expect(old).toBeGreaterThan(3);
    expect(replayed.length).toBe(old * 2);
    expect(replayed.map(({ seq, event }) => [seq, event.sequence])).toEqual(
      replayed.map((_frame, index) => [index + 1, index + 1]),
    );
    expect(client.of('event')).toEqual([]);
  });

  it.each([
    [undefined, { agent_id: 'echo' }, 'auth_required', 4401],
    ['guess', { agent_id: 'echo' }, 'auth_unauthorized', 4401],
    [ALICE, { agent_id: 'slow' }, 'auth_unauthorized', 4403],
    [ALICE, { agent_id: 'nobody' }, 'agent_not_found', 4404],
    [ALICE, { agent_id: 'echo', protocol_min: 4, protocol_max: 5 }, 'protocol_unsupported', 4426],
  ])('G-14 is refused in its own words, and then closed: %s %j', async (token, frame, code, close) => {
    const { socket } = openGateway({ tokens: LIMITED });
    const client = await socket('/');
    await client.send({ type: 'hello', ...frame, ...(token !== undefined && { token }) });
    expect(only(client.frames)).toMatchObject({
      type: 'hello_error',
      code,
      message: expect.stringMatching(/\w/),
      next_step: expect.stringMatching(/\w/),
    });
    expect(client.closed?.code).toBe(close);
  });

  it('G-14 that fails here is told to come back', async () => {
    const { socket, problems } = openGateway({
      through: (store) =>
        interceptStore(store, async () => {
          throw new StoreError('unavailable', 'the disk is gone');
        }),
    });
    const client = await socket('/');
    await client.send({ type: 'hello', agent_id: 'echo' });
    problems.length = 0;
    expect(client.last('hello_error')).toMatchObject({ code: 'rate_limited', retry_after_seconds: 1 });
    expect(client.closed?.code).toBe(4503);
  });
});

describe('a refused join', () => {
  it.each([
    [undefined, { agent_id: 'echo' }, 'unauthorized', 4401],
    ['guess', { agent_id: 'echo' }, 'unauthorized', 4401],
    [ALICE, { agent_id: 'slow' }, 'forbidden', 4403],
    [BOB, { agent_id: 'echo' }, 'forbidden', 4403],
    [ALICE, { agent_id: 'nobody' }, 'agent_not_found', 4404],
    [ALICE, { agent_id: 'echo', min_version: 4, max_version: 5 }, 'version_unsupported', 4426],
    [ALICE, { agent_id: 'echo', min_version: 'x' }, 'invalid_protocol_hello', 4400],
  ])('G-15 gets an error, and then the close of the table: %s %j', async (token, frame, code, close) => {
    const { socket } = openGateway({ tokens: LIMITED });
    const client = await socket('/');
    await client.send({ type: 'join', ...frame, ...(token !== undefined && { token }) });
    expect(only(client.frames)).toMatchObject({ type: 'error', code });
    expect(client.closed).toEqual({ code: close, reason: code });
  });

  it('G-15 leaves the socket that was joined before with nothing', async () => {
    const { join, clock } = openGateway();
    const client = await join();
    await client.send({ type: 'join', agent_id: 'nobody' });
    expect(client.closed?.code).toBe(4404);
    await clock.settle();
    expect(client.of('event')).toEqual([]);
  });
});

describe('the token of a join', () => {
  it.each([
    ['in the frame', ALICE, undefined],
    ['with the upgrade', undefined, ALICE],
    ['in the frame, whatever came with the upgrade', ALICE, 'guess'],
  ])('L-15 is taken %s', async (_where, token, credential) => {
    const { join } = openGateway({ tokens: TWO_PEOPLE });
    const client = await join(token === undefined ? {} : { token }, credential);
    expect(client.of('joined')).toHaveLength(1);
  });

  it('L-15 that is wrong is not made good by the one of the upgrade', async () => {
    const { join } = openGateway({ tokens: TWO_PEOPLE });
    const client = await join({ token: 'guess' }, ALICE);
    expect(client.last('error').code).toBe('unauthorized');
    expect(client.closed?.code).toBe(4401);
  });
});
