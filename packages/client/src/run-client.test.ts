import { describe, expect, it } from 'vitest';
import { outcome } from '../test/client.ts';
import { completed, read, said, setUp } from '../test/runs.ts';
import { RunClient } from './run-client.ts';

const ACCEPTED = { run_id: 'r1', session_id: 's1', status: 'PENDING' };

describe('starting a run', () => {
  it('R-5, R-11 asks for it in the background, under a key of its own', async () => {
    const { client, request, clock } = setUp({ token: 'secret' });
    const started = client.start({ agent: 'echo/x', message: 'hi', sessionId: 's1' });
    const { method, path, headers, body, answer } = await request();
    expect([method, path]).toEqual(['POST', '/agents/echo%2Fx/runs']);
    expect(body).toEqual({ message: 'hi', session_id: 's1', background: true, stream: false });
    expect(headers.get('idempotency-key')).toBe('id1');
    expect(headers.get('authorization')).toBe('Bearer secret');
    answer(202, ACCEPTED);
    const handle = await started;
    expect([handle.runId, handle.sessionId, handle.view.status]).toEqual(['r1', 's1', 'PENDING']);
    expect(clock.timers).toBe(0);
  });

  it('R-11 asks again with the same key when the network fails, and cannot start two', async () => {
    const { client, request, clock, asked, retries } = setUp();
    const started = client.start({ team: 'desk', message: { text: 'hi' } });
    (await request()).fail();
    await clock.advance(1_000);
    expect(asked).toHaveLength(2);
    await clock.advance(15_000); // nobody answers the second
    expect(asked[1]?.isGone).toBe(true);
    await clock.advance(2_000);
    (await request()).answer(202, ACCEPTED);
    await started;
    expect(asked.map(({ path }) => path)).toEqual(Array(3).fill('/teams/desk/runs'));
    expect(new Set(asked.map(({ headers }) => headers.get('idempotency-key')))).toEqual(new Set(['id1']));
    expect(retries).toEqual([1_000, 2_000]);
  });

  it.each([429, 503, 502])('waits as long as a busy gateway says (%i)', async (status) => {
    const { client, request, clock, asked, retries } = setUp();
    const started = client.start({ workflow: 'post', message: 'hi', idempotencyKey: 'mine' });
    (await request()).answer(status, { detail: 'Busy.' }, { 'retry-after': '7' });
    await clock.advance(6_999);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect((await request()).headers.get('idempotency-key')).toBe('mine');
    (await request()).answer(202, ACCEPTED);
    await started;
    expect(retries).toEqual([7_000]);
  });

  it.each([
    [422, 'invalid'],
    [404, 'not_found'],
    [409, 'conflict'],
    [403, 'forbidden'],
    [400, 'bad_request'],
    [500, 'internal'],
  ])('rejects what the gateway refuses with %i', async (status, code) => {
    const { client, request, asked } = setUp();
    const started = client.start({ agent: 'echo', message: 'hi' });
    (await request()).answer(status, { detail: 'No such thing.' });
    await expect(started).rejects.toMatchObject({ name: 'GatewayError', code, message: 'No such thing.' });
    expect(asked).toHaveLength(1);
  });

  it('rejects what is too large as every client does', async () => {
    const { client, request } = setUp();
    const started = client.start({ agent: 'echo', message: 'hi' });
    (await request()).answer(413, '<html>');
    await expect(started).rejects.toMatchObject({ name: 'TooLargeError', code: 'too_large' });
  });

  it.each([408, 425])('asks again where the gateway was not ready (%i)', async (status) => {
    const { client, request, clock } = setUp();
    const started = client.start({ agent: 'echo', message: 'hi' });
    (await request()).answer(status);
    await clock.advance(1_000);
    (await request()).answer(202, ACCEPTED);
    await started;
  });

  it.each([
    ['Thu, 01 Jan 1970 00:00:20 GMT', 20_000],
    ['Thu, 01 Jan 1970 02:00:00 GMT', 3_600_000],
    ['Wed, 31 Dec 1969 00:00:00 GMT', 1_000],
    ['soon', 1_000],
  ])('waits until the date that a busy gateway says: %s', async (date, waitMs) => {
    const { client, request, clock, retries } = setUp();
    void client.start({ agent: 'echo', message: 'hi' });
    (await request()).answer(503, { detail: 'Busy.' }, { 'retry-after': date });
    await clock.settle();
    expect(retries).toEqual([waitMs]);
  });

  it.each([
    [301, { location: 'https://there/agents/echo/runs' }, 'redirects to https://there/agents/echo/runs'],
    [302, {}, 'redirects to another url'],
  ])('rejects where it is led elsewhere (%i)', async (status, headers, sentence) => {
    const { client, request, asked } = setUp();
    const started = client.start({ agent: 'echo', message: 'hi' });
    (await request()).answer(status, undefined, headers);
    await expect(started).rejects.toThrow(`The gateway ${sentence}.`);
    await expect(started).rejects.toMatchObject({ name: 'GatewayError', code: 'bad_request' });
    expect([asked.length, asked[0]?.redirect]).toEqual([1, 'manual']);
  });

  it.each<[string, (client: RunClient) => Promise<unknown>, unknown]>([
    ['a start without a run', (client) => client.start({ agent: 'echo', message: 'hi' }), { ok: true }],
    ['a list', (client) => client.start({ agent: 'echo', message: 'hi' }), []],
    ['null', (client) => client.start({ agent: 'echo', message: 'hi' }), null],
    ['a run without a kind', (client) => client.cancel('r1'), {}],
    ['questions that are no list', (client) => client.approvals(), {}],
    ['an output of no run', (client) => client.attach('r1', { agent: 'echo' }).get(), {}],
    ['no JSON', (client) => client.start({ agent: 'echo', message: 'hi' }), undefined],
    ['no JSON', (client) => client.attach('r1', { agent: 'echo' }).cancel(), undefined],
  ])('does not take for a gateway what answers with %s', async (_what, call, body) => {
    const { client, request, asked, clock } = setUp();
    const called = call(client);
    called.catch(() => {});
    (await request()).answer(200, body);
    await expect(called).rejects.toMatchObject({
      name: 'GatewayError',
      code: 'bad_request',
      message: expect.stringMatching(/^What answers at http:\/\/there\/\S+ is no gateway\.$/),
    });
    expect([asked.length, clock.timers]).toEqual([1, 0]);
  });

  it('asks again where an answer broke off', async () => {
    const { client, clock, asked } = setUp({
      fetch: async () =>
        asks++
          ? Response.json(ACCEPTED)
          : new Response(new ReadableStream({ start: (body) => body.error(new TypeError('terminated')) })),
    });
    let asks = 0;
    const started = client.start({ agent: 'echo', message: 'hi' });
    await clock.advance(1_000);
    await started;
    expect([asks, asked.length]).toEqual([2, 0]);
  });

  it('gives up after the attempts it may make, and when its signal is aborted', async () => {
    const { client, request, clock } = setUp({ maxReconnectAttempts: 1 });
    const started = client.start({ agent: 'echo', message: 'hi' });
    (await request()).fail();
    await clock.advance(1_000);
    (await request()).fail();
    await expect(started).rejects.toThrow('fetch failed');
    const abort = new AbortController();
    const left = outcome(client.start({ agent: 'echo', message: 'hi', signal: abort.signal }));
    const asked = await request();
    abort.abort(new Error('enough'));
    await clock.settle();
    expect([asked.isGone, left.settled]).toMatchObject([true, { message: 'enough' }]);
    expect(clock.timers).toBe(0);
  });

  it('tries at once when the network is back', async () => {
    const { client, request, clock, wake, asked } = setUp();
    void client.start({ agent: 'echo', message: 'hi' });
    (await request()).fail();
    await clock.settle();
    wake(false);
    await clock.settle();
    expect(asked).toHaveLength(1);
    wake();
    await clock.settle();
    expect(asked).toHaveLength(2);
  });

  it('streams what it starts', async () => {
    const { client, request, stream } = setUp();
    const { seen, done } = read(client.stream({ agent: 'echo', message: 'hi' }));
    (await request()).answer(202, ACCEPTED);
    const end = await stream();
    end.say(said(0), completed(1));
    await expect(done).resolves.toBe('ended');
    expect(seen).toEqual([0, 1]);
  });

  it.each([
    [{ message: 'hi' }, 'agent, team or workflow'],
    [{ agent: 'a', team: 'b', message: 'hi' }, 'team must not be used with agent'],
    [{ agent: '', message: 'hi' }, 'agent'],
    [{ agent: '..', message: 'hi' }, 'agent must not be ..'],
    [{ agent: 'a', message: '' }, 'message must not be empty'],
    [{ agent: 'a', message: 5 as never }, 'message'],
    [{ agent: 'a', message: null as never }, 'message'],
    [{ agent: 'a', message: 'hi', sessionId: '' }, 'sessionId'],
    [{ agent: 'a', message: 'hi', idempotencyKey: 'x'.repeat(201) }, 'idempotencyKey'],
    [{ agent: 'a', message: 'hi', idempotencyKey: 'a\nb' }, 'idempotencyKey'],
  ])('refuses %j with a sentence', async (options, name) => {
    const { client, asked } = setUp();
    await expect(client.start(options)).rejects.toThrow(name);
    expect(asked).toEqual([]);
  });

  it.each([
    [{ url: 'there' }, 'url'],
    [{ url: 'http://there?x' }, 'url'],
    [{ url: 5 as never }, 'url'],
    [{ token: 5 as never }, 'token'],
    [{ maxReconnectAttempts: -1 }, 'maxReconnectAttempts'],
    [{ backoff: { initialMs: 0 } }, 'backoff.initialMs'],
  ])('refuses to be made with %j', (options, name) => {
    expect(() => new RunClient({ url: 'http://there', ...options })).toThrow(name);
  });

  it('knows its gateway by the url of its socket, too', async () => {
    const { client, asked } = setUp({ url: 'ws://there/base/ws' });
    void client.approvals();
    expect(asked.map(({ path }) => path)).toEqual([]);
    await Promise.resolve();
    expect(asked.map(({ path }) => path)).toEqual(['/base/approvals']);
  });
});

describe('a token', () => {
  const start = (client: RunClient) => client.start({ agent: 'echo', message: 'hi' });

  it('is asked for before the first request, and again when it is refused', async () => {
    const tokens = ['old', 'new'];
    const { client, request, asked } = setUp({ token: () => tokens.shift() ?? '' });
    const started = start(client);
    (await request()).answer(401, { detail: 'Too old.' });
    expect((await request()).headers.get('authorization')).toBe('Bearer new');
    (await request()).answer(202, ACCEPTED);
    await started;
    void client.approvals();
    expect((await request()).headers.get('authorization')).toBe('Bearer new');
    expect(asked).toHaveLength(3);
  });

  it('that is the same again is the end of a call, and the next one asks anew', async () => {
    let token = 'old';
    const { client, request } = setUp({ token: () => token });
    const started = start(client);
    (await request()).answer(401, { detail: 'Too old.' });
    await expect(started).rejects.toMatchObject({ name: 'UnauthorizedError', message: 'Too old.' });
    token = 'new';
    const again = start(client);
    (await request()).answer(401);
    (await request()).answer(202, ACCEPTED);
    await again;
  });

  it('is refused once and for all where it is only a text', async () => {
    const { client, request, asked } = setUp({ token: 'old' });
    const started = start(client);
    (await request()).answer(401);
    await expect(started).rejects.toMatchObject({ name: 'UnauthorizedError' });
    expect(asked).toHaveLength(1);
  });

  it('is made once for all that are refused together', async () => {
    let made = 0;
    const { client, clock, asked } = setUp({ token: () => `t${++made}` });
    const calls = [client.approvals(), client.approvals(), client.approvals()];
    await clock.settle();
    asked[0]?.answer(401);
    asked[1]?.answer(401);
    await clock.settle();
    asked[2]?.answer(401);
    await clock.settle();
    expect(asked.map(({ headers }) => headers.get('authorization'))).toEqual([
      ...Array(3).fill('Bearer t1'),
      ...Array(3).fill('Bearer t2'),
    ]);
    for (const each of asked) each.answer(200, []);
    await Promise.all(calls);
  });

  it('that cannot be made is tried again', async () => {
    let made = 0;
    const { client, clock, request, asked } = setUp({
      token() {
        if (++made < 3) throw new Error('no network');
        return 'good';
      },
    });
    const call = client.approvals();
    await clock.advance(3_000);
    expect(asked).toHaveLength(1);
    (await request()).answer(200, []);
    await call;
  });
});

describe('calls by the id of a run', () => {
  it('R-23 ask whose it is, and then that component', async () => {
    const { client, request, asked } = setUp();
    const cancelled = client.cancel('r/1', 'enough');
    const summary = { run_id: 'r/1', kind: 'team', team_id: 'desk', agent_id: 'x' };
    (await request()).answer(200, summary);
    const { method, path, body } = await request();
    (await request()).answer(200, {});
    await cancelled;
    expect(asked[0]?.path).toBe('/runs/r%2F1');
    expect([method, path, body]).toEqual(['POST', '/teams/desk/runs/r%2F1/cancel', { reason: 'enough' }]);
    const got = client.get('r/1');
    (await request()).answer(200, summary);
    expect((await request()).path).toBe('/teams/desk/runs/r%2F1');
    (await request()).answer(200, { run_id: 'r/1' });
    expect(await got).toEqual({ run_id: 'r/1' });
  });

  it('R-17 confirm all that is asked, where nobody says what', async () => {
    const { client, request } = setUp();
    const continued = client.continue('r1');
    const ask = (run_id: string, tool_call_id: string) => ({
      approval_id: `a${tool_call_id}`,
      run_id,
      tool: { tool_call_id, tool_name: 'reserve', tool_args: { to: 'Porto' } },
    });
    (await request()).answer(200, [ask('r1', 'c1'), ask('r2', 'c2')]);
    (await request()).answer(200, { kind: 'agent', agent_id: 'reserver' });
    const { path, body, answer } = await request();
    expect(path).toBe('/agents/reserver/runs/r1/continue');
    expect(body).toEqual({
      tools: [
        {
          tool_call_id: 'c1',
          tool_name: 'reserve',
          tool_args: { to: 'Porto' },
          approval_id: 'ac1',
          confirmed: true,
        },
      ],
      stream: false,
      background: true,
    });
    answer(202, {});
    await continued;
  });

  it('R-18 answer a question, and tell who was first', async () => {
    const { client, request } = setUp();
    const approved = client.approve('apr_1', false, 'no');
    const { path, body, answer } = await request();
    expect([path, body]).toEqual(['/approvals/apr_1', { approved: false, note: 'no' }]);
    const first = { detail: 'Too late.', approval_id: 'apr_1', approved: true, resolved_by: 'ada' };
    answer(409, first);
    await expect(approved).rejects.toMatchObject({
      name: 'ApprovalConflictError',
      answer: { approvalId: 'apr_1', approved: true, by: 'ada' },
    });
    const same = client.approve('apr_1');
    (await request()).answer(409, first);
    await same;
  });

  it('refuse what is no id, and no index', () => {
    const { client } = setUp();
    expect(() => client.attach('')).toThrow('runId');
    expect(() => client.attach('.')).toThrow('runId must not be .');
    expect(() => client.attach('..')).toThrow('runId must not be ..');
    expect(() => client.attach('..a')).not.toThrow();
    expect(() => client.attach('r1', { after: 0.5 })).toThrow('after');
    expect(() => client.attach('r1', { team: '' })).toThrow('team');
  });
});
