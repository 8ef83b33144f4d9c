import { describe, expect, it } from 'vitest';
import { outcome } from '../../test/client.ts';
import { completed, member, read, said, setUp, told } from '../../test/runs.ts';
import type { RunHandle } from './handle.ts';

function open(after?: number) {
  const world = setUp();
  const handle = world.client.attach('r1', { agent: 'echo', ...(after !== undefined && { after }) });
  return { ...world, handle };
}

describe('the events of a run handle', () => {
  it('are read when they are taken, and what is not taken is not read', async () => {
    let parts = 0;
    const { client, clock } = setUp({
      fetch: async () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              const event = JSON.stringify(said(parts++, 'x'.repeat(1_000)));
              controller.enqueue(new TextEncoder().encode(`data: ${event}\n\n`));
            },
          }),
          { headers: { 'content-type': 'text/event-stream' } },
        ),
    });
    const handle = client.attach('r1', { agent: 'echo' });
    const events = handle[Symbol.asyncIterator]();
    for (let taken = 0; taken < 5; taken++) await events.next();
    await clock.settle();
    const before = parts;
    await clock.advance(3_600_000); // nor is it cut for it
    expect(parts).toBe(before);
    expect(before).toBeLessThan(20);
    expect(handle.view.lastEventIndex).toBe(4);
    expect((await events.next()).value).toMatchObject({ event_index: 5 });
  });

  it('are not cut off for who takes his time', async () => {
    const { handle, stream, asked, clock } = open();
    const events = handle[Symbol.asyncIterator]();
    const first = events.next();
    const end = await stream();
    end.say(said(0), completed(1));
    await first;
    await clock.advance(3_600_000);
    expect([end.isOpen, asked.length]).toEqual([true, 1]);
    expect((await events.next()).value).toMatchObject({ event_index: 1 });
  });

  it('end for who leaves, and go on from there for who comes back', async () => {
    const { handle, stream, request, asked, clock } = open(3);
    const left: number[] = [];
    const first = (async () => {
      for await (const event of handle) {
        if ('event_index' in event && left.push(event.event_index) === 2) break;
      }
    })();
    const end = await stream();
    end.say(said(4), said(5), said(6), said(7));
    await first;
    await clock.settle();
    expect([left, end.isOpen, clock.timers]).toEqual([[4, 5], false, 0]);
    const { seen, done } = read(handle);
    expect((await request()).query.get('after')).toBe('5');
    (await stream()).say(said(6), completed(7));
    await done;
    expect([seen, asked.length]).toEqual([[6, 7], 2]);
  });

  it('are all there for each of two who read at once', async () => {
    const { handle, clock, asked } = open();
    const one = read(handle);
    const two = read(handle);
    await clock.settle();
    expect(asked).toHaveLength(2);
    asked[0]?.stream().say(said(0, 'a'), said(1, 'b'));
    await clock.settle();
    const end = asked[1]?.stream();
    end?.say(said(0, 'a'), said(1, 'b'), said(2, 'c'));
    await clock.settle();
    expect(handle.view.text).toBe('abc');
    end?.say(completed(3, 'abc'));
    await two.done;
    expect(one.seen).toEqual([0, 1]);
    expect(two.seen).toEqual([0, 1, 2, 3]);
  });

  it('end on close(), which leaves the run alone', async () => {
    const { handle, stream, asked, clock } = open();
    const { done } = read(handle);
    const result = outcome(handle.result());
    const end = await stream();
    handle.close();
    await expect(done).resolves.toBe('ended');
    await clock.settle();
    expect(end.isOpen).toBe(false);
    expect(result.settled).toMatchObject({ name: 'ConnectionError' });
    expect(asked.map(({ method }) => method)).toEqual(['GET', 'GET']);
    expect(clock.timers).toBe(0);
    await expect(read(handle).done).resolves.toBe('ended');
  });

  it.each([
    ['while it is asked whose run it is', undefined],
    ['while it is asked how the run ended', { agent: 'echo' }],
  ])('end on close(), %s', async (_when, options) => {
    const world = setUp();
    const handle = world.client.attach('r1', options);
    const { done } = read(handle);
    if (options) (await world.request()).answer(204);
    (await world.request()).fail();
    await world.clock.advance(1_000);
    const asked = await world.request();
    handle.close();
    await expect(done).resolves.toBe('ended');
    expect([asked.isGone, world.clock.timers]).toEqual([true, 0]);
  });

  it('end on close() between two attempts', async () => {
    const { handle, request, clock } = open();
    const { done } = read(handle);
    (await request()).fail();
    await clock.settle();
    handle.close();
    await expect(done).resolves.toBe('ended');
    expect(clock.timers).toBe(0);
  });
});

describe('the result of a run', () => {
  it.each([
    [completed(1, 'all of it'), { status: 'COMPLETED', content: 'all of it' }],
    [
      told(1, 'RunError', { content: 'Too slow.', error_type: 'time_limit', partial_content: 'a' }),
      { status: 'ERROR', content: 'a', error: { type: 'time_limit', message: 'Too slow.' } },
    ],
    [
      told(1, 'TeamRunCancelled', { content: 'a', reason: 'enough' }),
      { status: 'CANCELLED', content: 'a', error: { type: 'cancelled', message: 'enough' } },
    ],
  ])('is there for any end: %j', async (last, expected) => {
    const { handle, stream, asked } = open();
    const result = handle.result();
    const end = await stream();
    end.say(said(0, 'a'), last);
    expect(await result).toEqual(expected);
    expect(await handle.result()).toEqual(expected);
    expect(asked).toHaveLength(1);
  });

  it('is not there while it is paused', async () => {
    const { handle, stream, clock } = open();
    const result = outcome(handle.result());
    const end = await stream();
    end.say(told(0, 'RunPaused', { tools: [], requirements: [] }));
    await clock.settle();
    expect([result.settled, handle.view.status]).toEqual([undefined, 'PAUSED']);
    end.say(told(1, 'RunContinued'), completed(2));
    await clock.settle();
    expect(result.settled).toMatchObject({ status: 'COMPLETED' });
  });

  it('can be waited for in the middle of an iteration', async () => {
    const { handle, clock, asked } = open();
    const contents: string[] = [];
    const reading = (async () => {
      for await (const _event of handle) contents.push((await handle.result()).content);
    })();
    await clock.settle();
    asked[0]?.stream().say(said(0), completed(1));
    await clock.settle();
    asked[1]?.stream().say(completed(1));
    await reading;
    expect(contents).toEqual(['all', 'all']);
  });

  it('rejects where the gateway refuses, and may be asked for again', async () => {
    const { handle, request } = open();
    const result = handle.result();
    (await request()).answer(404, { detail: 'Run not found' });
    await expect(result).rejects.toMatchObject({ code: 'not_found' });
    const again = handle.result();
    (await request()).stream().say(completed(0));
    await expect(again).resolves.toMatchObject({ status: 'COMPLETED' });
  });
});

describe('the view', () => {
  it('is told of once for what comes together, and read for who listens', async () => {
    const { handle, stream, clock } = open();
    const texts: string[] = [];
    const remove = handle.onChange(() => texts.push(handle.view.text));
    const end = await stream();
    end.say(said(0, 'a'), said(1, 'b'));
    await clock.advance(1);
    end.say(member(2, 'RunStarted'));
    await clock.advance(1);
    const result = handle.result();
    remove();
    end.say(said(3, 'c'), completed(4, 'abc'));
    await clock.advance(1);
    await result;
    expect(texts).toEqual(['ab', 'ab']);
    expect(handle.view).toMatchObject({ text: 'abc', members: [{ name: 'Ada' }], lastEventIndex: 4 });
    expect([handle.sessionId, clock.timers]).toEqual(['s1', 0]);
  });

  it('is not read any more when the last who listened has gone, and goes on for who comes', async () => {
    const { handle, stream, request, clock, asked } = open();
    const removers = [handle.onChange(() => {}), handle.onChange(() => {})];
    const end = await stream();
    end.say(said(0, 'a'));
    await clock.advance(1);
    removers[0]?.();
    removers[0]?.();
    await clock.settle();
    expect(end.isOpen).toBe(true);
    removers[1]?.();
    const remove = handle.onChange(() => {});
    await clock.settle();
    expect([end.isOpen, asked.length]).toEqual([false, 2]);
    expect((await request()).query.get('after')).toBe('0');
    const again = await stream();
    again.say(said(1, 'b'));
    await clock.advance(1);
    expect(handle.view.text).toBe('ab');
    remove();
    await clock.settle();
    expect([again.isOpen, clock.timers, asked.length]).toEqual([false, 0, 2]);
  });
});

describe('the view of a run that is read from its middle on', () => {
  const replay = (status: string) => ({
    event: 'replay',
    run_id: 'r1',
    status,
    total_events: 4,
    total_buffered: 4,
    last_event_index_requested: 3,
  });
  const question = (id: string, run_id = 'r1') => ({
    approval_id: id,
    run_id,
    tool: { tool_call_id: `c${id}`, tool_name: 'reserve', tool_args: { to: 'Porto' } },
    expires_at: 9.5,
  });

  it('R-16 has what a paused run waits for, though that was said before', async () => {
    const { handle, stream, request, clock, asked } = open(3);
    let changes = 0;
    handle.onChange(() => changes++);
    const end = await stream();
    end.say(replay('PAUSED'), told(4, 'ApprovalResolved', { approval_id: 'b' }));
    const { path, answer } = await request();
    expect([path, handle.view.lastEventIndex]).toEqual(['/approvals', -1]);
    answer(200, [question('a'), question('b'), question('x', 'r2')]);
    await clock.advance(1);
    expect(changes).toBe(1);
    expect(handle.view).toMatchObject({ status: 'PAUSED', lastEventIndex: 4 });
    expect(handle.view.approvals).toEqual([
      {
        approvalId: 'a',
        runId: 'r1',
        toolCallId: 'ca',
        toolName: 'reserve',
        args: { to: 'Porto' },
        expiresAt: 9_500,
      },
    ]);
    end.cut();
    await clock.advance(1_000);
    (await request()).stream().say(replay('PAUSED'), told(5, 'RunContinued'));
    await clock.advance(1);
    expect([handle.view.status, asked.length]).toEqual(['RUNNING', 3]);
  });

  it('R-15, R-16 has it also where it is polled', async () => {
    const { handle, request, clock } = open(3);
    handle.onChange(() => {});
    await request();
    await clock.advance(3_000);
    const page = { run_id: 'r1', status: 'PAUSED', events: [], last_event_index: 3, ended: false };
    (await request()).answer(200, page);
    (await request()).answer(200, [question('a')]);
    await clock.settle();
    expect(handle.view).toMatchObject({ status: 'PAUSED', approvals: [{ approvalId: 'a' }] });
  });

  it('is that of a running run, where it runs, and asks for nothing', async () => {
    const { handle, stream, clock, asked } = open(3);
    handle.onChange(() => {});
    const end = await stream();
    end.say({ event: 'subscribed', run_id: 'r1', status: 'running', current_event_count: 4 });
    await clock.settle();
    expect([handle.view.status, asked.length]).toEqual(['RUNNING', 1]);
  });

  it('is not that of an ended run before its end was read', async () => {
    const { handle, stream, clock } = open(3);
    const result = outcome(handle.result());
    const end = await stream();
    end.say(replay('COMPLETED'));
    await clock.settle();
    expect([handle.view.status, result.settled]).toEqual(['PENDING', undefined]);
    end.say(completed(4, 'all of it'));
    await clock.settle();
    expect(result.settled).toMatchObject({ content: 'all of it' });
  });

  it('shows that it waits also to who may not see the questions', async () => {
    const { handle, stream, request, clock } = open(3);
    const { seen } = read(handle);
    const end = await stream();
    end.say(replay('PAUSED'));
    (await request()).answer(403, { detail: 'No.' });
    end.say(said(4));
    await clock.settle();
    expect([handle.view.status, seen]).toEqual(['PAUSED', [4]]);
  });

  it('reads all that was said where all is asked for, and asks for nothing else', async () => {
    const { handle, stream, clock, asked } = open();
    handle.onChange(() => {});
    (await stream()).say(replay('PAUSED'));
    await clock.settle();
    expect([handle.view.status, asked.length]).toEqual(['PENDING', 1]);
  });
});

describe('the calls of a run handle', () => {
  it.each([
    ['approve', (handle: RunHandle) => handle.approve('a')],
    ['continue', (handle: RunHandle) => handle.continue()],
    ['continue with answers', (handle: RunHandle) => handle.continue([])],
    ['steer', (handle: RunHandle) => handle.steer('shorter')],
    ['get', (handle: RunHandle) => handle.get()],
  ])('end on close() where nobody has answered: %s', async (_name, call) => {
    const { handle, request, clock } = open();
    const called = outcome(call(handle));
    (await request()).fail();
    await clock.advance(1_000);
    const asked = await request();
    handle.close();
    await clock.settle();
    expect(called.settled).toMatchObject({ name: 'ConnectionError', message: 'close() was called.' });
    expect([asked.isGone, clock.timers]).toEqual([true, 0]);
  });

  it('cancel until the signal is aborted', async () => {
    const { handle, request, clock } = open();
    const abort = new AbortController();
    const cancelled = outcome(handle.cancel('enough', abort.signal));
    (await request()).fail();
    await clock.settle();
    abort.abort(new Error('no gateway'));
    await clock.settle();
    expect([cancelled.settled, clock.timers]).toMatchObject([{ message: 'no gateway' }, 0]);
  });

  it('R-12 cancel, also when its reader has left at once', async () => {
    const { handle, request, clock } = open();
    const cancelled = handle.cancel('enough');
    handle.close();
    (await request()).fail();
    await clock.advance(1_000);
    const { method, path, body, answer } = await request();
    expect([method, path, body]).toEqual(['POST', '/agents/echo/runs/r1/cancel', { reason: 'enough' }]);
    answer(200, {});
    await cancelled;
  });

  it('R-16 approve what was asked', async () => {
    const { handle, request } = open();
    const approved = handle.approve('apr_1');
    const { path, body, answer } = await request();
    expect([path, body]).toEqual(['/approvals/apr_1', { approved: true }]);
    answer(200, {});
    await approved;
  });

  it('R-17 continue with answers', async () => {
    const { handle, request } = open();
    const tools = [{ tool_call_id: 'c1', confirmed: false, note: 'no' }];
    const continued = handle.continue(tools);
    const { path, body, answer } = await request();
    expect(path).toBe('/agents/echo/runs/r1/continue');
    expect(body).toEqual({ tools, stream: false, background: true });
    answer(409, { detail: 'The run is not paused.' });
    await expect(continued).rejects.toMatchObject({ name: 'GatewayError', code: 'conflict' });
  });

  it('R-21 steer, with one id for all tries', async () => {
    const { handle, request, clock, asked } = open();
    const steered = handle.steer('shorter');
    (await request()).fail();
    await clock.advance(1_000);
    (await request()).answer(202, { status: 'ACCEPTED' });
    expect(await steered).toBe('id1');
    expect(asked.map(({ body }) => body)).toEqual(Array(2).fill({ message: 'shorter', message_id: 'id1' }));
    const late = handle.steer('too late');
    (await request()).answer(409, { detail: 'It reads no more.', code: 'too_late' });
    await expect(late).rejects.toMatchObject({ code: 'too_late' });
  });
});
