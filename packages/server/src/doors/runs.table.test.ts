import type { RunEventJson, RunStatus } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, openGateway, type TestGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { nth } from '../../test/pick.ts';
import { beginRun, indexesOf, type RunWorld } from '../../test/run-world.ts';
import type { TestStream } from '../../test/stream.ts';

/** Every row of the table of resumes, for every way a run may stand, by POST and by GET. */

interface Standing {
  readonly status: RunStatus;
  /** The server that is asked. */
  readonly at: TestGateway;
  readonly run: RunWorld;
}

const STANDINGS: Readonly<Record<string, () => Promise<Standing>>> = {
  async running() {
    const run = await beginRun();
    await run.say('a', 'b', 'c');
    return { status: 'RUNNING', at: run.world, run };
  },
  async 'running on another server'() {
    const run = await beginRun();
    await run.say('a', 'b', 'c');
    return { status: 'RUNNING', at: run.elsewhere(), run };
  },
  async 'running after a pause'() {
    const run = await beginRun();
    await run.pause('c1');
    await run.approve('c1');
    await run.world.clock.settle();
    await run.say('a');
    return { status: 'RUNNING', at: run.world, run };
  },
  async ended() {
    const run = await beginRun();
    await run.say('a', 'b', 'c');
    await run.finish();
    return { status: 'COMPLETED', at: run.world, run };
  },
  async failed() {
    const run = await beginRun({}, {}, [expect.stringContaining('failed: Error: gone')]);
    await run.say('a', 'b', 'c');
    run.run.fail(new Error('gone'));
    await run.world.clock.settle();
    return { status: 'ERROR', at: run.world, run };
  },
  async cancelled() {
    const run = await beginRun();
    await run.say('a', 'b', 'c');
    await run.world.post(run.path('/cancel'));
    await run.world.clock.settle();
    return { status: 'CANCELLED', at: run.world, run };
  },
  async paused() {
    const run = await beginRun();
    await run.say('a', 'b');
    await run.pause('c1');
    return { status: 'PAUSED', at: run.world, run };
  },
  async 'paused, with one of two answers'() {
    const run = await beginRun();
    await run.pause('c1', 'c2');
    await run.approve('c1');
    await run.world.clock.settle();
    return { status: 'PAUSED', at: run.world, run };
  },
  async 'ended, and its server restarted'() {
    const run = await beginRun();
    await run.say('a', 'b', 'c');
    await run.finish();
    run.die();
    return { status: 'COMPLETED', at: run.elsewhere(), run };
  },
  async 'paused, and its server restarted'() {
    const run = await beginRun();
    await run.say('a', 'b');
    await run.pause('c1');
    run.die();
    return { status: 'PAUSED', at: run.elsewhere(), run };
  },
  async 'cut by a restart'() {
    const run = await beginRun();
    await run.say('a', 'b', 'c');
    run.die();
    const at = run.elsewhere();
    await run.world.clock.advance(10_000);
    return { status: 'ERROR', at, run };
  },
  async 'started over after a restart'() {
    const run = await beginRun({ onInterrupt: 'restart' });
    await run.say('a', 'b', 'c');
    run.die();
    const at = run.elsewhere();
    await run.world.clock.advance(10_000);
    return { status: 'RUNNING', at, run };
  },
};

/** What is asked for, of a run of so many events, and the first index that is to come. */
const ROWS: Readonly<
  Record<string, (count: number) => { readonly last: number | undefined; readonly first: number }>
> = {
  'no index': () => ({ last: undefined, first: 0 }),
  'a negative index': () => ({ last: -3, first: 0 }),
  'the first index': () => ({ last: 0, first: 1 }),
  'an index in the middle': () => ({ last: 2, first: 3 }),
  'the last index': (count) => ({ last: count - 1, first: count }),
  'an index beyond the end': (count) => ({ last: count + 70, first: count }),
  'an index beyond all numbers': (count) => ({ last: 1e20, first: count }),
};

async function stored({ run }: Standing): Promise<number> {
  const [head] = await run.world.store.logs.heads([`run:local:${run.runId}`]);
  return head?.offset ?? 0;
}

/** The whole of what was asked for; of what is not at its end, what there is. */
async function ask(
  { run, at }: Standing,
  method: 'POST' | 'GET',
  last: number | undefined,
): Promise<TestStream | null> {
  if (method === 'POST')
    return run.resume(
      last === undefined ? {} : { last_event_index: last === 1e20 ? `1${'0'.repeat(20)}` : last },
      at,
    );
  const after = last === 1e20 ? `1${'0'.repeat(20)}` : String(last);
  const asked = at.ask('GET', run.path('/events'), {
    headers: last === undefined ? {} : { 'last-event-id': after },
  });
  const stream = await asked.stream();
  return stream.status === 204 ? null : stream;
}

const CASES = Object.keys(STANDINGS).flatMap((standing) =>
  Object.keys(ROWS).flatMap((row) =>
    (['POST', 'GET'] as const).map((method) => [method, row, standing] as const),
  ),
);

describe('the table of resumes', () => {
  it.each(CASES)('R-6, R-7, R-8, R-13 %s with %s of a run that is %s', async (method, row, name) => {
    const standing = await STANDINGS[name]?.();
    if (!standing) throw new Error(name);
    const { status, run } = standing;
    const count = await stored(standing);
    const { last, first } = ROWS[row]?.(count) ?? { last: 0, first: 0 };
    const ended = status !== 'RUNNING' && status !== 'PAUSED';
    const stream = await ask(standing, method, last);
    if (method === 'GET' && ended && first === count) {
      expect(stream).toBeNull();
      return;
    }
    if (!stream) throw new Error('204 for a run that goes on');
    const indexes = Array.from({ length: count - first }, (_, at) => first + at);
    expect([stream.status, indexesOf(stream), stream.problem]).toEqual([200, indexes, null]);
    const about = { run_id: run.runId };
    if (status === 'RUNNING') {
      const meta = { ...about, status: 'running', current_event_count: count };
      expect(stream.meta).toMatchObject([
        ...(first < count ? [{ event: 'catch_up', ...meta, missed_events: count - first }] : []),
        { event: 'subscribed', ...meta },
      ]);
      expect(stream.names.at(-1)).toBe('subscribed');
    } else {
      const requested = last === undefined || last < 0 ? -1 : Math.min(last, Number.MAX_SAFE_INTEGER);
      expect(stream.meta).toMatchObject([
        { event: 'replay', ...about, status, total_events: count, last_event_index_requested: requested },
      ]);
      expect(stream.names[0]).toBe('replay');
    }
    expect(stream.ended).toBe(ended || (status === 'PAUSED' && method === 'POST'));
  });

  it.each(Object.keys(STANDINGS))('R-8, L-4 of a run that is %s and was trimmed', async (name) => {
    const standing = await STANDINGS[name]?.();
    if (!standing) throw new Error(name);
    const { run, status } = standing;
    const count = await stored(standing);
    await run.world.store.logs.trim(`run:local:${run.runId}`, 3);
    const at = run.elsewhere(); // where nothing of it is in memory
    for (const [last, gaps] of [
      [0, 1],
      [undefined, 0],
      [1, 0],
    ] as const) {
      const stream = await run.resume(last === undefined ? {} : { last_event_index: last }, at);
      expect(indexesOf(stream)).toEqual(Array.from({ length: count - 2 }, (_, index) => index + 2));
      expect(stream.names[0]).toBe(status === 'RUNNING' ? 'catch_up' : 'replay');
      const told = stream.meta.filter(({ event }) => event === 'gap');
      expect(told).toHaveLength(gaps);
      if (gaps) expect(stream.names[1]).toBe('gap');
      if (gaps) expect(told).toMatchObject([{ reason: 'trimmed', from: 1, to: 2 }]);
    }
  });

  it.each(Object.keys(STANDINGS))('R-4 of a run that is %s, asked for as another', async (name) => {
    const standing = await STANDINGS[name]?.();
    if (!standing) throw new Error(name);
    const { run, at } = standing;
    for (const path of [run.path(), '/agents/puppet/runs/run_unknown']) {
      const body = path === run.path() ? { session_id: 's2' } : {};
      const stream = await at.stream(`${path}/resume`, body);
      expect([stream.names, stream.ended]).toEqual([['error'], true]);
      const { status } = await at.get(`${path}/events?${new URLSearchParams(body)}`);
      expect(status).toBe(404);
    }
  });
});

describe('a run of another owner', () => {
  it("R-4, L-10 cannot be told from one that is unknown, nor can another component's", async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const { events } = await world.stream('/agents/echo/runs', { message: 'hi' }, { token: ALICE });
    const { run_id: runId }: RunEventJson = nth(events, 0);
    const seen = async (agent: string, id: string, token: string): Promise<unknown[]> => {
      const path = `/agents/${agent}/runs/${id}`;
      const resumed = await world.stream(`${path}/resume`, {}, { token });
      const answers = [
        await world.get(path, { token }),
        await world.get(`${path}/events`, { token }),
        await world.get(`${path}/events?poll=0`, { token }),
        await world.post(`${path}/cancel`, {}, { token }),
        await world.post(`${path}/continue`, {}, { token }),
        await world.post(`${path}/steer`, { message: 'x' }, { token }),
      ];
      return [resumed.meta, ...answers.map(({ status, body }) => [status, body])];
    };
    const unknown = await seen('echo', 'run_unknown', ALICE);
    expect(await seen('echo', runId, BOB)).toEqual(unknown);
    expect(await seen('slow', runId, ALICE)).toEqual(unknown);
    expect(await seen('echo', runId, ALICE)).not.toEqual(unknown);
  });
});
