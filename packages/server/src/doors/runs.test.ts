import { ComponentJson, MAX_ENTRY_DATA, RunAccepted, RunOutput } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ALICE, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { nth, only } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';

const DETAIL = z.object({ detail: z.string().min(1) });

describe('the list of what there is', () => {
  it.each([
    ['/agents', ['echo', 'slow', 'talkative', 'clerk']],
    ['/teams', ['pair']],
    ['/workflows', ['chain']],
  ])('R-9 is at %s', async (path, ids) => {
    const { get } = openGateway();
    const { status, body } = await get(path);
    expect(status).toBe(200);
    expect(
      z
        .array(ComponentJson)
        .parse(body)
        .map(({ id }) => id),
    ).toEqual(ids);
  });

  it('R-9 has each of them at a place of its own', async () => {
    const { get } = openGateway();
    expect((await get('/teams/pair')).body).toEqual({
      id: 'pair',
      name: 'Pair',
      db_id: 'memory',
      mode: 'coordinate',
      members: [{ id: 'echo', name: 'Echo' }],
    });
    expect(ComponentJson.parse((await get('/agents/echo')).body)).toMatchObject({ id: 'echo', name: 'Echo' });
  });

  it.each([
    ['GET', '/agents/nobody', 'Agent not found'],
    ['GET', '/teams/echo', 'Team not found'],
    ['POST', '/workflows/echo/runs', 'Workflow not found'],
    ['POST', '/agents/nobody/runs/run_1/resume', 'Agent not found'],
    ['GET', '/agents/echo/runs/run_1', 'Run not found'],
  ])('R-9 %s %s is unknown: 404', async (method, path, detail) => {
    const { ask } = openGateway();
    const { status, body } = await ask(
      method,
      path,
      method === 'POST' ? { body: { message: 'x' } } : {},
    ).answer();
    expect([status, body]).toEqual([404, { detail, code: 'not_found' }]);
  });
});

describe('starting a run', () => {
  it.each([
    ['a form', { form: { message: 'hi', stream: 'false', session_id: 's1' } }],
    ['JSON', { body: { message: 'hi', stream: false, session_id: 's1' } }],
  ])('R-5 takes %s', async (_what, ask) => {
    const { ask: request } = openGateway();
    const { status, body } = await request('POST', '/agents/echo/runs', ask).answer();
    expect(status).toBe(200);
    expect(RunOutput.parse(body)).toMatchObject({
      session_id: 's1',
      agent_id: 'echo',
      status: 'COMPLETED',
      content: 'echo: hi',
      messages: [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: 'echo: hi' },
      ],
    });
  });

  it.each([
    ['no message', {}, 'message'],
    ['an empty message', { message: '' }, 'message'],
    ['a message that is none', { message: 7 }, 'message'],
    ['a flag that is none', { message: 'x', stream: 'maybe' }, 'stream'],
    ['an empty session', { message: 'x', session_id: '' }, 'session_id'],
  ])('R-9 with %s gets 422, which names the field', async (_what, body, field) => {
    const { post } = openGateway();
    const answer = await post('/agents/echo/runs', body);
    expect(answer.status).toBe(422);
    expect(DETAIL.parse(answer.body).detail).toContain(field);
  });

  it('R-5 in the background is answered at once, and goes on alone', async () => {
    const { post, get, clock } = openGateway();
    const { status, body } = await post('/agents/slow/runs', {
      message: 'hi',
      stream: false,
      background: true,
    });
    expect(status).toBe(202);
    const { run_id: runId } = RunAccepted.parse(body);
    const output = async (): Promise<RunOutput> =>
      RunOutput.parse((await get(`/agents/slow/runs/${runId}`)).body);
    expect(await output()).toMatchObject({ status: 'RUNNING', content: '' });
    await clock.advance(3_000);
    expect(await output()).toMatchObject({ status: 'COMPLETED', content: 'echo: hi' });
  });

  it('R-5 neither streamed nor in the background is answered when it has ended', async () => {
    const { ask, clock } = openGateway();
    const asked = ask('POST', '/agents/slow/runs', { body: { message: 'hi', stream: false } });
    await clock.advance(1_900);
    expect(asked.answered).toBe(false);
    await clock.advance(200);
    expect(RunOutput.parse((await asked.answer()).body)).toMatchObject({
      status: 'COMPLETED',
      content: 'echo: hi',
    });
  });

  it('R-5 streamed in the background survives its client', async () => {
    const { ask, get, clock } = openGateway();
    const asked = ask('POST', '/agents/slow/runs', { body: { message: 'hi', background: true } });
    const stream = await asked.stream();
    const runId = nth(stream.events, 0).run_id;
    stream.hangUp();
    await clock.advance(3_000);
    expect((await get(`/agents/slow/runs/${runId}`)).body).toMatchObject({ status: 'COMPLETED' });
  });

  it('R-5 streamed ends with its client', async () => {
    const { stream, get, clock } = openGateway();
    const streamed = await stream('/agents/slow/runs', { message: 'hi' });
    const runId = nth(streamed.events, 0).run_id;
    streamed.hangUp();
    await clock.advance(100);
    const { body } = await get(`/agents/slow/runs/${runId}`);
    expect(RunOutput.parse(body)).toMatchObject({ status: 'CANCELLED' });
    expect(RunOutput.parse(body).events.at(-1)?.event).toBe('RunCancelled');
  });

  it('R-5 streamed ends with its client also when that leaves before the stream has begun', async () => {
    const puppet = createPuppet('puppet');
    const { ask, clock } = openGateway({ agents: [puppet.component] });
    const asked = ask('POST', '/agents/puppet/runs', { body: { message: 'hi' } });
    asked.hangUp();
    await clock.advance(20_000);
    expect(puppet.runs.map(({ stopped }) => stopped)).not.toContain(false);
  });

  it('R-5 streamed is not cancelled when it ended before its client left', async () => {
    const { stream, get, clock, store } = openGateway();
    const streamed = await stream('/agents/echo/runs', { message: 'hi' });
    expect(streamed.ended).toBe(true);
    streamed.hangUp();
    await clock.advance(2_000);
    expect(await store.records.list('cancel/', { limit: 10 })).toEqual([]);
    const { body } = await get(`/agents/echo/runs/${nth(streamed.events, 0).run_id}`);
    expect(body).toMatchObject({ status: 'COMPLETED' });
  });

  it('R-5 takes the words of a form for its flags', async () => {
    const { ask } = openGateway();
    for (const [stream, background, status] of [
      ['false', 'true', 202],
      ['0', 'YES', 202],
      ['no', 'off', 200],
      ['False', '1', 202],
    ] as const) {
      const asked = ask('POST', '/agents/echo/runs', { form: { message: 'hi', stream, background } });
      expect((await asked.answer()).status).toBe(status);
    }
  });

  it.each(['mine', 'a:b/c d', '\ud800'])('R-5 takes any session id: %j', async (sessionId) => {
    const { post } = openGateway();
    const { status, body } = await post('/agents/echo/runs', {
      message: 'hi',
      stream: false,
      session_id: sessionId,
    });
    // One that cannot be is refused as what it is, a wrong field; it is not a fault of ours.
    if (sessionId === '\ud800') expect([200, 422]).toContain(status);
    else expect([status, body]).toMatchObject([200, { session_id: sessionId }]);
  });

  it("R-5 of another agent's session is refused", async () => {
    const { post } = openGateway();
    await post('/agents/echo/runs', { message: 'hi', stream: false, session_id: 's1' });
    const { status, body } = await post('/agents/slow/runs', { message: 'hi', session_id: 's1' });
    expect(status).toBe(404);
    DETAIL.parse(body);
  });

  it('L-17 with a message that no entry can hold gets 413, and there is no run', async () => {
    const puppet = createPuppet('puppet');
    const { post, store, clock } = openGateway({ agents: [puppet.component] });
    const { status, body } = await post('/agents/puppet/runs', { message: 'x'.repeat(MAX_ENTRY_DATA) });
    expect(status).toBe(413);
    DETAIL.parse(body);
    await clock.advance(5_000);
    expect(puppet.runs).toHaveLength(0);
    expect(await store.records.list('run/', { limit: 10 })).toEqual([]);
  });
});

describe('the output of a run', () => {
  it('R-9 is what there is so far', async () => {
    const puppet = createPuppet('puppet');
    const { stream, get, clock } = openGateway({
      agents: [puppet.component],
      reports: [expect.stringContaining('failed: Error: gone')],
    });
    const streamed = await stream('/agents/puppet/runs', { message: 'hi' });
    const path = `/agents/puppet/runs/${nth(streamed.events, 0).run_id}`;
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    await clock.settle();
    const output = RunOutput.parse((await get(path)).body);
    expect(output).toMatchObject({ status: 'RUNNING', content: 'half' });
    expect(output.events).toEqual(streamed.events);
    only(puppet.runs).fail(new Error('gone'));
    await clock.settle();
    expect((await get(path)).body).toMatchObject({ status: 'ERROR', error_type: 'error', content: 'half' });
  });

  it('R-4 is not there under another component, or for another session', async () => {
    const { post, get } = openGateway();
    const { body } = await post('/agents/echo/runs', { message: 'hi', stream: false, session_id: 's1' });
    const { run_id: runId } = RunOutput.parse(body);
    expect((await get(`/agents/slow/runs/${runId}`)).status).toBe(404);
    expect((await get(`/agents/echo/runs/${runId}?session_id=s2`)).status).toBe(404);
    expect((await get(`/agents/echo/runs/${runId}?session_id=s1`)).status).toBe(200);
  });
});

describe('the token of a request', () => {
  it.each([
    ['GET', '/agents'],
    ['GET', '/teams'],
    ['GET', '/workflows'],
    ['GET', '/agents/echo'],
    ['GET', '/agents/nobody'],
    ['POST', '/agents/echo/runs'],
    ['POST', '/agents/nobody/runs'],
    ['POST', '/agents/echo/runs/run_1/resume'],
    ['GET', '/agents/echo/runs/run_1'],
  ])('L-15 is needed for %s %s: 401 without, and with a wrong one', async (method, path) => {
    const { ask } = openGateway({ tokens: TWO_PEOPLE });
    const body = method === 'POST' ? { body: { message: 'x' } } : {};
    for (const token of [undefined, 'guess']) {
      const answer = await ask(method, path, { ...body, token }).answer();
      expect(answer.status).toBe(401);
      DETAIL.parse(answer.body);
    }
    expect((await ask(method, path, { ...body, token: ALICE }).answer()).status).not.toBe(401);
    expect((await ask(method, `${path}?token=${ALICE}`, body).answer()).status).not.toBe(401);
  });
});
