import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { outcome } from '../../test/client.ts';
import { completed, member, read, said, setUp, sseOf, told } from '../../test/runs.ts';

const attach = (world: ReturnType<typeof setUp>, after?: number) =>
  world.client.attach('r1', { agent: 'echo', ...(after !== undefined && { after }) });

describe('reading a run', () => {
  it('R-13 gives its events in order, and ends with its terminal event', async () => {
    const world = setUp({ token: 'secret' });
    const { seen, done } = read(attach(world));
    const { path, query, headers } = await world.request();
    expect([path, query.get('after'), query.get('poll')]).toEqual([
      '/agents/echo/runs/r1/events',
      '-1',
      null,
    ]);
    expect(headers.get('authorization')).toBe('Bearer secret');
    const end = await world.stream();
    end.say({ event: 'subscribed', run_id: 'r1', status: 'running', current_event_count: 0 });
    end.say(told(0, 'RunStarted'), said(1), member(2, 'RunCompleted', { content: 'x' }), completed(3));
    await expect(done).resolves.toBe('ended');
    expect(seen).toEqual([0, 1, 2, 3]);
    expect(end.isOpen).toBe(false);
    expect(world.clock.timers).toBe(0);
  });

  it.each(['TeamRunCompleted', 'TeamRunError', 'RunCancelled', 'WorkflowCancelled', 'WorkflowError'])(
    'R-1 ends with %s',
    async (event) => {
      const world = setUp();
      const { done } = read(attach(world));
      (await world.stream()).say(told(0, event, { content: '' }));
      await expect(done).resolves.toBe('ended');
    },
  );

  it('stays over a pause, and is not ended by what only sounds like an end', async () => {
    const world = setUp();
    const { seen, done } = read(attach(world));
    const end = await world.stream();
    const pause = { tools: [], requirements: [] };
    end.say(told(0, 'RunPaused', pause), told(1, 'RunContentCompleted', { content: 'x' }));
    const after = outcome(done);
    for (let beats = 0; beats < 10; beats++) {
      await world.clock.advance(15_000);
      end.comment();
    }
    expect([seen, after.settled, world.asked.length]).toEqual([[0, 1], undefined, 1]);
    end.say(told(2, 'RunContinued'), completed(3));
    await done;
  });

  it('R-3, R-8 goes on from the last event over any number of cuts, each once (seeds 1 to 60)', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = createSeededRandom(seed);
      const world = setUp();
      const { seen, done } = read(attach(world));
      const after = outcome(done);
      const length = 30;
      for (let rounds = 0; after.settled === undefined; rounds++) {
        expect(rounds, `seed ${seed}`).toBeLessThan(500);
        const asked = await world.request();
        if (random.chance(0.2)) asked.fail();
        else {
          const end = asked.stream();
          // A careless server also sends what its client has.
          const from = Number(asked.query.get('after')) + 1 - random.int(0, 2);
          const events = Array.from({ length: length - from }, (_, at) =>
            from + at === length - 1 ? completed(length - 1) : said(from + at),
          ).filter(({ event_index }) => event_index >= 0);
          const text = events.slice(0, random.int(0, 8)).map(sseOf).join('');
          const cut = random.int(0, text.length);
          end.text(text.slice(0, cut));
          await world.clock.settle();
          if (random.chance(0.5)) end.text(text.slice(cut));
          await world.clock.settle();
          if (random.chance(0.5)) end.cut();
          else end.end();
        }
        await world.clock.advance(5_000);
      }
      expect(seen, `seed ${seed}`).toEqual(Array.from({ length }, (_, index) => index));
    }
  });

  it.each(['\u2028', '\u2029', '\u0085'])(
    'R-2 takes LF alone for the end of a line: %j',
    async (separator) => {
      const world = setUp();
      const { seen, whole, done } = read(attach(world));
      (await world.stream()).say(said(0, `a${separator}data: b`), completed(1));
      await done;
      expect([seen, world.asked.length]).toEqual([[0, 1], 1]);
      expect(whole[0]).toMatchObject({ content: `a${separator}data: b` });
    },
  );

  it('waits longer after each failure, and begins anew when an event came', async () => {
    const world = setUp();
    const { seen } = read(attach(world));
    for (let failures = 0; failures < 4; failures++) {
      (await world.request()).fail();
      await world.clock.step();
    }
    const end = await world.stream();
    end.say(said(0));
    await world.clock.settle();
    end.end();
    await world.clock.step();
    (await world.request()).answer(503, { detail: 'Draining.' });
    await world.clock.settle();
    expect(world.retries).toEqual([1_000, 2_000, 4_000, 5_000, 1_000, 2_000]);
    expect(seen).toEqual([0]);
    expect((await world.request()).query.get('after')).toBe('0');
  });

  it('comes back to a gateway that had an error of its own', async () => {
    const world = setUp();
    const { done } = read(attach(world));
    (await world.request()).answer(500, { detail: 'Something went wrong.' });
    await world.clock.advance(1_000);
    (await world.stream()).say(completed(0));
    await expect(done).resolves.toBe('ended');
  });

  it('takes a stream for dead after 40 s of silence, and not before', async () => {
    const world = setUp();
    void read(attach(world));
    const end = await world.stream();
    await world.clock.advance(39_000);
    end.comment();
    await world.clock.advance(39_000);
    expect([end.isOpen, world.asked.length]).toEqual([true, 1]);
    await world.clock.advance(2_100);
    expect([end.isOpen, world.asked.length]).toEqual([false, 2]);
  });

  it('does not trust a stream that was silent before the machine woke', async () => {
    const world = setUp();
    void read(attach(world));
    const end = await world.stream();
    await world.clock.advance(16_000);
    world.wake();
    await world.clock.settle();
    expect(end.isOpen).toBe(true);
    await world.clock.advance(16_000);
    world.wake();
    await world.clock.settle();
    expect(end.isOpen).toBe(false);
  });

  it('shows the part that is gone, and goes on behind it', async () => {
    const world = setUp();
    const { seen, done } = read(attach(world, 1));
    const end = await world.stream();
    end.say({ event: 'gap', run_id: 'r1', reason: 'trimmed', from: 2, to: 5 });
    await world.clock.settle();
    end.cut();
    await world.clock.advance(1_000);
    expect((await world.request()).query.get('after')).toBe('4');
    (await world.stream()).say(said(4), said(5), completed(6));
    await done;
    expect(seen).toEqual(['gap', 5, 6]);
  });

  it('R-8 misses nothing when it was asked for beyond the end', async () => {
    const world = setUp();
    const { seen, done } = read(attach(world, 99));
    const end = await world.stream();
    end.say({ event: 'subscribed', run_id: 'r1', status: 'running', current_event_count: 3 });
    end.say(said(3), said(4), completed(5));
    await done;
    expect(seen).toEqual([3, 4, 5]);
  });

  it('does not take a later count for a place to go back to', async () => {
    const world = setUp();
    const { seen, done } = read(attach(world));
    const end = await world.stream();
    const status = 'running';
    end.say({ event: 'catch_up', status, current_event_count: 2 }, said(0), said(1), said(2));
    end.say({ event: 'subscribed', status, current_event_count: 2 }, said(1), said(2), completed(3));
    await done;
    expect(seen).toEqual([0, 1, 2, 3]);
  });

  it('hands over events that it does not know, and takes no notice of meta events that it does not know', async () => {
    const world = setUp();
    const { seen, done, whole } = read(attach(world));
    const end = await world.stream();
    end.say(told(0, 'RunDreamed', { of: 'sheep' }), { event: 'weather', run_id: 'r1' }, completed(1));
    await done;
    expect(seen).toEqual([0, 1]);
    expect(whole[0]).toMatchObject({ event: 'RunDreamed', of: 'sheep' });
  });

  it('R-13 ends at the last event of a run that has ended (204), and tells how that was', async () => {
    const world = setUp();
    const handle = attach(world, 8);
    const { seen, done } = read(handle);
    (await world.request()).answer(204);
    const { path, answer } = await world.request();
    expect(path).toBe('/agents/echo/runs/r1');
    answer(200, {
      run_id: 'r1',
      status: 'ERROR',
      content: 'so far',
      error_type: 'time_limit',
      error: 'Too slow.',
    });
    await done;
    expect(seen).toEqual([]);
    expect(handle.view).toMatchObject({
      status: 'ERROR',
      text: 'so far',
      error: { type: 'time_limit', message: 'Too slow.' },
    });
  });

  it.each([
    [
      'over HTTP',
      (world: ReturnType<typeof setUp>) => world.asked[0]?.answer(404, { detail: 'Run not found' }),
    ],
    [
      'in the stream',
      (world: ReturnType<typeof setUp>) =>
        world.asked[0]?.stream().say({ event: 'error', error: 'There is no such run.' }),
    ],
  ])('R-4 throws where there is no such run, %s', async (_where, refuse) => {
    const world = setUp();
    const { done } = read(attach(world));
    await world.request();
    refuse(world);
    await expect(done).rejects.toMatchObject({ name: 'GatewayError', code: 'not_found' });
    expect([world.asked.length, world.clock.timers]).toEqual([1, 0]);
  });

  it('R-2 goes on with a fresh token, at once, when the old one has ended', async () => {
    let made = 0;
    const world = setUp({ token: () => `t${++made}` });
    const { seen, done } = read(attach(world));
    const end = await world.stream();
    end.say(said(0), { event: 'error', error: 'The token has ended.', code: 'unauthorized' });
    end.end();
    const again = await world.request();
    expect([again.query.get('after'), again.headers.get('authorization')]).toEqual(['0', 'Bearer t2']);
    again.stream().say(completed(1));
    await done;
    expect(seen).toEqual([0, 1]);
    expect(world.retries).toEqual([]);
  });

  it('R-2 does not ask for tokens over and over', async () => {
    let made = 0;
    const world = setUp({ token: () => `t${++made}` });
    void read(attach(world));
    for (let round = 0; round < 3; round++) {
      const end = await world.stream();
      end.say({ event: 'error', error: 'The token has ended.', code: 'unauthorized' });
      await world.clock.settle();
      if (round > 0) await world.clock.step();
    }
    expect(world.retries).toEqual([2_000, 4_000]);
  });

  it('R-2 throws when there is no other token', async () => {
    const world = setUp({ token: 'only' });
    const { done } = read(attach(world));
    (await world.stream()).say({ event: 'error', error: 'Ended.', code: 'unauthorized' });
    await expect(done).rejects.toMatchObject({ name: 'UnauthorizedError', message: 'Ended.' });
  });
});

describe('a stream that is held back on its way', () => {
  const page = (fields: object) => ({ run_id: 'r1', status: 'RUNNING', events: [], ended: false, ...fields });

  it.each([
    ['with its headers', false],
    ['after its headers', true],
  ])(
    'R-27 is noticed 3 s after the request, %s, and polled for the rest of the run',
    async (_what, hasHeaders) => {
      const world = setUp();
      const handle = attach(world);
      const { seen, done } = read(handle);
      if (hasHeaders) await world.stream(true);
      await world.clock.advance(2_999);
      expect([world.asked.length, handle.transport]).toEqual([1, 'sse']);
      await world.clock.advance(1);
      expect(world.asked[0]?.isGone).toBe(true);
      const first = await world.request();
      expect([first.query.get('poll'), first.query.get('after')]).toEqual(['0', '-1']);
      first.answer(200, page({ last_event_index: -1 }));
      const second = await world.request();
      expect([second.query.get('poll'), second.query.get('after'), handle.transport]).toEqual([
        '25000',
        '-1',
        'polling',
      ]);
      second.answer(200, page({ events: [said(0), said(1)], last_event_index: 1 }));
      expect((await world.request()).query.get('after')).toBe('1');
      await world.clock.advance(25_000);
      (await world.request()).answer(200, page({ last_event_index: 1 }));
      const gap = { event: 'gap', run_id: 'r1', reason: 'trimmed', from: 2, to: 3 };
      (await world.request()).answer(200, page({ gap, events: [said(3)], last_event_index: 3 }));
      (await world.request()).answer(200, page({ events: [completed(4)], last_event_index: 4, ended: true }));
      await done;
      expect(seen).toEqual([0, 1, 'gap', 3, 4]);
      expect(world.retries).toEqual([]);
      expect(world.clock.timers).toBe(0);
    },
  );

  it('R-27 is not what a stream is whose first comment came in time', async () => {
    const world = setUp();
    const handle = attach(world);
    void read(handle);
    const end = await world.stream(true);
    await world.clock.advance(2_900);
    end.comment();
    await world.clock.advance(10_000);
    expect([world.asked.length, handle.transport]).toEqual([1, 'sse']);
  });

  it('R-27 is not what a silent network is: a poll that is not answered says so', async () => {
    const world = setUp();
    const handle = attach(world);
    const { done } = read(handle);
    await world.request();
    await world.clock.advance(3_000);
    expect((await world.request()).query.get('poll')).toBe('0');
    await world.clock.advance(10_000);
    expect(world.retries).toEqual([1_000]);
    await world.clock.advance(1_000);
    expect((await world.request()).query.get('poll')).toBeNull();
    (await world.stream()).say(completed(0));
    await done;
    expect(handle.transport).toBe('sse');
  });

  it('R-27 is not what a slow token is', async () => {
    const slow = Promise.withResolvers<string>();
    let made = 0;
    const world = setUp({ token: () => (made++ ? slow.promise : 'old') });
    const { done } = read(attach(world));
    (await world.request()).answer(401);
    await world.clock.advance(10_000);
    slow.resolve('new');
    const again = await world.request();
    expect(again.query.get('poll')).toBeNull();
    again.stream().say(completed(0));
    await done;
  });

  it('R-15 is not polled in a hurry, and a poll that broke is asked again', async () => {
    const world = setUp();
    const { seen, done } = read(attach(world));
    await world.request();
    await world.clock.advance(3_000);
    (await world.request()).answer(200, page({ last_event_index: -1 }));
    (await world.request()).answer(200, page({ last_event_index: -1 }));
    await world.clock.settle();
    expect(world.retries).toEqual([1_000]);
    await world.clock.advance(1_000);
    (await world.request()).fail();
    await world.clock.advance(2_000);
    const last = await world.request();
    expect(last.query.get('poll')).toBe('25000');
    last.answer(200, page({ events: [completed(0)], last_event_index: 0, ended: true }));
    await done;
    expect(seen).toEqual([0]);
  });

  it('R-8, R-15 misses nothing when it was asked for beyond the end', async () => {
    const world = setUp();
    const { seen, done } = read(attach(world, 99));
    await world.request();
    await world.clock.advance(3_000);
    (await world.request()).answer(200, page({ last_event_index: 2 }));
    const next = await world.request();
    expect(next.query.get('after')).toBe('2');
    next.answer(200, page({ events: [completed(3)], last_event_index: 3, ended: true }));
    await done;
    expect(seen).toEqual([3]);
  });
});
