import { RunEventsPage } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import { beginRun, indexesOf } from '../../test/run-world.ts';

describe('the events of a run for an EventSource', () => {
  it('R-13 are all there are, then what comes, to the end', async () => {
    const { events, say, finish } = await beginRun();
    await say('a', 'b');
    const streamed = await events();
    expect(streamed.names).toEqual(['catch_up', 'RunStarted', 'RunContent', 'RunContent', 'subscribed']);
    await say('c');
    await finish();
    expect(indexesOf(streamed)).toEqual(range(0, 5));
    expect([streamed.ended, streamed.lastId]).toEqual([true, '5']);
  });

  it.each([
    ['the header', '', '1'],
    ['the query', '?after=1', undefined],
    ['the header, whatever the query says', '?after=0', '1'],
  ])('R-13 go on after the index of %s', async (_what, query, header) => {
    const { events, say } = await beginRun();
    await say('a', 'b');
    expect(indexesOf(await events(query, header))).toEqual([2]);
  });

  it('R-13 stay over a pause', async () => {
    const { world, events, pause, approve, finish } = await beginRun();
    const live = await events();
    await pause('c1');
    const joined = await events('?after=0');
    expect(joined.names).toEqual(['replay', 'ApprovalRequested', 'RunPaused']);
    expect(joined.meta).toMatchObject([{ event: 'replay', status: 'PAUSED' }]);
    expect([live.ended, joined.ended]).toEqual([false, false]);
    await approve('c1');
    await world.clock.settle();
    await finish();
    expect([live.ended, joined.ended]).toEqual([true, true]);
    expect(joined.events).toEqual(live.events.slice(1));
  });

  it('R-13 at the last index of a run that has ended are none: 204', async () => {
    const { world, path, finish, elsewhere } = await beginRun();
    await finish();
    for (const at of [world, elsewhere()]) {
      for (const last of ['1', '99']) {
        const { status, body } = await at.get(path('/events'), { headers: { 'last-event-id': last } });
        expect([status, body]).toEqual([204, '']);
      }
    }
  });

  it.each([
    ['an index that is none', '?after=x', {}, 422, 'after'],
    ['a header that is none', '', { 'last-event-id': '1.5' }, 422, 'last-event-id'],
    ['a view that is none', '?view=nice', {}, 422, 'view'],
    ['a time that is none', '?poll=-1', {}, 422, 'poll'],
    ['too long a time', '?poll=30001', {}, 422, 'poll'],
    ['another session', '?session_id=s2', {}, 404, 'not found'],
  ])('R-13 with %s are refused', async (_what, query, headers, status, word) => {
    const { world, path } = await beginRun();
    const answer = await world.get(path(`/events${query}`), { headers });
    expect([answer.status, answer.body]).toMatchObject([status, { detail: expect.stringContaining(word) }]);
  });
});

describe('a collapsed view', () => {
  it('R-14 has what was said as one event, what comes as it comes, and the same text', async () => {
    const { events, say, finish, elsewhere } = await beginRun();
    await say('a', 'b', 'c');
    const streamed = await events('?view=collapsed');
    expect(indexesOf(streamed)).toEqual([0, 3]);
    await say('d');
    await finish();
    const contents = streamed.events.map(({ event, content }) => (event === 'RunContent' ? content : ''));
    expect([contents.join(''), streamed.ended]).toEqual(['abcd', true]);
    const replayed = await events('?view=collapsed', '1', elsewhere());
    expect(replayed.events).toMatchObject([
      { event: 'RunContent', event_index: 4, content: 'bcd' },
      { event: 'RunContentCompleted', event_index: 5, content: 'abcd' },
      { event: 'RunCompleted', event_index: 6 },
    ]);
  });
});

describe('polling a run', () => {
  it('R-15 is answered at once with what is after the index', async () => {
    const { poll, say, runId } = await beginRun();
    await say('a', 'b');
    const { status, body } = await poll('poll=30000&after=0');
    expect(status).toBe(200);
    const page = RunEventsPage.parse(body);
    expect(page).toMatchObject({ run_id: runId, status: 'RUNNING', last_event_index: 2, ended: false });
    expect(indexesOf(page)).toEqual([1, 2]);
  });

  it('R-15 waits for what comes, and no longer than it was asked to', async () => {
    const { world, path, say } = await beginRun();
    const asked = world.ask('GET', path('/events?poll=5000&after=0'));
    await world.clock.advance(4_000);
    expect(asked.answered).toBe(false);
    await say('a');
    expect(indexesOf(RunEventsPage.parse((await asked.answer()).body))).toEqual([1]);

    const idle = world.ask('GET', path('/events?poll=5000&after=1'));
    await world.clock.advance(4_999);
    expect(idle.answered).toBe(false);
    await world.clock.advance(1);
    const page = RunEventsPage.parse((await idle.answer()).body);
    expect(page).toMatchObject({ events: [], last_event_index: 1, ended: false });
  });

  it('R-15 without a time to wait gives what there is, from the store too', async () => {
    const { poll, say, elsewhere } = await beginRun();
    await say('a');
    const there = elsewhere();
    expect(indexesOf(RunEventsPage.parse((await poll('poll=0', there)).body))).toEqual([0, 1]);
    expect(RunEventsPage.parse((await poll('poll=0&after=1', there)).body).events).toEqual([]);
    expect(RunEventsPage.parse((await poll('poll=0&after=99', there)).body).last_event_index).toBe(1);
  });

  it('R-15 says that nothing more comes, and not before its last event was given', async () => {
    const { poll, finish, elsewhere } = await beginRun();
    await finish();
    for (const at of [elsewhere(), undefined]) {
      for (const [query, indexes] of [
        ['poll=5000', [0, 1]],
        ['poll=5000&after=1', []],
      ] as const) {
        const page = RunEventsPage.parse((await poll(query, at)).body);
        expect([indexesOf(page), page.ended, page.status]).toEqual([indexes, true, 'COMPLETED']);
        expect(page.last_event_index).toBe(1);
      }
    }
  });

  it('R-15 of a run that waits for answers is not at its end', async () => {
    const { poll, pause } = await beginRun();
    await pause('c1');
    expect(RunEventsPage.parse((await poll('poll=0&after=2')).body)).toMatchObject({
      status: 'PAUSED',
      events: [],
      ended: false,
    });
  });

  it('R-15 gives at most 1,000 events, and all of them in the end', async () => {
    const { world, poll, say, finish, elsewhere } = await beginRun();
    await say(...range(1, 2_500).map((number) => `${number} `));
    for (let turns = 0; turns < 20; turns++) await world.clock.settle();
    await finish();
    const there = elsewhere();
    const sizes: number[] = [];
    const indexes: number[] = [];
    for (let after = -1, ended = false; !ended; ) {
      const page = RunEventsPage.parse((await poll(`poll=0&after=${after}`, there)).body);
      sizes.push(page.events.length);
      indexes.push(...indexesOf(page));
      after = page.last_event_index;
      ended = page.ended;
    }
    expect(Math.max(...sizes)).toBe(1_000);
    expect(indexes).toEqual(range(0, 2_502));
    const collapsed = RunEventsPage.parse((await poll('poll=0&view=collapsed', there)).body);
    expect(indexesOf(collapsed)).toEqual([0, 2_500, 2_501, 2_502]);
  });

  it('R-15 gives at most 512 KiB, but one event at least', async () => {
    const { world, run, poll, elsewhere } = await beginRun();
    for (const size of [900_000, 300_000, 300_000, 300_000]) {
      run.say({ type: 'tool.progress', callId: 'c', name: 't', progress: 'x'.repeat(size) });
      await world.clock.settle();
    }
    const there = elsewhere();
    const sizes: number[] = [];
    for (let after = 0; sizes.length < 5; ) {
      const page = RunEventsPage.parse((await poll(`poll=0&after=${after}`, there)).body);
      sizes.push(page.events.length);
      after = page.last_event_index;
    }
    expect(sizes).toEqual([1, 1, 1, 1, 0]);
  });

  it('R-15, L-4 tells of what was trimmed', async () => {
    const { world, poll, say, elsewhere, runId } = await beginRun();
    await say('a', 'b', 'c');
    await world.store.logs.trim(`run:local:${runId}`, 3);
    const page = RunEventsPage.parse((await poll('poll=0&after=0', elsewhere())).body);
    expect(page.gap).toMatchObject({ event: 'gap', reason: 'trimmed', from: 1, to: 2 });
    expect(indexesOf(page)).toEqual([2, 3]);
  });

  it('R-15 ends nothing when its client leaves', async () => {
    const { world, path, run } = await beginRun();
    const timers = world.clock.timers;
    const asked = world.ask('GET', path('/events?poll=30000&after=0'));
    await world.clock.settle();
    asked.hangUp();
    await world.clock.settle();
    expect([asked.answered, run.stopped, world.clock.timers]).toEqual([true, false, timers]);
  });
});
