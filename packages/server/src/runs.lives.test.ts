import type { Component } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, eventsOf, openGateway, TWO_PEOPLE } from '../test/gateway.ts';
import { interceptStore } from '../test/intercept.ts';
import { nth, only, range } from '../test/pick.ts';
import { createPuppet } from '../test/puppet.ts';
import { beginRun } from '../test/run-world.ts';

/** What befalls runs from their start to their end, over pauses, trims and days. */

const ASK = { type: 'approval.requested', callId: 'c1', name: 'do' } as const;

describe('a run that is answered before it has paused', () => {
  it('R-16, L-1 shows all it does afterwards, though one lease saw both', async () => {
    const { world, run, puppet, path } = await beginRun();
    run.say({ type: 'text.delta', text: 'before' });
    run.say(ASK);
    await world.clock.settle();
    const { body } = await world.get('/approvals');
    const { approval_id: id } = only(body as { approval_id: string }[]);
    await world.post(`/approvals/${id}`, { approved: true });
    run.finish();
    await world.clock.settle();
    const again = nth(puppet.runs, 1);
    again.say({ type: 'tool.started', callId: 'c1', name: 'do' });
    again.say({ type: 'tool.completed', callId: 'c1', name: 'do' });
    again.say({ type: 'text.delta', text: ' and after' });
    again.say({ ...ASK, callId: 'c2' });
    again.finish();
    await world.clock.settle();
    const replayed = await world.stream(path('/resume'), {});
    expect(replayed.names.slice(1)).toEqual([
      'RunStarted',
      'RunContent',
      'ApprovalRequested',
      'RunPaused',
      'ApprovalResolved',
      'RunContinued',
      'ToolCallStarted',
      'ToolCallCompleted',
      'RunContent',
      'ApprovalRequested',
      'RunPaused',
    ]);
  });
});

describe('a cancel that meets a pause', () => {
  it('R-12 ends the run', async () => {
    const puppet = createPuppet('puppet');
    let meet = (): void => {};
    const world = openGateway({
      agents: [puppet.component],
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.drafts?.some(({ type }) => type === 'run.paused')) {
            meet();
            for (const _turn of range(1, 5)) await world.clock.settle();
          }
          return go();
        }),
    });
    const start = { message: 'hi', stream: false, background: true };
    const { body } = await world.post('/agents/puppet/runs', start);
    const path = `/agents/puppet/runs/${(body as { run_id: string }).run_id}`;
    meet = () => void world.ask('POST', `${path}/cancel`);
    await world.clock.settle();
    only(puppet.runs).say(ASK);
    only(puppet.runs).finish();
    await world.clock.advance(2_000);
    expect((await world.get(path)).body).toMatchObject({ status: 'CANCELLED' });
  });
});

describe('a run whose beginning was trimmed', () => {
  async function trimmed(more: Partial<Component> = {}) {
    const puppet = createPuppet('puppet', more);
    const world = openGateway({ agents: [puppet.component], retention: { run: { maxEntries: 20 } } });
    const start = { message: 'hi', stream: false, background: true };
    const { body } = await world.post('/agents/puppet/runs', start);
    const { run_id: runId } = body as { run_id: string };
    await world.clock.settle();
    const run = only(puppet.runs);
    for (const number of range(1, 100)) {
      run.say({ type: 'text.delta', text: `${number} ` });
      await world.clock.settle();
    }
    const [head] = await world.store.logs.heads([`run:local:${runId}`]);
    expect(head?.oldest).toBeGreaterThan(50);
    const path = `/agents/puppet/runs/${runId}`;
    const shown = async (): Promise<unknown> => (await world.get(path)).body;
    return { world, puppet, run, path, shown };
  }

  it('L-1, R-9 is what it was: begun once, with all it said', async () => {
    const { world, puppet, run, shown } = await trimmed();
    const text = range(1, 100).join(' ');
    expect(await shown()).toMatchObject({ status: 'RUNNING', content: `${text} ` });
    run.finish();
    await world.clock.advance(5_000);
    expect(await shown()).toMatchObject({ status: 'COMPLETED', content: `${text} ` });
    expect(puppet.runs).toHaveLength(1);
  });

  it('R-16 pauses, and goes on with the answer', async () => {
    const { world, puppet, run, path, shown } = await trimmed();
    run.say(ASK);
    run.finish();
    await world.clock.advance(5_000);
    expect(await shown()).toMatchObject({ status: 'PAUSED' });
    expect(puppet.runs).toHaveLength(1);
    const tools = [{ tool_call_id: 'c1', confirmed: true }];
    await world.post(`${path}/continue`, { tools, stream: false, background: true });
    await world.clock.settle();
    const again = nth(puppet.runs, 1);
    expect(again.context.continues).toBe(true);
    again.finish();
    await world.clock.advance(5_000);
    expect(await shown()).toMatchObject({ status: 'COMPLETED' });
  });

  it('R-22 is interrupted when its server dies, not begun anew', async () => {
    const { world, run } = await trimmed();
    run.say({ type: 'text.delta', text: 'the last words' });
    await world.clock.settle();
    const heirs = createPuppet('puppet');
    const heir = openGateway({ beside: world, agents: [heirs.component] });
    const [log] = (await world.store.records.list('work/', { limit: 1 })).map(({ key }) => key.slice(5));
    await world.store.records.remove(`lease/${log}`); // as if its holder were gone
    await heir.clock.advance(5_000);
    expect(heirs.runs).toHaveLength(0);
    const { body } = await heir.get(`/agents/puppet/runs/${log?.split(':').at(-1)}`);
    expect(body).toMatchObject({ status: 'ERROR', error_type: 'interrupted' });
  });
});

describe('a run with two questions', () => {
  it('R-18 ends with the first that nobody answered in time', async () => {
    const { world, run, path } = await beginRun();
    run.say({ ...ASK, expiresInMs: 60_000 });
    run.say({ ...ASK, callId: 'c2' });
    run.finish();
    await world.clock.advance(65_000);
    expect((await world.get(path())).body).toMatchObject({ status: 'ERROR', error_type: 'approval_expired' });
    expect((await world.get('/approvals')).body).toEqual([]);
  });
});

describe('a refused start', () => {
  it('R-11 leaves its key free', async () => {
    const { post } = openGateway({
      agents: [createPuppet('puppet').component, createPuppet('other').component],
    });
    const start = { message: 'hi', stream: false, background: true, run_id: 'k1' };
    await post('/agents/other/runs', { ...start, run_id: 'k0', session_id: 's1' });
    expect((await post('/agents/puppet/runs', { ...start, session_id: 's1' })).status).toBe(404);
    expect((await post('/agents/puppet/runs', start)).status).toBe(202);
  });
});

describe('a long message', () => {
  it('R-23 is cut in lists, and whole for the agent and in the output', async () => {
    const puppet = createPuppet('puppet');
    const { clock, post, get } = openGateway({ agents: [puppet.component] });
    const message = 'x'.repeat(100_000);
    const start = { message, stream: false, background: true, run_id: 'k1' };
    const { body } = await post('/agents/puppet/runs', start);
    const { run_id: runId } = body as { run_id: string };
    await clock.settle();
    expect(only(puppet.runs).context.input).toBe(message);
    for (const path of ['/runs', '/agents/puppet/runs'])
      expect((await get(path)).body).toMatchObject([{ message: 'x'.repeat(500), message_truncated: true }]);
    expect((await get(`/runs/${runId}`)).body).toMatchObject({ message_truncated: true });
    expect((await get(`/agents/puppet/runs/${runId}`)).body).toMatchObject({
      messages: [{ role: 'user', content: message }],
    });
    expect((await post('/agents/puppet/runs', start)).body).toMatchObject({ run_id: runId });
  });
});

describe('a question of a run', () => {
  it('G-19, R-16 is there for every viewer of its session, until it has its answer', async () => {
    const { world, run, path } = await beginRun();
    const before = await world.join({ agent_id: 'puppet', session_id: 's1' });
    run.say({ ...ASK, args: { to: 'Porto' } });
    run.finish();
    await world.clock.settle();
    const asked = eventsOf(before).filter(({ type }) => type === 'approval_requested');
    const { approval_id: id } = only(asked).data;
    const after = await world.join({ agent_id: 'puppet', session_id: 's1' });
    expect(after.last('joined').pending).toMatchObject([
      { approval_id: id, tool_call: { id: 'c1', name: 'do', args: { to: 'Porto' } } },
    ]);
    await after.send({ type: 'approval_response', approval_id: String(id), approved: true });
    expect(after.last('approval_resolved')).toMatchObject({ approved: true });
    await world.clock.settle();
    expect(eventsOf(before).filter(({ type }) => type === 'approval_resolved')).toHaveLength(1);
    const last = await world.join({ agent_id: 'puppet', session_id: 's1' });
    expect(last.last('joined').pending).toEqual([]);
    expect((await world.get(path())).body).toMatchObject({ status: 'RUNNING' });
  });

  it('R-12 is gone with its run', async () => {
    const { world, pause, path } = await beginRun();
    await pause('c1');
    await world.post(path('/cancel'));
    await world.clock.settle();
    const after = await world.join({ agent_id: 'puppet', session_id: 's1' });
    expect(after.last('joined').pending).toEqual([]);
  });
});

describe('an answer at a server that has not the agent', () => {
  it.each(['/approvals', '/continue'])('R-18, R-16 reaches one that has it: %s', async (way) => {
    const { world, pause, puppet, path } = await beginRun();
    await pause('c1');
    const other = openGateway({ beside: world, agents: way === '/continue' ? [puppet.component] : [] });
    await world.clock.advance(12_000);
    if (way === '/continue') {
      const tools = [{ tool_call_id: 'c1', confirmed: true }];
      await other.post(path('/continue'), { tools, stream: false, background: true });
    } else {
      const { approval_id: id } = only((await other.get('/approvals')).body as { approval_id: string }[]);
      await other.post(`/approvals/${id}`, { approved: true });
    }
    await world.clock.advance(2_000);
    expect(puppet.runs).toHaveLength(2);
  });
});

describe('many runs of one owner', () => {
  it('R-12, R-16, R-18 can be cancelled and answered beyond the bound, and expire', async () => {
    const puppet = createPuppet('puppet');
    const { clock, post, get } = openGateway({ agents: [puppet.component] });
    const start = { message: 'hi', stream: false, background: true };
    const begin = async (): Promise<string> => {
      const { body } = await post('/agents/puppet/runs', start);
      return `/agents/puppet/runs/${(body as { run_id: string }).run_id}`;
    };
    const asking = await begin();
    await clock.settle();
    only(puppet.runs).say(ASK);
    only(puppet.runs).finish();
    await clock.settle();
    const expiring = await begin();
    await clock.settle();
    nth(puppet.runs, 1).say({ ...ASK, expiresInMs: 500 });
    nth(puppet.runs, 1).finish();
    await clock.settle();
    await Promise.all(range(1, 1_000).map(begin));
    const waiting = await begin();
    await clock.settle();
    expect((await get(waiting)).body).toMatchObject({ status: 'PENDING' });
    await post(`${waiting}/cancel`);
    const open = (await get('/approvals')).body as { approval_id: string; run_id: string }[];
    const { approval_id: id } = only(open.filter(({ run_id }) => asking.endsWith(run_id)));
    await post(`/approvals/${id}`, { approved: true });
    await clock.advance(2_500);
    expect((await get(expiring)).body).toMatchObject({ status: 'ERROR', error_type: 'approval_expired' });
    expect((await get(waiting)).body).toMatchObject({ status: 'CANCELLED' });
    const { events } = (await get(asking)).body as { events: { event: string }[] };
    expect(events.map(({ event }) => event)).toContain('ApprovalResolved'); // it goes on when there is room
  });

  it('keep nobody else from theirs', async () => {
    const { agents, count } = { agents: [createPuppet('puppet').component], count: 1_010 };
    const echo: Component = { kind: 'agent', id: 'echo', name: 'Echo', async *run() {} };
    const { clock, post } = openGateway({ agents: [...agents, echo], tokens: TWO_PEOPLE });
    const start = { message: 'hi', stream: false, background: true };
    await Promise.all(range(1, count).map(() => post('/agents/puppet/runs', start, { token: ALICE })));
    const output = post('/agents/echo/runs', { message: 'hi', stream: false }, { token: BOB });
    await clock.advance(3_000);
    expect((await output).body).toMatchObject({ status: 'COMPLETED' });
  });
});
