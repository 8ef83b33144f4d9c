import { SteerAccepted } from '@continuo/protocol';
import { createFakeClock } from '@continuo/testing';
import { type JWTPayload, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { type Asked, openGateway, type TestGateway } from '../../test/gateway.ts';
import { interceptStore } from '../../test/intercept.ts';
import { nth, only } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import { beginRun } from '../../test/run-world.ts';

describe('cancelling a run', () => {
  it('R-12 ends it in one event, with what was said, and may be asked again', async () => {
    const { world, stream, say, path } = await beginRun();
    await say('half');
    for (const body of [{}, { reason: 'another' }, undefined]) {
      const answer = await world.post(path('/cancel'), body);
      expect([answer.status, answer.body]).toEqual([200, {}]);
      await world.clock.settle();
    }
    expect(stream.names.filter((name) => name.startsWith('RunC') && name !== 'RunContent')).toEqual([
      'RunContentCompleted',
      'RunCancelled',
    ]);
    expect(nth(stream.events, -1)).toMatchObject({ reason: 'Somebody asked for it.', content: 'half' });
    await world.clock.advance(10_000);
    expect((await world.get(path())).body).toMatchObject({ status: 'CANCELLED', content: 'half' });
  });

  it('R-12 while it waits for answers', async () => {
    const { world, pause, path, events } = await beginRun();
    await pause('c1');
    const viewer = await events();
    await world.ask('POST', path('/cancel'), { form: { reason: 'no need', session_id: 's1' } }).answer();
    await world.clock.settle();
    expect(nth(viewer.events, -1)).toMatchObject({ event: 'RunCancelled', reason: 'no need' });
    expect(viewer.ended).toBe(true);
  });

  it('R-12 before it has begun', async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({
      agents: [puppet.component],
      // It takes runs, and drives none.
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.key.startsWith('lease/')) await new Promise(() => {});
          return go();
        }),
    });
    const body = { message: 'hi', stream: false, background: true };
    const { run_id: runId } = (await world.post('/agents/puppet/runs', body)).body as { run_id: string };
    expect((await world.post(`/agents/puppet/runs/${runId}/cancel`)).status).toBe(200);
    const heir = openGateway({ beside: world, agents: [puppet.component] });
    await world.clock.advance(3_000);
    const { events, ended } = await heir.stream(`/agents/puppet/runs/${runId}/resume`, {});
    expect([events.map(({ event }) => event), ended]).toEqual([['RunStarted', 'RunCancelled'], true]);
    expect(puppet.runs).toHaveLength(0);
  });

  it('R-12 that has ended changes nothing', async () => {
    const { world, path, finish } = await beginRun();
    await finish();
    expect((await world.post(path('/cancel'))).status).toBe(200);
    expect(await world.store.records.list('cancel/', { limit: 10 })).toEqual([]);
  });

  it.each([
    ['another session', { session_id: 's2' }, 404],
    ['a reason that is no text', { reason: 7 }, 422],
  ])('R-12 with %s is refused', async (_what, body, status) => {
    const { world, path, run } = await beginRun();
    expect((await world.post(path('/cancel'), body)).status).toBe(status);
    await world.clock.advance(5_000);
    expect(run.stopped).toBe(false);
  });
});

describe('a message to a running agent', () => {
  it('R-21 is taken once for one id, and read at the next step', async () => {
    const { world, path, run, runId } = await beginRun({ steerable: true });
    for (const message of ['shorter', 'never again']) {
      const { status, body } = await world.post(path('/steer'), { message, message_id: 'm1' });
      expect([status, SteerAccepted.parse(body)]).toEqual([
        202,
        { run_id: runId, message_id: 'm1', status: 'ACCEPTED' },
      ]);
    }
    expect(await run.context.steered('one')).toEqual([{ messageId: 'm1', content: 'shorter' }]);
  });

  it('R-21 comes too late when the agent reads no more, and when the run has ended', async () => {
    const { world, path, run, finish } = await beginRun({ steerable: true });
    const steer = async (): Promise<unknown[]> => {
      const { status, body } = await world.post(path('/steer'), { message: 'x' });
      return [status, body];
    };
    await run.context.steered('one', true);
    expect(await steer()).toMatchObject([409, { code: 'too_late' }]);
    await finish();
    expect(await steer()).toMatchObject([409, { code: 'too_late' }]);
  });

  it('R-21 to an agent that reads none is refused', async () => {
    const { world, path } = await beginRun();
    const { status, body } = await world.post(path('/steer'), { message: 'x' });
    expect([status, body]).toMatchObject([409, { code: 'conflict' }]);
  });

  it.each([
    ['no message', {}, 422],
    ['an empty id', { message: 'x', message_id: '' }, 422],
    ['another session', { message: 'x', session_id: 's2' }, 404],
  ])('R-21 with %s is refused', async (_what, body, status) => {
    const { world, path } = await beginRun({ steerable: true });
    expect((await world.post(path('/steer'), body)).status).toBe(status);
  });
});

const SECRET = 'a secret of at least thirty-two bytes';

/** A token that is good for a minute. */
function tokenOf(claims: JWTPayload): Promise<string> {
  const exp = createFakeClock().now() / 1000 + 60;
  return new SignJWT({ exp, ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(SECRET));
}

/** The platform's cryptography takes turns of the event loop, and none of the clock's time. */
async function arrived({ clock }: TestGateway, asked: Asked): Promise<Asked> {
  while (!asked.answered) await clock.settle();
  return asked;
}

describe('the token of a stream', () => {
  const auth = { jwt: { secret: SECRET } };

  it('R-2 ends it, with an event that says so; the run goes on', async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({ agents: [puppet.component], auth });
    const token = await tokenOf({ sub: 'ann' });
    const asked = world.ask('POST', '/agents/puppet/runs', { body: { message: 'hi' }, token });
    const started = await (await arrived(world, asked)).stream();
    const path = `/agents/puppet/runs/${nth(started.events, 0).run_id}`;
    const streams = [
      started,
      await (await arrived(world, world.ask('GET', `${path}/events`, { token }))).stream(),
      await (await arrived(world, world.ask('POST', `${path}/resume`, { body: {}, token }))).stream(),
    ];
    await world.clock.advance(59_000);
    expect(streams.map(({ ended }) => ended)).toEqual([false, false, false]);
    await world.clock.advance(2_000);
    for (const { ended, names, meta, problem } of streams) {
      expect([ended, problem, names.at(-1)]).toEqual([true, null, 'error']);
      expect(meta.at(-1)).toMatchObject({ event: 'error', code: 'unauthorized' });
    }
    await world.clock.advance(5_000);
    expect(only(puppet.runs).stopped).toBe(false);
  });

  it('L-15 ends a request that waits for a run, and a poll: 401', async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({ agents: [puppet.component], auth });
    const token = await tokenOf({ sub: 'ann' });
    const waiting = world.ask('POST', '/agents/puppet/runs', {
      body: { message: 'hi', stream: false },
      token,
    });
    while (puppet.runs.length === 0) await world.clock.settle();
    const { runId } = only(puppet.runs).context;
    await world.clock.advance(45_000);
    const { timers } = world.clock;
    const poll = world.ask('GET', `/agents/puppet/runs/${runId}/events?poll=30000&after=0`, { token });
    while (world.clock.timers < timers + 2) await world.clock.settle(); // its own, and its token's
    expect([waiting.answered, poll.answered]).toEqual([false, false]);
    await world.clock.advance(20_000);
    for (const asked of [waiting, poll]) {
      const { status, body } = await asked.answer();
      expect([status, body]).toMatchObject([401, { code: 'unauthorized' }]);
    }
  });
});

describe('a gateway that closes', () => {
  it('R-22 ends the streams of what another goes on with, and who waits is told to ask again', async () => {
    const { world, stream, say, path, events, run } = await beginRun({ onInterrupt: 'restart' });
    await say('a');
    const waiting = world.ask('POST', '/agents/puppet/runs', {
      body: { message: 'wait', stream: false },
    });
    const poll = world.ask('GET', path('/events?poll=30000&after=1'));
    const viewer = await events();
    await world.clock.settle();
    const closed = world.gateway.close();
    await world.clock.advance(9_000);
    run.say({ type: 'text.delta', text: 'b' });
    await world.clock.advance(1_500);
    await closed;
    for (const { names, ended, problem } of [stream, viewer]) {
      expect([names.slice(-2), ended, problem]).toEqual([['RunContent', 'RunStatus'], true, null]);
    }
    expect((await poll.answer()).body).toMatchObject({ events: [{ event_index: 2 }] });
    const { status, body } = await waiting.answer();
    expect([status, body]).toMatchObject([503, { code: 'draining' }]);
    expect(await world.store.records.list('cancel/', { limit: 10 })).toEqual([]);
  });

  it('R-16 ends the stream of a run that waits', async () => {
    const { world, pause, events } = await beginRun();
    await pause('c1');
    const viewer = await events();
    const closed = world.gateway.close();
    await world.clock.advance(1_000);
    await closed;
    expect([viewer.names.at(-1), viewer.ended]).toEqual(['RunPaused', true]);
  });
});
