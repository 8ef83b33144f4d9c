import { describe, expect, it } from 'vitest';
import { ALICE, BOB, eventsOf, openGateway, type TestGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { only, range } from '../../test/pick.ts';
import type { TestSocket } from '../../test/socket.ts';

/** What happened, in short. */
function storyOf(client: TestSocket): string[] {
  return eventsOf(client).flatMap(({ type, data }) => {
    switch (type) {
      case 'message':
        return [`asked ${String(data.content)}`];
      case 'approval_requested':
        return [`wants ${(data.tool_call as { id: string }).id}`];
      case 'approval_resolved':
        return [`told ${data.approved ? 'yes' : 'no'}`];
      case 'status':
        return [String(data.kind)];
      case 'response':
        return [`${(data.outcome as { status: string }).status}: ${String(data.content)}`];
      default:
        return [];
    }
  });
}

function approvalsOf(client: TestSocket): string[] {
  return eventsOf(client)
    .filter(({ type }) => type === 'approval_requested')
    .map(({ data }) => String(data.approval_id));
}

async function asked(
  world: TestGateway,
  content = 'jump',
  token?: string,
): Promise<{ client: TestSocket; approvalId: string }> {
  const client = await world.join({ agent_id: 'clerk', ...(token !== undefined && { token }) });
  await client.send({ type: 'message', content, message_id: 'm1' });
  return { client, approvalId: approvalsOf(client)[0] ?? '' };
}

const ASKED = ['asked jump', 'run_started', 'wants jump', 'run_paused'];

describe('an approval', () => {
  it('G-19 pauses its turn until it is answered, and the turn ends with all it said', async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    await world.clock.advance(60_000);
    expect(storyOf(client)).toEqual(ASKED);
    await client.send({
      type: 'approval_response',
      approval_id: approvalId,
      approved: true,
      note: 'go',
    });
    expect(only(client.of('approval_resolved'))).toEqual({
      type: 'approval_resolved',
      approval_id: approvalId,
      approved: true,
      note: 'go',
      by: expect.stringMatching(/^cli_/),
    });
    expect(storyOf(client)).toEqual([...ASKED, 'told yes', 'run_continued', 'ok: May I? Done: jump']);
  });

  it("G-19 that is refused is the agent's to deal with", async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    await client.send({ type: 'approval_response', approval_id: approvalId, approved: false });
    expect(storyOf(client).slice(-3)).toEqual(['told no', 'run_continued', 'ok: May I? Done: nothing']);
  });

  it('G-19 answered twice: the same answer is the same again, another is a conflict with the first', async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    const answer = { type: 'approval_response', approval_id: approvalId };
    await client.send({ ...answer, approved: true, note: 'first' });
    await client.send({ ...answer, approved: true, note: 'second' });
    expect(client.of('approval_resolved').map(({ note }) => note)).toEqual(['first', 'first']);
    await client.send({ ...answer, approved: false });
    expect(client.last('error')).toMatchObject({
      code: 'conflict',
      approval_id: approvalId,
      approved: true,
      note: 'first',
    });
    expect(storyOf(client).filter((line) => line.startsWith('told'))).toEqual(['told yes']);
    expect(storyOf(client).filter((line) => line.startsWith('ok'))).toHaveLength(1);
  });

  it('G-19 all of several must be answered before the turn goes on', async () => {
    const world = openGateway();
    const { client } = await asked(world, 'jump run');
    const [first = '', second = ''] = approvalsOf(client);
    await client.send({ type: 'approval_response', approval_id: second, approved: true });
    await world.clock.advance(5_000);
    expect(storyOf(client).at(-1)).toBe('told yes');
    await client.send({ type: 'approval_response', approval_id: first, approved: false });
    expect(storyOf(client).at(-1)).toBe('ok: May I? Done: run');
  });

  it('G-19 leaves its session free: what is asked meanwhile is answered first', async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    await client.send({ type: 'message', content: 'run', message_id: 'm2' });
    expect(storyOf(client)).toEqual([...ASKED, 'asked run', 'run_started', 'wants run', 'run_paused']);
    await client.send({ type: 'approval_response', approval_id: approvalId, approved: true });
    expect(eventsOf(client).at(-1)).toMatchObject({ type: 'response', data: { message_id: 'm1' } });
  });

  it('G-19 is told to everybody who joins, until it is answered', async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    const { session_id } = client.last('joined');
    const other = await world.join({ agent_id: 'clerk', session_id });
    expect(other.last('joined')).toMatchObject({
      pending: [
        {
          approval_id: approvalId,
          message_id: 'm1',
          tool_call: { id: 'jump', name: 'do', args: { what: 'jump' } },
          requested_at: expect.any(Number),
        },
      ],
      turn: null,
    });
    await other.send({ type: 'approval_response', approval_id: approvalId, approved: true });
    expect(storyOf(client).at(-1)).toBe('ok: May I? Done: jump');
    const late = await world.join({ agent_id: 'clerk', session_id });
    expect(late.last('joined').pending).toEqual([]);
  });

  it('G-19, L-9 outlives its server: it is answered on another, and the turn goes on there', async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    const { session_id } = client.last('joined');
    await Promise.all([world.gateway.close(), world.clock.advance(1_000)]);
    const heir = openGateway({ beside: world });
    const back = await heir.join({ agent_id: 'clerk', session_id });
    expect(back.last('joined').pending).toHaveLength(1);
    await back.send({ type: 'approval_response', approval_id: approvalId, approved: true });
    await world.clock.advance(10_000);
    expect(storyOf(back)).toEqual([...ASKED, 'told yes', 'run_continued', 'ok: May I? Done: jump']);
  });

  it('G-19 whose answer was stored and not told is told by whoever looks next', async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    const key = `approval/local/${approvalId}`;
    const stored = await world.store.records.get(key);
    const answered = { ...(stored?.value as object), answer: { approved: true, by: 'dead' } };
    await world.store.records.put(key, answered, { ifVersion: stored?.version ?? 0 });
    await client.send({ type: 'approval_response', approval_id: approvalId, approved: true });
    expect(client.last('approval_resolved').by).toBe('dead');
    expect(storyOf(client).at(-1)).toBe('ok: May I? Done: jump');
  });

  it('L-10 of another owner is unknown, as one that never was', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const { client: alice, approvalId } = await asked(world, 'jump', ALICE);
    const bob = await world.join({ agent_id: 'clerk', token: BOB });
    for (const approval_id of [approvalId, 'apr_none', '\ud800']) {
      await bob.send({ type: 'approval_response', approval_id, approved: true });
    }
    expect(bob.of('error').map(({ code }) => code)).toEqual(['not_found', 'not_found', 'not_found']);
    expect(storyOf(alice)).toEqual(ASKED);
  });

  it('G-19 of a turn that was aborted is gone: nobody is told that it was answered', async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    await client.send({ type: 'abort' });
    await client.send({ type: 'approval_response', approval_id: approvalId, approved: true });
    expect(client.last('error').code).toBe('not_found');
    expect(client.of('approval_resolved')).toEqual([]);
  });

  it('L-15 is not for a token that may not use its agent', async () => {
    const tokens = [
      { token: ALICE, subject: 'alice' },
      { token: BOB, subject: 'alice', agents: ['echo'] },
    ];
    const world = openGateway({ tokens });
    const { client, approvalId } = await asked(world, 'jump', ALICE);
    const narrow = await world.join({ agent_id: 'echo', token: BOB });
    await narrow.send({ type: 'approval_response', approval_id: approvalId, approved: true });
    expect(narrow.last('error').code).toBe('not_found');
    expect(storyOf(client)).toEqual(ASKED);
  });

  it('G-19 cannot be answered before a join', async () => {
    const { socket } = openGateway();
    const client = await socket('/');
    await client.send({ type: 'approval_response', approval_id: 'apr_1', approved: true });
    expect(client.last('error').code).toBe('bad_request');
  });

  it('G-16 paused turns are not in the way of others, up to a hundred of them', async () => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'clerk' });
    for (const number of range(1, 101)) {
      await client.send({ type: 'message', content: 'run', message_id: `m${number}` });
    }
    expect(approvalsOf(client)).toHaveLength(100);
    expect(only(client.of('error'))).toMatchObject({
      code: 'inbox_full',
      message: expect.stringContaining('wait for a person'),
    });
  });

  it('R-1 of a run with its own log pauses and ends it likewise', async () => {
    const world = openGateway();
    const { body } = await world.post('/agents/clerk/runs', {
      message: 'jump',
      stream: false,
      background: true,
    });
    const { run_id, session_id } = body as { run_id: string; session_id: string };
    await world.clock.advance(1_000);
    const output = async (): Promise<Record<string, unknown>> =>
      (await world.get(`/agents/clerk/runs/${run_id}?session_id=${session_id}`)).body as Record<
        string,
        unknown
      >;
    const paused = await output();
    expect(paused.status).toBe('PAUSED');
    const events = paused.events as { event: string; approval_id?: string }[];
    const approval_id = events.find(({ event }) => event === 'ApprovalRequested')?.approval_id;
    const client = await world.join({ agent_id: 'clerk' });
    await client.send({ type: 'approval_response', approval_id, approved: true });
    await world.clock.advance(1_000);
    expect(await output()).toMatchObject({ status: 'COMPLETED', content: 'May I? Done: jump' });
  });
});

describe('abort', () => {
  it('G-20 ends the turn under way, with what it had said', async () => {
    const { join, clock } = openGateway();
    const client = await join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'hi', message_id: 'm1' });
    await clock.advance(500);
    await client.send({ type: 'abort', reason: 'enough' });
    expect(only(client.of('aborted'))).toEqual({
      type: 'aborted',
      session_id: client.last('joined').session_id,
      message_id: 'm1',
    });
    expect(eventsOf(client).at(-1)).toMatchObject({
      type: 'response',
      data: { status: 'final', message_id: 'm1', outcome: { status: 'aborted', reason: 'enough' } },
    });
  });

  it.each([{ type: 'message_abort' }, { type: 'message', content: '/stop' }])(
    'G-20 has other names: %j',
    async (frame) => {
      const { join } = openGateway();
      const client = await join({ agent_id: 'slow' });
      await client.send({ type: 'message', content: 'hi', message_id: 'm1' });
      await client.send(frame);
      expect(only(client.of('aborted')).message_id).toBe('m1');
      expect(storyOf(client).at(-1)).toBe('aborted: ');
    },
  );

  it('G-20 keeps the beginning of a reason that is long', async () => {
    const { join } = openGateway();
    const client = await join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'hi' });
    await client.send({ type: 'abort', reason: 'x'.repeat(5_000) });
    expect(eventsOf(client).at(-1)?.data.outcome).toEqual({ status: 'aborted', reason: 'x'.repeat(400) });
  });

  it('G-20 of nothing says so', async () => {
    const { join } = openGateway();
    const client = await join();
    await client.send({ type: 'abort' });
    expect(only(client.of('no_active_turn')).session_id).toBe(client.last('joined').session_id);
    expect(eventsOf(client)).toEqual([]);
  });

  it('G-20 ends one turn: the next that waits is answered', async () => {
    const { join, clock } = openGateway();
    const client = await join({ agent_id: 'slow' });
    for (const content of ['one', 'two']) await client.send({ type: 'message', content });
    await client.send({ type: 'abort' });
    await clock.advance(3_000);
    expect(storyOf(client).filter((line) => line.includes(':'))).toEqual(['aborted: ', 'ok: echo: two']);
  });

  it('G-20 reaches a turn that another server drives', async () => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'hi' });
    const elsewhere = openGateway({ beside: world });
    const { session_id } = client.last('joined');
    const other = await elsewhere.join({ agent_id: 'slow', session_id });
    await other.send({ type: 'abort' });
    await world.clock.advance(1_900);
    expect(storyOf(client).at(-1)).toBe('aborted: ');
  });

  it('G-20 ends a turn that waits for an answer', async () => {
    const world = openGateway();
    const { client, approvalId } = await asked(world);
    await client.send({ type: 'abort' });
    await world.clock.advance(1_000);
    expect(storyOf(client)).toEqual([...ASKED, 'aborted: May I? ']);
    const { session_id } = client.last('joined');
    expect((await world.join({ agent_id: 'clerk', session_id })).last('joined').pending).toEqual([]);
    await client.send({ type: 'approval_response', approval_id: approvalId, approved: true });
    await world.clock.advance(10_000);
    expect(storyOf(client)).toHaveLength(5);
  });
});

describe('leave', () => {
  it('G-21 ends the viewing, not the session', async () => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'hi' });
    const { session_id } = client.last('joined');
    const before = client.frames.length;
    await client.send({ type: 'leave' });
    await world.clock.advance(5_000);
    expect(client.frames.slice(before)).toEqual([{ type: 'left', session_id }]);
    expect(client.closed).toBeNull();
    await client.send({ type: 'message', content: 'hi' });
    expect(client.last('error').code).toBe('bad_request');
    await client.send({ type: 'join', agent_id: 'slow', session_id });
    expect(client.last('joined').resumed).toBe(true);
    expect(storyOf(client).at(-1)).toBe('ok: echo: hi');
  });
});
