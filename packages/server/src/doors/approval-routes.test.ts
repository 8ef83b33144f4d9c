import { ApprovalConflict, ApprovalJson } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ALICE, type Answer, BOB, openGateway, type TestGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { nth, only } from '../../test/pick.ts';

const LIST = z.array(ApprovalJson);
const DAY_MS = 86_400_000;

/** Lets the clerk ask, in a run of its own, about each word of the message. */
async function asked(
  world: TestGateway,
  { message = 'jump', token }: { readonly message?: string; readonly token?: string } = {},
): Promise<{ runId: string; approvals: ApprovalJson[] }> {
  const request = { message, stream: false, background: true };
  const { body } = await world.post('/agents/clerk/runs', request, { token });
  await world.clock.advance(1_000);
  const { run_id: runId } = body as { run_id: string };
  const { body: listed } = await world.get('/approvals', { token });
  return { runId, approvals: LIST.parse(listed).filter(({ run_id }) => run_id === runId) };
}

const output = async (world: TestGateway, runId: string): Promise<unknown> =>
  (await world.get(`/agents/clerk/runs/${runId}`)).body;

describe('the list of approvals', () => {
  it('R-18 has what is open, of runs', async () => {
    const world = openGateway();
    const { runId, approvals } = await asked(world);
    const now = world.clock.now() / 1000;
    expect(only(approvals)).toEqual({
      approval_id: expect.stringMatching(/^apr_/),
      status: 'pending',
      run_id: runId,
      session_id: expect.any(String),
      message_id: expect.any(String),
      agent_id: 'clerk',
      agent_name: 'Clerk',
      tool: { tool_call_id: 'jump', tool_name: 'do', tool_args: { what: 'jump' } },
      requested_at: now - 1,
      expires_at: now - 1 + DAY_MS / 1000,
    });
    expect((await world.get(`/approvals/${only(approvals).approval_id}`)).body).toEqual(only(approvals));
  });

  it('R-18 has what is open, of turns, which can be answered here', async () => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'clerk' });
    await client.send({ type: 'message', content: 'jump', message_id: 'm1' });
    const { session_id } = client.last('joined');
    const approval = only(LIST.parse((await world.get('/approvals')).body));
    expect(approval).toMatchObject({ session_id, message_id: 'm1', status: 'pending' });
    const { status } = await world.post(`/approvals/${approval.approval_id}`, { approved: true });
    expect(status).toBe(200);
    await world.clock.advance(1_000);
    expect(JSON.stringify(client.frames)).toContain('May I? Done: jump');
  });

  it('R-18 has the others where they are asked for', async () => {
    const world = openGateway();
    const { approvals } = await asked(world, { message: 'jump run sit' });
    const [jump, run, sit] = ['jump', 'run', 'sit'].map(
      (call) => only(approvals.filter(({ tool }) => tool.tool_call_id === call)).approval_id,
    );
    await world.post(`/approvals/${jump}`, { approved: true });
    await world.post(`/approvals/${run}`, { approved: false, note: 'too far' });
    await world.clock.advance(DAY_MS);
    const ids = async (query: string): Promise<(string | undefined)[]> =>
      LIST.parse((await world.get(`/approvals${query}`)).body).map(({ approval_id }) => approval_id);
    expect(await ids('')).toEqual([]);
    expect(await ids('?status=approved')).toEqual([jump]);
    expect(await ids('?status=denied')).toEqual([run]);
    expect(await ids('?status=expired')).toEqual([sit]);
    expect(new Set(await ids('?status=all'))).toEqual(new Set([jump, run, sit]));
    expect((await world.get('/approvals?status=open')).status).toBe(422);
  });
});

describe('the answer to an approval', () => {
  it.each([
    ['JSON', { body: { approved: true, note: 'go' } }],
    ['a form', { form: { approved: 'true', note: 'go' } }],
  ])('R-18 is taken as %s, and the run goes on', async (_what, ask) => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const { runId, approvals } = await asked(world, { token: ALICE });
    const path = `/approvals/${only(approvals).approval_id}`;
    const { status, body } = await world.ask('POST', path, { ...ask, token: ALICE }).answer();
    expect(status).toBe(200);
    expect(body).toEqual({ ...only(approvals), status: 'approved', note: 'go', resolved_by: 'alice' });
    await world.clock.advance(1_000);
    const run = await world.get(`/agents/clerk/runs/${runId}`, { token: ALICE });
    expect(run.body).toMatchObject({ status: 'COMPLETED', content: 'May I? Done: jump' });
  });

  it('R-18 counts when it is the first: another one gets 409 with it, also when it says the same', async () => {
    const world = openGateway();
    const { runId, approvals } = await asked(world);
    const { approval_id } = only(approvals);
    await world.post(`/approvals/${approval_id}`, { approved: false, note: 'no' });
    for (const approved of [true, false]) {
      const { status, body } = await world.post(`/approvals/${approval_id}`, { approved, note: 'later' });
      expect(status).toBe(409);
      expect(body).toEqual({
        detail: expect.stringContaining('the first one counts'),
        approval_id,
        approved: false,
        resolved_by: 'local',
        note: 'no',
        code: 'conflict',
      });
      ApprovalConflict.parse(body);
    }
    await world.clock.advance(1_000);
    expect(await output(world, runId)).toMatchObject({ content: 'May I? Done: nothing' });
  });

  it('R-18 comes too late when the time is over: 409, which says so', async () => {
    const world = openGateway();
    const { runId, approvals } = await asked(world);
    const { approval_id } = only(approvals);
    await world.clock.advance(DAY_MS);
    const { status, body } = await world.post(`/approvals/${approval_id}`, { approved: true });
    expect([status, body]).toEqual([
      409,
      {
        detail: expect.stringContaining('in time'),
        approval_id,
        approved: false,
        resolved_by: 'expiry',
        expired: true,
        code: 'conflict',
      },
    ]);
    expect(await output(world, runId)).toMatchObject({ status: 'ERROR', error_type: 'approval_expired' });
  });

  it('R-18 is for a question that is open: not of a run that was cancelled', async () => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'clerk' });
    await client.send({ type: 'message', content: 'jump' });
    const { approval_id } = only(LIST.parse((await world.get('/approvals')).body));
    await client.send({ type: 'abort' });
    await world.clock.advance(1_000);
    expect((await world.get('/approvals?status=all')).body).toEqual([]);
    expect((await world.post(`/approvals/${approval_id}`, { approved: true })).status).toBe(404);
  });

  it.each([
    ['nothing', {}, 'approved'],
    ['no flag', { approved: 'perhaps' }, 'approved'],
    ['a note that is none', { approved: true, note: 7 }, 'note'],
    ['a note that is too long', { approved: true, note: 'x'.repeat(2_001) }, 'note'],
  ])('R-18 with %s gets 422, which names the field', async (_what, body, field) => {
    const world = openGateway();
    const { approvals } = await asked(world);
    const answer = await world.post(`/approvals/${only(approvals).approval_id}`, body);
    expect(answer.status).toBe(422);
    expect((answer.body as { detail: string }).detail).toContain(field);
  });
});

describe('approvals of others', () => {
  it('L-10 cannot be told from those that never were', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const { approvals } = await asked(world, { token: ALICE });
    const { approval_id: id } = only(approvals);
    const bob = { token: BOB };
    expect((await world.get('/approvals?status=all', bob)).body).toEqual([]);
    const unlike = ({ status, body }: Answer, its: string): string =>
      `${status} ${JSON.stringify(body)}`.replaceAll(its, 'ID');
    for (const ask of [{ method: 'GET' }, { method: 'POST', body: { approved: true } }] as const) {
      const { method, ...more } = ask;
      const [theirs, none] = await Promise.all(
        [id, 'apr_none'].map(async (its) =>
          unlike(await world.ask(method, `/approvals/${its}`, { ...bob, ...more }).answer(), its),
        ),
      );
      expect(theirs).toBe(none);
      expect(theirs).toMatch(/^404 /);
    }
    expect((await world.get(`/approvals/${id}`, { token: ALICE })).body).toMatchObject({ status: 'pending' });
  });

  it('L-15 nor those of an agent that the token may not use', async () => {
    const narrow = { token: 'narrow', subject: 'alice', agents: ['echo'] };
    const reader = { token: 'reader', subject: 'alice', scopes: ['read' as const] };
    const world = openGateway({ tokens: [...TWO_PEOPLE, narrow, reader] });
    const { approvals } = await asked(world, { token: ALICE });
    for (const { token } of [narrow, reader]) {
      expect((await world.get('/approvals', { token })).body).toEqual([]);
      const path = `/approvals/${nth(approvals, 0).approval_id}`;
      expect((await world.get(path, { token })).status).toBe(404);
      expect((await world.post(path, { approved: true }, { token })).status).toBe(404);
    }
  });
});
