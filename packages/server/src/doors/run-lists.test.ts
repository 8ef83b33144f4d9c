import { ConfigJson, MemoryJson, RunSummary, SessionJson } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { AGENTS } from '../../test/agents.ts';
import { ALICE, BOB, openGateway, type TestGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { nth, only, range } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';

const RUNS = z.array(RunSummary);
const NARROW = { token: 'narrow', subject: 'alice', agents: ['echo'] };
const READER = { token: 'reader', subject: 'alice', scopes: ['read' as const] };
const TOKENS = [...TWO_PEOPLE, NARROW, READER];

async function start(
  world: TestGateway,
  path: string,
  {
    token,
    ...body
  }: { readonly token?: string; readonly message?: string; readonly session_id?: string } = {},
): Promise<string> {
  const asked = { message: 'hi', stream: false, background: true, ...body };
  const { status, body: accepted } = await world.post(`${path}/runs`, asked, { token });
  expect(status).toBe(202);
  await world.clock.advance(100);
  return (accepted as { run_id: string }).run_id;
}

async function idsAt(world: TestGateway, path: string, token?: string): Promise<string[]> {
  const { status, body } = await world.get(path, { token });
  expect(status).toBe(200);
  return RUNS.parse(body).map(({ run_id }) => run_id);
}

describe('lists of runs', () => {
  it('R-23 have the runs of a component, newest first, with how they stand', async () => {
    const world = openGateway();
    const first = await start(world, '/agents/clerk', { message: 'jump', session_id: 's1' });
    const second = await start(world, '/agents/clerk', { message: 'sit', session_id: 's2' });
    await start(world, '/agents/echo');
    expect(await idsAt(world, '/agents/clerk/runs')).toEqual([second, first]);
    expect(await idsAt(world, '/agents/clerk/runs?session_id=s1')).toEqual([first]);
    expect(await idsAt(world, '/agents/clerk/runs?session_id=none')).toEqual([]);
    expect(nth((await world.get('/agents/clerk/runs')).body as object[], 1)).toEqual({
      run_id: first,
      session_id: 's1',
      kind: 'agent',
      agent_id: 'clerk',
      agent_name: 'Clerk',
      status: 'PAUSED',
      message: 'jump',
      created_at: Math.floor((world.clock.now() - 300) / 1000),
    });
  });

  it('R-23 have those of all components, by their kind', async () => {
    const world = openGateway();
    const ids = [
      await start(world, '/agents/echo', { session_id: 's1' }),
      await start(world, '/teams/pair'),
      await start(world, '/workflows/chain'),
    ];
    expect(await idsAt(world, '/runs')).toEqual([...ids].reverse());
    expect(await idsAt(world, '/runs?session_id=s1')).toEqual(ids.slice(0, 1));
    expect(RUNS.parse((await world.get('/runs')).body)).toMatchObject([
      { kind: 'workflow', workflow_id: 'chain', workflow_name: 'Chain', status: 'COMPLETED' },
      { kind: 'team', team_id: 'pair', team_name: 'Pair' },
      { kind: 'agent', agent_id: 'echo', agent_name: 'Echo' },
    ]);
    expect(await idsAt(world, '/teams/pair/runs')).toEqual(ids.slice(1, 2));
  });

  it('R-23 have at most 100, the newest', async () => {
    const world = openGateway();
    const ids: string[] = [];
    for (const _ of range(1, 103)) ids.push(await start(world, '/agents/echo'));
    expect(await idsAt(world, '/runs')).toEqual(ids.slice(3).reverse());
  });

  it('R-23 find one run by its id alone', async () => {
    const world = openGateway();
    const id = await start(world, '/agents/slow');
    expect((await world.get(`/runs/${id}`)).body).toMatchObject({ agent_id: 'slow', status: 'RUNNING' });
    await world.clock.advance(5_000);
    expect((await world.get(`/runs/${id}`)).body).toMatchObject({ status: 'COMPLETED', message: 'hi' });
    const { status, body } = await world.get('/runs/none');
    expect([status, body]).toEqual([404, { detail: 'Run not found', code: 'not_found' }]);
  });

  it('R-23 show a run of a component that is gone', async () => {
    const world = openGateway();
    const id = await start(world, '/teams/pair');
    const heir = openGateway({ beside: world, agents: AGENTS.slice(0, 1) });
    expect((await heir.get(`/runs/${id}`)).body).toMatchObject({
      kind: 'team',
      team_id: 'pair',
      team_name: 'pair',
    });
  });

  it.each([
    ['/agents/nobody/runs', 'Agent not found'],
    ['/teams/echo/runs', 'Team not found'],
    ['/workflows/pair/runs', 'Workflow not found'],
    ['/sessions/none/runs', 'Session not found'],
  ])('R-23 %s is unknown: 404', async (path, detail) => {
    const { get } = openGateway();
    const { status, body } = await get(path);
    expect([status, body]).toEqual([404, { detail, code: 'not_found' }]);
  });

  it.each(['/runs', '/agents/echo/runs'])('R-23 %s with a session id too long gets 422', async (path) => {
    const { get } = openGateway();
    const { status, body } = await get(`${path}?session_id=${'x'.repeat(201)}`);
    expect([status, body]).toEqual([422, { detail: expect.stringContaining('session_id'), code: 'invalid' }]);
  });
});

describe('lists of sessions', () => {
  it('R-23 have those of runs and those of turns, newest first', async () => {
    const world = openGateway();
    await start(world, '/teams/pair', { session_id: 's1' });
    const client = await world.join({ agent_id: 'echo' });
    const { session_id } = client.last('joined');
    const sessions = z.array(SessionJson).parse((await world.get('/sessions')).body);
    expect(sessions).toMatchObject([
      { session_id, kind: 'agent', agent_id: 'echo', agent_name: 'Echo' },
      { session_id: 's1', kind: 'team', team_id: 'pair', created_at: expect.any(Number) },
    ]);
  });

  it('R-23 show all runs of one of them', async () => {
    const world = openGateway();
    const ids = [
      await start(world, '/agents/echo', { session_id: 'a b/c' }),
      await start(world, '/agents/echo', { session_id: 'a b/c' }),
    ];
    await start(world, '/agents/echo', { session_id: 's2' });
    expect(await idsAt(world, `/sessions/${encodeURIComponent('a b/c')}/runs`)).toEqual(ids.reverse());
  });
});

describe('memories', () => {
  /** An agent that keeps what it is told. */
  function openWithMemory(): TestGateway {
    const keeper = createPuppet('keeper', {
      async *run({ input, memories }) {
        yield { type: 'memory.started' };
        await memories.add(String(input), 'one');
        yield { type: 'memory.completed' };
      },
    });
    return openGateway({ agents: [keeper.component], tokens: TOKENS });
  }
  const list = async (world: TestGateway, token: string): Promise<MemoryJson[]> =>
    z.array(MemoryJson).parse((await world.get('/memories', { token })).body);

  it('R-24 are listed, forgotten one by one, and all at once', async () => {
    const world = openWithMemory();
    for (const message of ['likes tea', 'travels by train', 'has a cat'])
      await start(world, '/agents/keeper', { message, token: ALICE });
    const memories = await list(world, ALICE);
    expect(memories.map(({ memory }) => memory)).toEqual(['likes tea', 'travels by train', 'has a cat']);
    const path = `/memories/${nth(memories, 1).memory_id}`;
    const gone = await world.ask('DELETE', path, { token: ALICE }).answer();
    expect([gone.status, gone.body]).toEqual([204, '']);
    expect((await list(world, ALICE)).map(({ memory }) => memory)).toEqual(['likes tea', 'has a cat']);
    const again = await world.ask('DELETE', path, { token: ALICE }).answer();
    expect([again.status, again.body]).toEqual([404, { detail: 'Memory not found', code: 'not_found' }]);
    expect((await world.ask('DELETE', '/memories', { token: ALICE }).answer()).status).toBe(204);
    expect(await list(world, ALICE)).toEqual([]);
    expect((await world.ask('DELETE', '/memories', { token: ALICE }).answer()).status).toBe(204);
  });

  it('L-10 of another owner are not there, and stay', async () => {
    const world = openWithMemory();
    await start(world, '/agents/keeper', { message: 'likes tea', token: ALICE });
    const { memory_id: id } = only(await list(world, ALICE));
    expect(await list(world, BOB)).toEqual([]);
    const theirs = await world.ask('DELETE', `/memories/${id}`, { token: BOB }).answer();
    expect([theirs.status, theirs.body]).toEqual([404, { detail: 'Memory not found', code: 'not_found' }]);
    await world.ask('DELETE', '/memories', { token: BOB }).answer();
    expect(await list(world, ALICE)).toHaveLength(1);
  });

  it.each([
    ['GET', '/memories'],
    ['DELETE', '/memories'],
    ['DELETE', '/memories/mem_1'],
  ])('L-15 %s %s is not for a token that may use no agent here', async (method, path) => {
    const { ask } = openWithMemory();
    for (const { token } of [NARROW, READER]) {
      const { status, body } = await ask(method, path, { token }).answer();
      expect([status, body]).toEqual([403, { detail: expect.stringContaining('write'), code: 'forbidden' }]);
    }
  });
});

describe('the configuration', () => {
  it('R-25 says what runs here, and which store keeps it', async () => {
    const { get } = openGateway({ version: '1.2.3', push: false });
    expect(ConfigJson.parse((await get('/config')).body)).toEqual({
      os_id: 'continuo',
      name: 'continuo',
      version: '1.2.3',
      databases: ['memory'],
      agents: ['Echo', 'Slow', 'Talkative', 'Clerk'].map((name) => ({ id: name.toLowerCase(), name })),
      teams: [{ id: 'pair', name: 'Pair' }],
      workflows: [{ id: 'chain', name: 'Chain' }],
      doors: { gateway: true, push: false, runs: true },
    });
  });
});

describe('who may see lists', () => {
  it("L-10 nobody sees another owner's", async () => {
    const world = openGateway({ tokens: TOKENS });
    const id = await start(world, '/agents/echo', { token: ALICE, session_id: 's1' });
    const paths = ['/runs', '/agents/echo/runs', '/runs?session_id=s1', '/sessions'];
    for (const path of paths) {
      expect((await world.get(path, { token: BOB })).body).toEqual([]);
      expect((await world.get(path, { token: ALICE })).body).toHaveLength(1);
    }
    for (const path of [`/runs/${id}`, '/sessions/s1/runs']) {
      expect((await world.get(path, { token: BOB })).status).toBe(404);
      expect((await world.get(path, { token: ALICE })).status).toBe(200);
    }
  });

  it('L-15 a token sees the components that it allows', async () => {
    const world = openGateway({ tokens: TOKENS });
    const echo = await start(world, '/agents/echo', { token: ALICE, session_id: 's1' });
    const slow = await start(world, '/agents/slow', { token: ALICE, session_id: 's2' });
    const { token } = NARROW;
    expect(await idsAt(world, '/runs', token)).toEqual([echo]);
    expect(await idsAt(world, '/sessions/s1/runs', token)).toEqual([echo]);
    expect((await world.get('/sessions', { token })).body).toMatchObject([{ session_id: 's1' }]);
    expect((await world.get(`/runs/${slow}`, { token })).status).toBe(404);
    expect((await world.get('/sessions/s2/runs', { token })).status).toBe(404);
    expect((await world.get('/agents/slow/runs', { token })).status).toBe(403);
    expect(await idsAt(world, '/runs', READER.token)).toEqual([]);
    expect((await world.get('/agents/echo/runs', { token: READER.token })).status).toBe(403);
  });

  it('L-15 a token sees its own among many that it does not', async () => {
    const world = openGateway({ tokens: TOKENS });
    const echo = await start(world, '/agents/echo', { token: ALICE });
    for (const _ of range(1, 101)) await start(world, '/workflows/chain', { token: ALICE });
    expect(await idsAt(world, '/runs', NARROW.token)).toEqual([echo]);
    expect((await world.get('/sessions', { token: NARROW.token })).body).toHaveLength(1);
  });

  it.each([
    '/runs',
    '/runs/run_1',
    '/sessions',
    '/sessions/s1/runs',
    '/agents/echo/runs',
    '/agents/nobody/runs',
    '/approvals',
    '/approvals/apr_1',
    '/memories',
    '/config',
  ])('L-15 a token is needed for %s: 401 without, and with a wrong one', async (path) => {
    const { get } = openGateway({ tokens: TOKENS });
    for (const token of [undefined, 'guess']) {
      const { status, body } = await get(path, { token });
      expect([status, body]).toMatchObject([401, { detail: expect.stringMatching(/token/) }]);
    }
    expect((await get(path, { token: ALICE })).status).not.toBe(401);
  });
});
