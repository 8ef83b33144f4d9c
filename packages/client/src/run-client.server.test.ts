import type { Component } from '@continuo/protocol';
import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { ALICE, openGateway, type TestGatewayOptions, TWO_PEOPLE } from '../../server/test/gateway.ts';
import { createPuppet } from '../../server/test/puppet.ts';
import { outcome } from './../test/client.ts';
import { read } from '../test/runs.ts';
import type { RunClientOptions } from './run/options.ts';
import { RunClient } from './run-client.ts';

/** The shipped client against the shipped server, over a network that can be cut and that can hold back. */
function openWorld(options: TestGatewayOptions = {}, more: Partial<RunClientOptions> = {}) {
  const server = openGateway(options);
  const { clock, gateway } = server;
  const random = createSeededRandom(7);
  const cuts = new Set<() => void>();
  const requests: string[] = [];
  const proxy = { holdsBack: false };

  /** As `fetch` does it: an abort ends the body too. */
  async function send(input: Request): Promise<Response> {
    requests.push(`${input.method} ${new URL(input.url).pathname}${new URL(input.url).search}`);
    const cut = Promise.withResolvers<never>();
    cut.promise.catch(() => {});
    const lost = (reason: unknown): void => cut.reject(reason);
    input.signal.addEventListener('abort', () => lost(input.signal.reason));
    cuts.add(() => lost(new TypeError('terminated')));
    const response = await Promise.race([gateway.fetch(input), cut.promise]);
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
    if (isStream && proxy.holdsBack) await cut.promise;
    const reader = response.body?.getReader();
    if (!reader) return response;
    const body = new ReadableStream({
      async pull(controller) {
        const { done, value } = await Promise.race([reader.read(), cut.promise]);
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => reader.cancel(),
    });
    return new Response(body, { status: response.status, headers: response.headers });
  }

  const client = new RunClient({
    url: 'http://127.0.0.1',
    fetch: (input, init) => send(new Request(input, init)),
    ...more,
    platform: {
      now: clock.now,
      timer: (ms, run) => clock.schedule(clock.now() + ms, run),
      random: random.next,
      id: random.id,
      onWake: () => () => {},
    },
  });
  return {
    server,
    clock,
    client,
    requests,
    proxy,
    cutAll() {
      for (const cut of cuts) cut();
      cuts.clear();
    },
    /** Lets a call be answered. */
    async settle<T>(promise: Promise<T>): Promise<T> {
      promise.catch(() => {});
      await clock.advance(200);
      return promise;
    },
  };
}

const count = (length: number): number[] => Array.from({ length }, (_, index) => index);

describe('a run client of a real gateway', () => {
  it.each([
    ['agent', { agent: 'echo' }, 'echo: a b c'],
    ['team', { team: 'pair' }, 'team: a b c'],
    ['workflow', { workflow: 'chain' }, ''],
  ])('R-13 gives every event of a run once, and its result: %s', async (_kind, component, content) => {
    const { client, clock, settle } = openWorld();
    const handle = await settle(client.start({ ...component, message: 'a b c' }));
    const { seen, done } = read(handle);
    await clock.advance(1_000);
    await done;
    expect(seen).toEqual(count(seen.length));
    const output = await settle(handle.get());
    expect(output.events.map(({ event_index }) => event_index)).toEqual(seen);
    expect(await handle.result()).toEqual({ status: 'COMPLETED', content });
    expect(handle.view.members.map(({ name, status }) => [name, status])).toEqual(
      'team' in component ? [['Echo', 'COMPLETED']] : [],
    );
  });

  it('R-3 gives every event once over connections that are cut all the time', async () => {
    const puppet = createPuppet('p');
    const { client, clock, settle, cutAll, requests } = openWorld({ agents: [puppet.component] });
    const handle = await settle(client.start({ agent: 'p', message: 'hi' }));
    const { seen, done } = read(handle);
    for (let number = 1; number <= 60; number++) {
      puppet.runs[0]?.say({ type: 'text.delta', text: `${number} ` });
      await clock.advance(50);
      if (number % 7 === 0) cutAll();
    }
    puppet.runs[0]?.finish();
    await clock.advance(10_000);
    await done;
    expect(seen).toEqual(count(seen.length));
    expect(handle.view.text).toBe(
      count(60)
        .map((index) => `${index + 1} `)
        .join(''),
    );
    expect(requests.length).toBeGreaterThan(3);
  });

  it('R-11 starts one run, whatever becomes of the answers', async () => {
    const puppet = createPuppet('p');
    let lost = 0;
    const world = openWorld({ agents: [puppet.component] });
    const { clock, server } = world;
    const client = new RunClient({
      url: 'http://127.0.0.1',
      async fetch(input, init) {
        const response = await server.gateway.fetch(new Request(input, init));
        if (lost++ < 2) throw new TypeError('fetch failed');
        return response;
      },
      platform: { timer: (ms, run) => clock.schedule(clock.now() + ms, run), now: clock.now },
    });
    const started = client.start({ agent: 'p', message: 'hi' });
    await clock.advance(5_000);
    await started;
    expect([lost, puppet.runs.length]).toEqual([3, 1]);
  });

  it('R-27 polls where a proxy holds streams back, and misses nothing', async () => {
    const puppet = createPuppet('p');
    const { client, clock, settle, proxy, requests } = openWorld({ agents: [puppet.component] });
    proxy.holdsBack = true;
    const handle = await settle(client.start({ agent: 'p', message: 'hi' }));
    const { seen, done } = read(handle);
    await clock.advance(3_500);
    expect(handle.transport).toBe('polling');
    for (let number = 1; number <= 5; number++) {
      puppet.runs[0]?.say({ type: 'text.delta', text: `${number}` });
      await clock.advance(12_000);
    }
    puppet.runs[0]?.finish();
    await clock.advance(1_000);
    await done;
    expect(seen).toEqual(count(8));
    expect(requests.filter((each) => !each.includes('poll=') && each.includes('/events'))).toHaveLength(1);
    expect(await handle.result()).toEqual({ status: 'COMPLETED', content: '12345' });
  });

  it('R-12 cancels right after the start, and every reader is told once', async () => {
    const { client, clock, settle } = openWorld();
    const handle = await settle(client.start({ agent: 'slow', message: 'hi' }));
    const { whole, done } = read(handle);
    await settle(handle.cancel('enough'));
    await settle(handle.cancel('enough'));
    await clock.advance(5_000);
    await done;
    expect(whole.at(-1)).toMatchObject({ event: 'RunCancelled', reason: 'enough' });
    expect(await handle.result()).toMatchObject({ status: 'CANCELLED', error: { message: 'enough' } });
    await settle(handle.cancel());
  });

  it('R-17 stays over a pause, and goes on when all is confirmed', async () => {
    const { client, clock, settle, cutAll } = openWorld();
    const handle = await settle(client.start({ agent: 'clerk', message: 'jump run' }));
    const { whole, done, seen } = read(handle);
    const result = outcome(handle.result());
    await clock.advance(60_000);
    cutAll();
    await clock.advance(60_000);
    expect(handle.view.status).toBe('PAUSED');
    expect(handle.view.approvals).toMatchObject([
      { toolCallId: 'jump', toolName: 'do', args: { what: 'jump' } },
      { toolCallId: 'run' },
    ]);
    expect(result.settled).toBeUndefined();
    await settle(
      handle.continue([
        { tool_call_id: 'jump', confirmed: true },
        { tool_call_id: 'run', confirmed: false, note: 'too far' },
      ]),
    );
    await clock.advance(1_000);
    await done;
    expect(seen).toEqual(count(seen.length));
    expect(whole.map(({ event }) => event)).toContain('RunContinued');
    expect(result.settled).toEqual({ status: 'COMPLETED', content: 'May I? Done: jump' });
    expect(handle.view.approvals).toEqual([]);
    await expect(settle(handle.continue([]))).rejects.toMatchObject({ code: 'conflict' });
  });

  it('R-18, R-23 needs no more than an id to answer, to watch and to end a run', async () => {
    const { client, settle, clock } = openWorld();
    const { runId } = await settle(client.start({ agent: 'clerk', message: 'jump run' }));
    await clock.advance(1_000);
    const handle = client.attach(runId);
    const result = outcome(handle.result());
    await clock.advance(1_000);
    const [jump] = handle.view.approvals;
    expect((await settle(client.approvals())).map(({ approval_id }) => approval_id)).toContain(
      jump?.approvalId,
    );
    await settle(handle.approve(jump?.approvalId ?? '', false, 'no'));
    await settle(client.approve(jump?.approvalId ?? '', false)); // the same, said twice
    await expect(settle(client.approve(jump?.approvalId ?? ''))).rejects.toMatchObject({
      name: 'ApprovalConflictError',
      answer: { approved: false, note: 'no', by: 'local' },
    });
    await settle(client.continue(runId)); // all that is left
    await clock.advance(1_000);
    expect(result.settled).toEqual({ status: 'COMPLETED', content: 'May I? Done: run' });
    expect(await settle(client.get(runId))).toMatchObject({ run_id: runId, status: 'COMPLETED' });
    await settle(client.cancel(runId));
    await expect(settle(client.get('run_x'))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('R-16 has what a paused run waits for, wherever it is read from', async () => {
    const { client, clock, settle } = openWorld();
    const first = await settle(client.start({ agent: 'clerk', message: 'jump run' }));
    first.onChange(() => {});
    await clock.advance(1_000);
    const { approvals, lastEventIndex } = first.view;
    await settle(first.approve(approvals[0]?.approvalId ?? ''));
    for (const after of [1, lastEventIndex, lastEventIndex + 1, 99]) {
      const late = client.attach(first.runId, { after });
      late.onChange(() => {});
      await clock.advance(1_000);
      expect(late.view, `after ${after}`).toMatchObject({ status: 'PAUSED', text: '' });
      expect(late.view.approvals, `after ${after}`).toEqual(approvals.slice(1));
      late.close();
    }
  });

  it('R-13 tells how a run ended, also at its last index', async () => {
    const { client, clock, settle } = openWorld();
    const { runId } = await settle(client.start({ agent: 'echo', message: 'a b c' }));
    await clock.advance(1_000);
    const all = client.attach(runId, { agent: 'echo' });
    expect(await settle(all.result())).toEqual({ status: 'COMPLETED', content: 'echo: a b c' });
    const last = client.attach(runId, { agent: 'echo', after: all.view.lastEventIndex });
    expect(await settle(last.result())).toEqual({ status: 'COMPLETED', content: 'echo: a b c' });
    const beyond = read(client.attach(runId, { agent: 'echo', after: 99 }));
    await clock.advance(100);
    await expect(beyond.done).resolves.toBe('ended');
    const middle = read(client.attach(runId, { agent: 'echo', after: 2 }));
    await clock.advance(100);
    expect(middle.seen[0]).toBe(3);
  });

  it('R-4, L-10 cannot tell a run of somebody else from none', async () => {
    const { client, settle } = openWorld({ tokens: TWO_PEOPLE }, { token: ALICE });
    const handle = await settle(client.start({ agent: 'echo', message: 'a' }));
    const other = client.attach(handle.runId, { agent: 'slow' });
    await expect(settle(other.result())).rejects.toMatchObject({ code: 'not_found' });
    await expect(settle(client.attach('run_x', { agent: 'echo' }).result())).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('R-21 steers an agent that reads, and is refused by one that does not', async () => {
    const puppet = createPuppet('p');
    const steered: Component = { ...createPuppet('q').component, steerable: true };
    const { client, settle } = openWorld({ agents: [puppet.component, steered] });
    const deaf = await settle(client.start({ agent: 'p', message: 'hi' }));
    await expect(settle(deaf.steer('shorter'))).rejects.toMatchObject({ code: 'conflict' });
    const heard = await settle(client.start({ agent: 'q', message: 'hi' }));
    expect(await settle(heard.steer('shorter'))).toEqual(expect.any(String));
  });
});
