import { RunAccepted, RunOutput } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { nth, only } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import { beginRun, indexesOf } from '../../test/run-world.ts';

const BACKGROUND = { stream: false, background: true };
const KEY = { 'idempotency-key': 'k1' };

describe('the key of a start', () => {
  it.each([
    ['as a header', { headers: KEY }, {}],
    ['as its alias in the body', {}, { run_id: 'k1' }],
    ['as both', { headers: KEY }, { run_id: 'k1' }],
  ])('R-11 attaches to the run it has started, given %s', async (_how, ask, more) => {
    const puppet = createPuppet('puppet');
    const { post, stream, clock } = openGateway({ agents: [puppet.component] });
    const body = { message: 'hi', session_id: 's1' };
    const first = await post('/agents/puppet/runs', { ...body, ...BACKGROUND }, { headers: KEY });
    const { run_id: runId, status } = RunAccepted.parse(first.body);
    expect([first.status, status]).toEqual([202, 'PENDING']);
    await clock.settle();
    const again = await post('/agents/puppet/runs', { ...body, ...more, ...BACKGROUND }, ask);
    expect([again.status, again.body]).toEqual([202, { run_id: runId, session_id: 's1', status: 'RUNNING' }]);
    const attached = await stream('/agents/puppet/runs', { ...body, ...more }, ask);
    only(puppet.runs).finish();
    await clock.settle();
    expect([attached.names, attached.ended]).toEqual([['RunStarted', 'RunCompleted'], true]);
    expect(nth(attached.events, 0).run_id).toBe(runId);
  });

  it('R-11 is answered from the first event also when the run has ended, streamed or not', async () => {
    const { stream, post } = openGateway();
    const first = await stream('/agents/echo/runs', { message: 'a b', session_id: 's1' }, { headers: KEY });
    const again = await stream('/agents/echo/runs', { message: 'a b', session_id: 's1' }, { headers: KEY });
    expect([again.events, again.ended]).toEqual([first.events, true]);
    const body = { message: 'a b', session_id: 's1', stream: false };
    const { body: output } = await post('/agents/echo/runs', body, { headers: KEY });
    expect(RunOutput.parse(output)).toMatchObject({ status: 'COMPLETED', content: 'echo: a b' });
  });

  it('R-11 with another message or session is refused, and says of which run it is', async () => {
    const { post } = openGateway();
    const body = { message: 'hi', session_id: 's1', ...BACKGROUND };
    const first = await post('/agents/echo/runs', body, { headers: KEY });
    const { run_id } = RunAccepted.parse(first.body);
    for (const other of [{ message: 'ho' }, { session_id: 's2' }]) {
      const answer = await post('/agents/echo/runs', { ...body, ...other }, { headers: KEY });
      expect([answer.status, answer.body]).toMatchObject([409, { code: 'conflict', run_id }]);
    }
  });

  it('R-11 starts one run where it comes many times at once, to two servers', async () => {
    const puppet = createPuppet('puppet');
    const one = openGateway({ agents: [puppet.component] });
    const other = openGateway({ beside: one, agents: [puppet.component] });
    const asked = [one, other, one, other].map((world) =>
      world.ask('POST', '/agents/puppet/runs', { body: { message: 'hi', ...BACKGROUND }, headers: KEY }),
    );
    const answers = await Promise.all(asked.map((each) => each.answer()));
    const ids = new Set(answers.map(({ body }) => RunAccepted.parse(body).run_id));
    await one.clock.advance(10_000);
    expect([ids.size, puppet.runs.length]).toEqual([1, 1]);
    expect(await one.store.records.list('run/', { limit: 10 })).toHaveLength(1);
  });

  it('R-11, R-5 of two that start it at once, one may not leave', async () => {
    const puppet = createPuppet('puppet');
    const { ask, clock } = openGateway({ agents: [puppet.component] });
    const body = { message: 'hi' };
    const asked = [1, 2].map(() => ask('POST', '/agents/puppet/runs', { body, headers: KEY }));
    const [first, second] = await Promise.all(asked.map((each) => each.stream()));
    second?.hangUp();
    await clock.advance(5_000);
    expect(only(puppet.runs).stopped).toBe(false);
    first?.hangUp();
    await clock.advance(5_000);
    expect(only(puppet.runs).stopped).toBe(true);
  });

  it('R-11, L-10 is its owner’s and its component’s alone', async () => {
    const { post } = openGateway({ tokens: TWO_PEOPLE });
    const ids = new Set<string>();
    for (const [path, token] of [
      ['/agents/echo/runs', ALICE],
      ['/agents/slow/runs', ALICE],
      ['/agents/echo/runs', BOB],
    ] as const) {
      const { body } = await post(path, { message: 'hi', ...BACKGROUND }, { token, headers: KEY });
      ids.add(RunAccepted.parse(body).run_id);
    }
    expect(ids.size).toBe(3);
  });

  it.each([
    ['two of them', { headers: KEY }, { run_id: 'k2' }, 'run_id'],
    ['a long header', { headers: { 'idempotency-key': 'x'.repeat(201) } }, {}, 'idempotency-key'],
    ['an empty header', { headers: { 'idempotency-key': '' } }, {}, 'idempotency-key'],
    ['an empty alias', {}, { run_id: '' }, 'run_id'],
    ['an alias that is no text', {}, { run_id: 7 }, 'run_id'],
  ])('R-11 as %s gets 422, which names the field', async (_what, ask, more, field) => {
    const { post } = openGateway();
    const { status, body } = await post('/agents/echo/runs', { message: 'hi', ...more }, ask);
    expect([status, body]).toMatchObject([422, { detail: expect.stringContaining(field) }]);
  });

  it('R-11, R-5 a client that was attached by it may leave: whoever started the run may not', async () => {
    const puppet = createPuppet('puppet');
    const { stream, clock } = openGateway({ agents: [puppet.component] });
    const first = await stream('/agents/puppet/runs', { message: 'hi' }, { headers: KEY });
    const second = await stream('/agents/puppet/runs', { message: 'hi' }, { headers: KEY });
    second.hangUp();
    await clock.advance(5_000);
    expect([only(puppet.runs).stopped, first.ended]).toEqual([false, false]);
    first.hangUp();
    await clock.advance(5_000);
    expect(only(puppet.runs).stopped).toBe(true);
  });
});

describe('a run that pauses', () => {
  it('R-2, R-5 ends the stream of its start, and a client that leaves by that cancels nothing', async () => {
    const { world, stream, pause, path } = await beginRun({}, { background: false });
    await pause('c1');
    expect(stream.names).toEqual(['RunStarted', 'ApprovalRequested', 'RunPaused']);
    expect([stream.ended, stream.problem]).toEqual([true, null]);
    stream.hangUp();
    await world.clock.advance(5_000);
    expect((await world.get(path())).body).toMatchObject({ status: 'PAUSED' });
  });

  it('R-5 answers a start that is not streamed with its output', async () => {
    const { post } = openGateway();
    const { status, body } = await post('/agents/clerk/runs', { message: 'buy sell', stream: false });
    const output = RunOutput.parse(body);
    expect([status, output]).toMatchObject([200, { status: 'PAUSED', content: 'May I? ' }]);
    expect(output.events.at(-1)?.event).toBe('RunPaused');
  });

  it('R-2, R-11 ends a stream that is attached to it, also where one of its questions has an answer', async () => {
    const { world, pause, approve } = await beginRun({}, { run_id: 'k1' });
    await pause('c1', 'c2');
    await approve('c1');
    await world.clock.settle();
    const attached = await world.stream('/agents/puppet/runs', {
      message: 'hi',
      session_id: 's1',
      run_id: 'k1',
    });
    expect([attached.names.at(-1), attached.ended]).toEqual(['ApprovalResolved', true]);
  });

  it('R-2, R-11 does not end a stream at a pause that is over', async () => {
    const { world, pause, approve, finish } = await beginRun({}, { run_id: 'k1' });
    await pause('c1');
    await approve('c1');
    await world.clock.settle();
    const body = { message: 'hi', session_id: 's1', run_id: 'k1', background: true };
    const attached = await world.stream('/agents/puppet/runs', body);
    expect(attached.names.slice(-3)).toEqual(['RunPaused', 'ApprovalResolved', 'RunContinued']);
    expect(attached.ended).toBe(false);
    await finish();
    expect([attached.names.at(-1), attached.ended]).toEqual(['RunCompleted', true]);
    expect(indexesOf(attached)).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe('the body of a start', () => {
  it.each([
    ['text', 'hello', 400, 'form'],
    ['JSON that is no object', '[1]', 422, 'object'],
    ['a number for a session', { message: 'x', session_id: 1 }, 422, 'session_id'],
    ['a list for a message', { message: ['x'] }, 422, 'message'],
    ['a long session', { message: 'x', session_id: 'x'.repeat(201) }, 422, 'session_id'],
  ])('R-9 that is %s is refused with a sentence', async (_what, body, code, word) => {
    const { post } = openGateway();
    const answer = await post('/agents/echo/runs', body);
    expect([answer.status, answer.body]).toMatchObject([code, { detail: expect.stringContaining(word) }]);
  });

  it('L-12, R-9 that is too large is refused with a sentence', async () => {
    const { post } = openGateway({ limits: { maxPayloadBytes: 2_000 } });
    const { status, body } = await post('/agents/echo/runs', { message: 'x'.repeat(2_000) });
    expect([status, body]).toMatchObject([
      413,
      { detail: expect.stringContaining('2000 bytes'), code: 'too_large' },
    ]);
  });

  it('R-9 that is a form of too many fields is refused with a sentence', async () => {
    const { ask } = openGateway();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const asked = { headers, body: `message=hi&${'a&'.repeat(1_000)}` };
    const { status, body } = await ask('POST', '/agents/echo/runs', asked).answer();
    expect([status, body]).toEqual([413, { detail: 'A form has at most 1000 fields.', code: 'too_large' }]);
  });

  it.each([
    ['Application/X-WWW-Form-Urlencoded', 'message=hi&stream=no'],
    [
      'MULTIPART/FORM-DATA; Boundary=Xx',
      ['message', 'stream']
        .map((name) => `--Xx\r\nContent-Disposition: form-data; name="${name}"\r\n\r\nno\r\n`)
        .join('')
        .concat('--Xx--\r\n'),
    ],
  ])('R-9 is a form also where its type is written %s', async (type, body) => {
    const { ask } = openGateway();
    const asked = ask('POST', '/agents/echo/runs', { body, headers: { 'content-type': type } });
    const answer = await asked.answer();
    expect([answer.status, answer.body]).toMatchObject([200, { status: 'COMPLETED' }]);
  });

  it('L-10, R-5 says nothing of who owns the run', async () => {
    const { post, get } = openGateway({ tokens: TWO_PEOPLE });
    const asked = { message: 'x', stream: false, user_id: 'bob' };
    const { body } = await post('/agents/echo/runs', asked, { token: ALICE });
    const path = `/agents/echo/runs/${RunOutput.parse(body).run_id}`;
    expect((await get(path, { token: BOB })).status).toBe(404);
    expect((await get(path, { token: ALICE })).status).toBe(200);
  });
});
