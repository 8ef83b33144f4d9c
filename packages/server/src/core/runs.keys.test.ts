import type { Component } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { eventsOf, openGateway, type TestGateway } from '../../test/gateway.ts';
import { createLife, type Life } from '../../test/life.ts';
import { only, range } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import { createRunWorld } from '../../test/runs.ts';

const echo: Component = { kind: 'agent', id: 'echo', name: 'Echo', async *run() {} };
const team: Component = { kind: 'team', id: 'pair', name: 'Pair', async *run() {} };

describe('a run that is started with a key', () => {
  it('R-11 is one, however often it is started, also at the same moment', async () => {
    const { runs } = createRunWorld();
    const start = { owner: 'me', component: echo, input: 'hello', key: 'k1' };
    const started = await Promise.all(range(1, 5).map(() => runs.create(start)));
    const again = await runs.create(start);
    expect(new Set([...started, again].map(({ run }) => run.runId)).size).toBe(1);
    expect(new Set(started.map(({ run }) => run.sessionId)).size).toBe(1);
    expect(await runs.list('me', {})).toHaveLength(1);
  });

  it('R-11 is another for another person or component', async () => {
    const { runs } = createRunWorld();
    const start = { owner: 'me', component: echo, input: 'hello', key: 'k1' };
    const { run } = await runs.create(start);
    const others = [
      { ...start, owner: 'you' },
      { ...start, component: team },
      { ...start, key: 'k2' },
    ];
    for (const other of others) expect((await runs.create(other)).run.runId).not.toBe(run.runId);
  });

  it('R-11 is refused with another message or session', async () => {
    const { runs } = createRunWorld();
    const start = { owner: 'me', component: echo, input: 'hello', sessionId: 's1', key: 'k1' };
    const { run } = await runs.create(start);
    const details = { run_id: run.runId };
    await expect(runs.create({ ...start, input: 'bye' })).rejects.toMatchObject({
      code: 'conflict',
      details,
    });
    await expect(runs.create({ ...start, sessionId: 's2' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(runs.create({ ...start, sessionId: undefined })).rejects.toMatchObject({ code: 'conflict' });
  });

  it('R-11 is the same as long as the run is kept, which a pause makes longer', async () => {
    const { runs, clock, sessions } = createRunWorld();
    const start = { owner: 'me', component: echo, input: 'hello', sessionId: 's1', key: 'k1' };
    const { run } = await runs.create(start);
    for (const _wait of range(1, 3)) {
      await clock.advance(5 * 24 * 3_600_000);
      await runs.tasks.settled(run.log, []); // it waits for a person
    }
    expect(await runs.create(start)).toMatchObject({ run: { runId: run.runId }, isNew: false });
    sessions.close();
  });

  it('R-11 is there though the server died between the key and the run', async () => {
    const { runs, store, dying } = createRunWorld();
    const start = { owner: 'me', component: echo, input: 'hello', key: 'k1' };
    for (const calls of range(1, 6)) {
      const key = `k${calls}`;
      await dying(calls)
        .create({ ...start, key })
        .catch(() => {});
      const { run } = await runs.create({ ...start, key });
      expect(await runs.find('me', echo, run.runId)).toMatchObject({ input: 'hello' });
      expect((await runs.create({ ...start, key })).run.runId).toBe(run.runId);
      const page = await store.logs.read(
        `session:me:${run.sessionId}`,
        { offset: 0 },
        { entries: 9, bytes: 1e6 },
      );
      expect(page.kind === 'page' && page.entries.map(({ type }) => type)).toEqual(['message']);
    }
  });
});

describe('the list of runs', () => {
  it('R-23 has the newest first, of one owner, of a component or a session where that is asked', async () => {
    const { runs, clock } = createRunWorld();
    for (const number of range(1, 4)) {
      await clock.advance(1_000);
      const component = number % 2 ? echo : team;
      const sessionId = number > 2 ? `s${number}` : undefined;
      await runs.create({ owner: 'me', component, input: `${number}`, sessionId });
    }
    await runs.create({ owner: 'you', component: echo, input: 'mine' });
    const inputs = async (which: Parameters<typeof runs.list>[1]): Promise<readonly unknown[]> =>
      (await runs.list('me', which)).map(({ run }) => run.preview);
    expect(await inputs({})).toEqual(['4', '3', '2', '1']);
    expect(await inputs({ component: echo })).toEqual(['3', '1']);
    expect(await inputs({ sessionId: 's3' })).toEqual(['3']);
    expect(await inputs({ component: team, sessionId: 's3' })).toEqual([]);
    expect(await runs.list('nobody', {})).toEqual([]);
  });

  it('R-23 shows a hundred', async () => {
    const { runs } = createRunWorld();
    for (const number of range(1, 101))
      await runs.create({ owner: 'me', component: echo, input: `${number}` });
    expect(await runs.list('me', {})).toHaveLength(100);
  });
});

interface Standing {
  readonly server: TestGateway;
  /** What the list says of the one run there is. */
  standing(): Promise<unknown>;
}

async function standingOf(agent: Component): Promise<Standing> {
  const server = openGateway({ agents: [agent] });
  const start = { message: 'hi', stream: false, background: true };
  const { body } = await server.post(`/agents/${agent.id}/runs`, start);
  const { run_id: runId } = body as { run_id: string };
  return {
    server,
    async standing() {
      const { status } = (await server.get(`/agents/${agent.id}/runs/${runId}`)).body as { status: string };
      return status;
    },
  };
}

describe('how a run stands', () => {
  it('R-9 is running until it asks, then paused, and then how it ended', async () => {
    const puppet = createPuppet('puppet');
    const { server, standing } = await standingOf(puppet.component);
    const { clock } = server;
    await clock.settle();
    expect(await standing()).toBe('RUNNING');
    const [run] = puppet.runs;
    for (const callId of ['a', 'b']) run?.say({ type: 'approval.requested', callId, name: 'do' });
    run?.finish();
    await clock.settle();
    expect(await standing()).toBe('PAUSED');
    await clock.advance(23 * 3_600_000);
    expect(await standing()).toBe('PAUSED');
    await clock.advance(2 * 3_600_000);
    expect(await standing()).toBe('ERROR');
  });
});

describe('a question that nobody answers', () => {
  it('R-18 ends its run when its time is over, also where every server was down at that moment', async () => {
    const puppet = createPuppet('puppet');
    const lives: Life[] = [];
    const mortal = openGateway({
      agents: [puppet.component],
      within(clock, store) {
        const life = createLife(clock, store);
        lives.push(life);
        return life;
      },
    });
    const { body } = await mortal.post('/agents/puppet/runs', {
      message: 'hi',
      stream: false,
      background: true,
    });
    const { run_id: runId } = body as { run_id: string };
    await mortal.clock.settle();
    const run = only(puppet.runs);
    run.say({ type: 'approval.requested', callId: 'a', name: 'book', expiresInMs: 60_000 });
    run.finish();
    await mortal.clock.settle();
    only(lives).end();
    await mortal.clock.advance(600_000);
    const heir = openGateway({ beside: mortal, agents: [puppet.component] });
    await heir.clock.advance(3_000);
    expect((await heir.get(`/agents/puppet/runs/${runId}`)).body).toMatchObject({
      status: 'ERROR',
      error_type: 'approval_expired',
      error: expect.stringContaining('"book"'),
    });
    expect(puppet.runs).toHaveLength(1);
    expect(await heir.store.records.list('later/', { limit: 5 })).toEqual([]);
  });
});

describe('a run that waits for a person', () => {
  const DAY_MS = 24 * 3_600_000;

  it('R-18 is kept for as long as its question, though it was asked late', async () => {
    const { runs, clock, store, sessions } = createRunWorld();
    const { run } = await runs.create({ owner: 'me', component: echo, input: 'x'.repeat(5_000) });
    await clock.advance(6 * DAY_MS);
    await runs.tasks.settled(run.log, []); // it waits for a person
    await clock.advance(6 * DAY_MS);
    expect(await runs.find('me', echo, run.runId)).toMatchObject({ input: run.input });
    expect(await store.logs.heads([run.log])).toMatchObject([{ offset: 0 }]);
    sessions.close();
  });

  it('R-10, R-16 goes on in its conversation, however long it waited and whoever looked at it meanwhile', async () => {
    const { runs, clock, sessions } = createRunWorld();
    await runs.create({ owner: 'me', component: echo, input: 'first', sessionId: 's1' });
    const { run } = await runs.create({ owner: 'me', component: echo, input: 'second', sessionId: 's1' });
    await runs.tasks.settled(run.log, []); // it waits for a person
    const { session } = await sessions.open({ owner: 'me', component: 'agent:echo', sessionId: 's1' });
    sessions.view(session)();
    await clock.advance(6 * DAY_MS);
    const history = await (await runs.tasks.due(run.log)).next?.history();
    expect(history?.map(({ content }) => content)).toEqual(['first']);
    sessions.close();
  });

  it('R-18 its turn ends, though nobody has looked at its session since', async () => {
    const puppet = createPuppet('puppet');
    const { join, clock } = openGateway({ agents: [puppet.component] });
    const client = await join({ agent_id: 'puppet' });
    await client.send({ type: 'message', content: 'book' });
    const { session_id: sessionId } = client.last('joined');
    await client.hangUp();
    await clock.advance(30 * 60_000);
    only(puppet.runs).say({ type: 'approval.requested', callId: 'a', name: 'book' });
    only(puppet.runs).finish();
    await clock.advance(23 * 3_600_000 + 5_000);
    const back = await join({ agent_id: 'puppet', session_id: sessionId });
    expect(back.last('joined')).toMatchObject({ resumed: true, pending: [] });
    expect(eventsOf(back).at(-1)?.data.outcome).toMatchObject({
      status: 'rejected',
      code: 'approval_expired',
    });
  });
});
