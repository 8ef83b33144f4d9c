import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { interceptStore } from '../../test/intercept.ts';
import { nth, only, range } from '../../test/pick.ts';
import { createPuppet, type PuppetRun } from '../../test/puppet.ts';
import type { TestStream } from '../../test/stream.ts';

/** A run under way: one event, the start, and the agent's side of it. */
async function begin(
  reports: readonly string[] = [],
): Promise<{ world: TestGateway; runId: string; run: PuppetRun; stream: TestStream }> {
  const puppet = createPuppet('puppet');
  const world = openGateway({ agents: [puppet.component], reports });
  const stream = await world.stream('/agents/puppet/runs', {
    message: 'hi',
    background: true,
    session_id: 's1',
  });
  return { world, stream, runId: nth(stream.events, 0).run_id, run: only(puppet.runs) };
}

/** A run of nine events that has ended, on a gateway with the usual agents. */
async function ended(world: TestGateway): Promise<{ runId: string; events: TestStream['events'] }> {
  const { events } = await world.stream('/agents/echo/runs', { message: 'a b c d e', session_id: 's1' });
  expect(events).toHaveLength(9);
  return { runId: nth(events, 0).run_id, events };
}

function resume(world: TestGateway, runId: string, body: object = {}, agent = 'echo'): Promise<TestStream> {
  return world.stream(`/agents/${agent}/runs/${runId}/resume`, body);
}

function indexesOf({ events }: TestStream): number[] {
  return events.map(({ event_index }) => event_index);
}

describe('resuming a run that is under way', () => {
  it('R-6 tells what was missed, gives it, and goes on live to the end', async () => {
    const { world, runId, run } = await begin();
    for (const text of ['a', 'b', 'c']) run.say({ type: 'text.delta', text });
    await world.clock.settle();
    const resumed = await resume(world, runId, { last_event_index: 1 }, 'puppet');
    run.say({ type: 'text.delta', text: 'd' });
    run.finish();
    await world.clock.settle();
    expect(resumed.names).toEqual([
      'catch_up',
      'RunContent',
      'RunContent',
      'subscribed',
      'RunContent',
      'RunContentCompleted',
      'RunCompleted',
    ]);
    expect(resumed.meta).toMatchObject([
      { event: 'catch_up', run_id: runId, status: 'running', missed_events: 2, current_event_count: 4 },
      { event: 'subscribed', run_id: runId, status: 'running', current_event_count: 4 },
    ]);
    expect(indexesOf(resumed)).toEqual([2, 3, 4, 5, 6]);
    expect([resumed.ended, resumed.problem]).toEqual([true, null]);
  });

  it('R-6 says nothing of catching up when nothing was missed', async () => {
    const { world, runId, run } = await begin();
    const resumed = await resume(world, runId, { last_event_index: 0 }, 'puppet');
    expect(resumed.names).toEqual(['subscribed']);
    run.finish();
    await world.clock.settle();
    expect(resumed.names).toEqual(['subscribed', 'RunCompleted']);
  });

  it('R-3 is the same on every stream', async () => {
    const { world, runId, run, stream } = await begin();
    run.say({ type: 'text.delta', text: 'a' });
    await world.clock.settle();
    const resumed = await resume(world, runId, {}, 'puppet');
    run.say({ type: 'text.delta', text: 'b' });
    run.finish();
    await world.clock.settle();
    const replayed = await resume(world, runId, {}, 'puppet');
    expect(resumed.events).toEqual(stream.events);
    expect(replayed.events).toEqual(stream.events);
  });

  it('R-8 beyond its end goes on from its end, and loses nothing live', async () => {
    const { world, runId, run } = await begin();
    run.say({ type: 'text.delta', text: 'a' });
    await world.clock.settle();
    const resumed = await resume(world, runId, { last_event_index: 99 }, 'puppet');
    run.say({ type: 'text.delta', text: 'b' });
    run.finish();
    await world.clock.settle();
    expect(resumed.names[0]).toBe('subscribed');
    expect(indexesOf(resumed)).toEqual([2, 3, 4]);
  });

  it('R-6 before it has begun waits for it', async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({
      agents: [puppet.component],
      // It takes runs, and drives none: no lease is ever given to it.
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.key.startsWith('lease/')) await new Promise(() => {});
          return go();
        }),
    });
    const { body } = await world.post('/agents/puppet/runs', {
      message: 'hi',
      background: true,
      stream: false,
    });
    const { run_id: runId } = body as { run_id: string };
    const heir = openGateway({ beside: world, agents: [puppet.component] });
    const resumed = await resume(heir, runId, {}, 'puppet');
    expect(resumed.names).toEqual(['subscribed']);
    await world.clock.advance(2_000);
    only(puppet.runs).finish();
    await world.clock.settle();
    expect(indexesOf(resumed)).toEqual([0, 1]);
  });

  it('R-2 ends its stream with the run, and a client that leaves ends nothing', async () => {
    const { world, runId, run } = await begin();
    const resumed = await resume(world, runId, {}, 'puppet');
    resumed.hangUp();
    await world.clock.advance(5_000);
    expect(run.stopped).toBe(false);
  });

  it('R-8 is told of a gap where its history was trimmed', async () => {
    const { world, runId, run } = await begin();
    for (const text of 'abcdefgh') run.say({ type: 'text.delta', text });
    await world.clock.settle();
    await world.store.logs.trim(`run:local:${runId}`, 6);
    // Another server, where nothing of it is in memory.
    const elsewhere = openGateway({ beside: world, agents: [createPuppet('puppet').component] });
    const resumed = await resume(elsewhere, runId, { last_event_index: 1 }, 'puppet');
    expect(resumed.names.slice(0, 2)).toEqual(['catch_up', 'gap']);
    expect(resumed.meta[1]).toMatchObject({ event: 'gap', run_id: runId, reason: 'trimmed', from: 2, to: 5 });
    expect(indexesOf(resumed)).toEqual([5, 6, 7, 8]);
  });
});

describe('resuming a run that has ended', () => {
  it.each([
    ['the first', 0, range(1, 8)],
    ['one in the middle', 5, [6, 7, 8]],
    ['the last but one', 7, [8]],
    ['the last', 8, []],
    ['one that never was', 99, []],
  ])('R-7, R-8 replays what is after %s, and ends', async (_what, last, indexes) => {
    const world = openGateway();
    const { runId } = await ended(world);
    const resumed = await resume(world, runId, { last_event_index: last });
    expect(resumed.meta).toMatchObject([
      {
        event: 'replay',
        run_id: runId,
        status: 'COMPLETED',
        total_events: 9,
        total_buffered: 9,
        last_event_index_requested: last,
      },
    ]);
    expect(resumed.names[0]).toBe('replay');
    expect(indexesOf(resumed)).toEqual(indexes);
    expect([resumed.ended, resumed.problem]).toEqual([true, null]);
  });

  it.each([undefined, -1, -7, '-1'])('R-8 replays everything that is kept from %j', async (last) => {
    const world = openGateway();
    const { runId, events } = await ended(world);
    const resumed = await resume(world, runId, last === undefined ? {} : { last_event_index: last });
    expect(resumed.meta).toMatchObject([{ event: 'replay', last_event_index_requested: -1 }]);
    expect(resumed.events).toEqual(events);
  });

  it('R-7 does so on another server, and after a restart', async () => {
    const world = openGateway();
    const { runId, events } = await ended(world);
    const elsewhere = openGateway({ beside: world });
    const resumed = await resume(elsewhere, runId, { last_event_index: 3 });
    expect(resumed.events).toEqual(events.slice(4));
    expect(resumed.ended).toBe(true);
  });

  it('R-7 does so long after it ended, when nothing of it is in memory', async () => {
    const world = openGateway();
    const { runId, events } = await ended(world);
    await world.clock.advance(3_600_000);
    expect((await resume(world, runId, { last_event_index: 3 })).events).toEqual(events.slice(4));
  });

  it('R-8 takes the index from a form', async () => {
    const world = openGateway();
    const { runId } = await ended(world);
    const asked = world.ask('POST', `/agents/echo/runs/${runId}/resume`, {
      form: { last_event_index: '6', session_id: 's1' },
    });
    expect(indexesOf(await asked.stream())).toEqual([7, 8]);
  });

  it.each(['x', '1.5', '', 1.5, true, []])('R-8 refuses an index that is none: %j', async (last) => {
    const world = openGateway();
    const { runId } = await ended(world);
    const { status, body } = await world.post(`/agents/echo/runs/${runId}/resume`, {
      last_event_index: last,
    });
    expect([status, body]).toMatchObject([422, { detail: expect.stringContaining('last_event_index') }]);
  });

  it.each([
    ['from an index that is gone', { last_event_index: 1 }, ['replay', 'gap'], { from: 2, to: 4 }],
    ['from an index that is just there', { last_event_index: 3 }, ['replay', 'RunContent'], null],
    ['from the oldest kept', {}, ['replay', 'RunContent'], null],
  ])('R-8, L-4 where it was trimmed, %s', async (_what, body, names, gap) => {
    const world = openGateway();
    const { runId } = await ended(world);
    await world.store.logs.trim(`run:local:${runId}`, 5);
    const elsewhere = openGateway({ beside: world });
    const resumed = await resume(elsewhere, runId, body);
    expect(resumed.names.slice(0, 2)).toEqual(names);
    expect(resumed.meta[0]).toMatchObject({ total_events: 9, total_buffered: 5 });
    if (gap) expect(resumed.meta[1]).toMatchObject({ event: 'gap', reason: 'trimmed', ...gap });
    expect(indexesOf(resumed)).toEqual([4, 5, 6, 7, 8]);
    expect(resumed.ended).toBe(true);
  });

  it('R-7 says how it ended', async () => {
    const { world, runId, run } = await begin([expect.stringContaining('failed: Error: gone')]);
    run.fail(new Error('gone'));
    await world.clock.settle();
    const resumed = await resume(world, runId, {}, 'puppet');
    expect(resumed.meta).toMatchObject([{ event: 'replay', status: 'ERROR' }]);
  });
});

describe('resuming a run that is not there', () => {
  it.each([
    ['that never was', 'run_unknown', 'echo', {}],
    ['of another component', null, 'slow', {}],
    ['of another session', null, 'echo', { session_id: 's2' }],
  ])('R-4 gets one event `error`: %s', async (_what, unknown, agent, body) => {
    const world = openGateway();
    const { runId } = await ended(world);
    const resumed = await resume(world, unknown ?? runId, body, agent);
    expect(resumed.status).toBe(200);
    expect(resumed.meta).toEqual([{ event: 'error', error: 'There is no such run.', code: 'not_found' }]);
    expect([resumed.names, resumed.ended]).toEqual([['error'], true]);
    const comments = resumed.text.split('\n').filter((line) => line.startsWith(':')).length;
    await world.clock.advance(60_000);
    expect(resumed.text.split('\n').filter((line) => line.startsWith(':'))).toHaveLength(comments);
  });
});

describe('a run and its session', () => {
  it('R-10 leaves its message and its end there, where later turns and runs find them', async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({ agents: [puppet.component] });
    const run = async (message: string, answer: string): Promise<PuppetRun> => {
      await world.stream('/agents/puppet/runs', { message, session_id: 's1' });
      const begun = nth(puppet.runs, -1);
      begun.say({ type: 'text.delta', text: answer });
      begun.finish();
      await world.clock.settle();
      return begun;
    };
    await run('one', 'first');
    const second = await run('two', 'second');
    expect((await second.context.history()).map(({ content }) => content)).toEqual(['one', 'first']);

    const client = await world.join({ agent_id: 'puppet', session_id: 's1' });
    expect(client.last('joined')).toMatchObject({ resumed: true, head: 4 });
    expect(client.of('replay').map(({ event }) => [event.type, event.data.content, event.data.copy])).toEqual(
      [
        ['message', 'one', true],
        ['response', 'first', true],
        ['message', 'two', true],
        ['response', 'second', true],
      ],
    );
    await client.send({ type: 'message', content: 'three' });
    const turn = nth(puppet.runs, -1);
    expect((await turn.context.history()).map(({ content }) => content)).toEqual([
      'one',
      'first',
      'two',
      'second',
    ]);
    turn.finish();
    await world.clock.settle();
  });

  it("R-10 that ended while a message waited is found by that message's turn", async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({ agents: [puppet.component] });
    const client = await world.join({ agent_id: 'puppet' });
    const { session_id } = client.last('joined');
    await client.send({ type: 'message', content: 'one' });
    await world.stream('/agents/puppet/runs', { message: 'beside', session_id, background: true });
    await client.send({ type: 'message', content: 'two' });
    const [turn, beside] = [nth(puppet.runs, 0), nth(puppet.runs, 1)];
    beside.say({ type: 'text.delta', text: 'done' });
    beside.finish();
    await world.clock.settle();
    turn.finish();
    await world.clock.settle();
    const history = await nth(puppet.runs, 2).context.history();
    expect(history.map(({ content }) => content)).toContain('done');
  });
});
