import { RunAccepted, type RunEventJson, RunOutput } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { nth, range } from '../../test/pick.ts';
import { beginRun, indexesOf, type RunWorld } from '../../test/run-world.ts';

/** What a client echoes: the tools of the newest pause, each with an answer. */
function echoed(events: readonly RunEventJson[], confirmed = true): object[] {
  const { tools } = nth(
    events.filter(({ event }) => event === 'RunPaused'),
    -1,
  );
  return (tools as object[]).map((tool) => ({ ...tool, confirmed }));
}

/** A run that waits for the answers to these calls. */
async function paused(...calls: readonly string[]): Promise<RunWorld> {
  const world = await beginRun();
  await world.pause(...calls);
  return world;
}

const BACKGROUND = { stream: false, background: true };

describe('continuing a run', () => {
  it.each([
    ['JSON', false],
    ['a form', true],
  ])('R-17 answers what was asked and streams from there on, by %s', async (_how, isForm) => {
    const { world, stream, path, puppet, finish } = await paused('c1', 'c2');
    const tools = echoed(stream.events);
    const ask = isForm
      ? { form: { tools: JSON.stringify(tools), session_id: 's1', background: 'true' } }
      : { body: { tools, session_id: 's1', background: true } };
    const streamed = await world.ask('POST', path('/continue'), ask).stream();
    expect(streamed.names).toEqual(['ApprovalResolved', 'ApprovalResolved', 'RunContinued']);
    await finish();
    expect(indexesOf(streamed)).toEqual(range(4, 7));
    expect([streamed.names.at(-1), streamed.ended]).toEqual(['RunCompleted', true]);
    expect(nth(puppet.runs, 1).context.approvals.map(({ answer }) => answer)).toEqual(
      [1, 2].map(() => ({ approved: true, by: 'local' })),
    );
  });

  it('R-17 ends its stream at the next pause, not at the one before', async () => {
    const { world, stream, path, pause } = await paused('c1');
    const tools = echoed(stream.events);
    const streamed = await world.stream(path('/continue'), { tools });
    expect(streamed.ended).toBe(false);
    await pause('c2');
    expect(streamed.names).toEqual(['ApprovalResolved', 'RunContinued', 'ApprovalRequested', 'RunPaused']);
    expect(streamed.ended).toBe(true);
  });

  it('R-17, R-5 in the background gets 202, and without it the output', async () => {
    const { world, stream, path, pause, finish, runId } = await paused('c1');
    const { status, body } = await world.post(path('/continue'), {
      tools: echoed(stream.events),
      ...BACKGROUND,
    });
    expect([status, RunAccepted.parse(body)]).toEqual([
      202,
      { run_id: runId, session_id: 's1', status: 'RUNNING' },
    ]);
    await world.clock.settle();
    await pause('c2');
    const tools = [{ tool_call_id: 'c2', confirmed: false, note: 'too dear' }];
    const asked = world.ask('POST', path('/continue'), { body: { tools, stream: false } });
    await world.clock.settle();
    expect(asked.answered).toBe(false);
    await finish();
    const output = RunOutput.parse((await asked.answer()).body);
    expect(output.status).toBe('COMPLETED');
    expect(output.events.findLast(({ event }) => event === 'ApprovalResolved')).toMatchObject({
      approved: false,
      note: 'too dear',
      resolved_by: 'local',
    });
  });

  it('R-17, R-5 streamed and not in the background ends with its client', async () => {
    const { world, stream, path } = await paused('c1');
    const streamed = await world.stream(path('/continue'), { tools: echoed(stream.events) });
    streamed.hangUp();
    await world.clock.advance(1_000);
    expect((await world.get(path())).body).toMatchObject({ status: 'CANCELLED' });
  });

  it('R-17 takes arguments whatever the order of their keys', async () => {
    const { world, path } = await paused('c1');
    const tools = [{ tool_call_id: 'c1', tool_args: { times: 1, what: 'c1' }, confirmed: true }];
    expect((await world.post(path('/continue'), { tools, ...BACKGROUND })).status).toBe(202);
  });

  it.each([
    ['other arguments', { tool_args: { what: 'c1', times: 2 } }, 'tool_args'],
    ['fewer arguments', { tool_args: { what: 'c1' } }, 'tool_args'],
    ['no arguments where there were some', { tool_args: null }, 'tool_args'],
    ['another name', { tool_name: 'undo' }, '"undo"'],
    ['another call', { tool_call_id: 'c3' }, '"c3"'],
  ])('R-17 with %s is refused, and nothing is answered', async (_what, more, word) => {
    const { world, path } = await paused('c1', 'c2');
    const tools = [
      { tool_call_id: 'c2', confirmed: true },
      { tool_call_id: 'c1', confirmed: true, ...more },
    ];
    const { status, body } = await world.post(path('/continue'), { tools, ...BACKGROUND });
    expect([status, body]).toMatchObject([409, { code: 'conflict', detail: expect.stringContaining(word) }]);
    const open = await world.post(path('/continue'), { tools: [], ...BACKGROUND });
    expect(open.body).toMatchObject({ open: ['c1', 'c2'] });
  });

  it('R-17 with a question left open is refused: what was answered stays answered', async () => {
    const { world, path, approve, puppet } = await paused('c1', 'c2');
    const first = await approve('c1');
    expect([first.status, first.body]).toMatchObject([409, { detail: expect.stringContaining('"c2"') }]);
    await world.clock.settle();
    expect((await world.get(path())).body).toMatchObject({ status: 'PAUSED' });
    expect((await approve('c1', 'c2')).status).toBe(202);
    await world.clock.settle();
    expect(puppet.runs).toHaveLength(2);
  });

  it('R-17, R-18 against the answer that was given gets 409 with that one', async () => {
    const { world, path, approve } = await paused('c1', 'c2');
    await approve('c1');
    const tools = [{ tool_call_id: 'c1', confirmed: false }];
    const { status, body } = await world.post(path('/continue'), { tools, ...BACKGROUND });
    expect([status, body]).toMatchObject([409, { code: 'conflict', approved: true, by: 'local' }]);
  });

  it('R-17, R-18 two answers at once: one wins, the other is told', async () => {
    const { world, path } = await paused('c1');
    const answers = [true, false].map((confirmed) =>
      world.ask('POST', path('/continue'), {
        body: { tools: [{ tool_call_id: 'c1', confirmed }], ...BACKGROUND },
      }),
    );
    const statuses = await Promise.all(answers.map(async (asked) => (await asked.answer()).status));
    expect(statuses.toSorted((a, b) => a - b)).toEqual([202, 409]);
  });

  it('R-17 a run that does not wait is refused', async () => {
    const { world, path, finish } = await beginRun();
    for (const status of ['RUNNING', 'COMPLETED']) {
      const answer = await world.post(path('/continue'), { tools: [] });
      expect([answer.status, answer.body]).toMatchObject([409, { detail: expect.stringContaining(status) }]);
      await finish();
    }
  });

  it('R-17 tells two members with one call id apart by what they asked', async () => {
    const { world, run, path } = await beginRun();
    for (const what of ['a', 'b'])
      run.say({ type: 'approval.requested', callId: 'c1', name: 'do', args: { what }, by: memberOf(what) });
    run.finish();
    await world.clock.settle();
    const tools = ['b', 'a'].map((what) => ({
      tool_call_id: 'c1',
      tool_args: { what },
      confirmed: what === 'a',
    }));
    expect((await world.post(path('/continue'), { tools, ...BACKGROUND })).status).toBe(202);
    await world.clock.settle();
    const { events } = RunOutput.parse((await world.get(path())).body);
    const answers = events.filter(({ event }) => event === 'ApprovalResolved');
    expect(answers.map(({ approved }) => approved)).toEqual([true, false]);
  });

  it('R-17 tells two members that ask the same apart by the ids of the questions', async () => {
    const { world, run, path } = await beginRun();
    for (const who of ['a', 'b'])
      run.say({ type: 'approval.requested', callId: 'c1', name: 'do', by: memberOf(who) });
    run.finish();
    await world.clock.settle();
    const { events: before } = RunOutput.parse((await world.get(path())).body);
    const [first, second] = echoed(before);
    const tools = [{ ...second, confirmed: false }, first];
    expect((await world.post(path('/continue'), { tools, ...BACKGROUND })).status).toBe(202);
    await world.clock.settle();
    const { events } = RunOutput.parse((await world.get(path())).body);
    const answers = events.filter(({ event }) => event === 'ApprovalResolved');
    expect(answers.map(({ approved }) => approved)).toEqual([true, false]);
  });

  it('R-7, R-16 is known to wait however large its questions are, and with answers to some', async () => {
    const { world, run, resume, approve, elsewhere } = await beginRun();
    for (const number of range(1, 12)) {
      const args = { text: 'x'.repeat(30_000) };
      run.say({ type: 'approval.requested', callId: `c${number}`, name: 'do', args });
    }
    run.finish();
    await world.clock.settle();
    const status = async (): Promise<unknown> => {
      const { meta, ended } = await resume({ last_event_index: 99 }, elsewhere());
      return [meta, ended];
    };
    expect(await status()).toMatchObject([[{ event: 'replay', status: 'PAUSED' }], true]);
    await approve('c1', 'c2');
    await world.clock.settle();
    expect(await status()).toMatchObject([[{ event: 'replay', status: 'PAUSED' }], true]);
  });

  it.each([
    ['no list', { tools: 'yes' }, 422, 'tools'],
    ['a tool without an answer', { tools: [{ tool_call_id: 'c1' }] }, 422, 'confirmed'],
    ['another session', { tools: [], session_id: 's2' }, 404, 'not found'],
  ])('R-17 with %s is refused', async (_what, body, status, word) => {
    const { world, path } = await paused('c1');
    const answer = await world.post(path('/continue'), body);
    expect([answer.status, answer.body]).toMatchObject([status, { detail: expect.stringContaining(word) }]);
  });

  it("R-4, L-10 another owner's run is not there", async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const body = { message: 'buy', stream: false };
    const { body: output } = await world.post('/agents/clerk/runs', body, { token: ALICE });
    const path = `/agents/clerk/runs/${RunOutput.parse(output).run_id}`;
    const tools = [{ tool_call_id: 'buy', confirmed: true }];
    for (const below of ['continue', 'cancel', 'steer']) {
      const asked = await world.post(`${path}/${below}`, { tools, message: 'x' }, { token: BOB });
      expect([asked.status, asked.body]).toEqual([404, { detail: 'Run not found', code: 'not_found' }]);
    }
    expect((await world.get(`${path}/events`, { token: BOB })).status).toBe(404);
    const mine = await world.post(`${path}/continue`, { tools, stream: false }, { token: ALICE });
    expect(mine.body).toMatchObject({ status: 'COMPLETED', content: 'May I? Done: buy' });
  });
});

function memberOf(name: string): { runId: string; component: { kind: 'agent'; id: string; name: string } } {
  return { runId: `member-${name}`, component: { kind: 'agent', id: name, name } };
}
