import { WireError } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { openGateway } from '../../test/gateway.ts';
import { interceptStore } from '../../test/intercept.ts';
import { nth, only, range } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import { beginRun } from '../../test/run-world.ts';
import { StoreError } from '../ports.ts';

describe('the stream of a run', () => {
  it('R-2 is server-sent events: its headers, its first byte, its lines', async () => {
    const { stream } = openGateway();
    const { status, headers, text, ended, problem } = await stream('/agents/echo/runs', { message: 'hi' });
    expect([status, ended, problem]).toEqual([200, true, null]);
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-cache, no-transform');
    expect(headers.get('x-accel-buffering')).toBe('no');
    const [comment, ...events] = text.split('\n\n');
    expect(comment).toMatch(/^: /);
    expect(text).not.toContain('\r');
    expect(events.pop()).toBe('');
    for (const [index, event] of events.entries()) {
      expect(event).toMatch(new RegExp(`^event: \\w+\nid: ${index}\ndata: \\{.*\\}$`));
    }
    expect(text).not.toContain('[DONE]');
  });

  it('R-2 has a comment at once, and every 15 seconds', async () => {
    const puppet = createPuppet('puppet');
    const { stream, clock } = openGateway({ agents: [puppet.component] });
    await clock.advance(1_000);
    const timers = clock.timers;
    const streamed = await stream('/agents/puppet/runs', { message: 'hi' });
    const comments = (): number => streamed.text.split('\n').filter((line) => line.startsWith(':')).length;
    expect(comments()).toBe(1);
    await clock.advance(14_999);
    expect(comments()).toBe(1);
    await clock.advance(1);
    expect(comments()).toBe(2);
    await clock.advance(30_000);
    expect(comments()).toBe(4);
    only(puppet.runs).finish();
    await clock.advance(60_000);
    expect([comments(), streamed.ended]).toEqual([4, true]);
    expect(clock.timers).toBe(timers);
  });

  it('R-2 is not waited for: its first byte comes before the store answers', async () => {
    const puppet = createPuppet('puppet');
    const { stream, clock } = openGateway({
      agents: [puppet.component],
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.name === 'read') await new Promise<void>(() => {});
          return go();
        }),
    });
    const streamed = await stream('/agents/puppet/runs', { message: 'hi' });
    await clock.settle();
    expect(streamed.text).toMatch(/^: /);
  });

  it.each([
    ['the record', 'get'],
    ['the head', 'heads'],
    ['the entries', 'read'],
  ])('R-27, R-2 the first comment of a resume comes before %s', async (_what, name) => {
    const { world, path } = await beginRun();
    const elsewhere = openGateway({
      beside: world,
      agents: [createPuppet('puppet').component],
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.name === name) await new Promise<void>(() => {});
          return go();
        }),
    });
    const streamed = await elsewhere.stream(path('/resume'), {});
    expect(streamed.text).toMatch(/^: /);
  });

  it('R-2 tells in the stream what goes wrong after its first byte, and ends it', async () => {
    const { world, path } = await beginRun();
    const elsewhere = openGateway({
      beside: world,
      agents: [createPuppet('puppet').component],
      reports: [expect.stringContaining('the store')],
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.key.startsWith('run/')) throw new StoreError('unavailable', 'gone');
          return go();
        }),
    });
    const streamed = await elsewhere.stream(path('/resume'), {});
    expect([streamed.names, streamed.ended]).toEqual([['error'], true]);
    expect(streamed.meta).toMatchObject([{ event: 'error', code: 'unavailable' }]);
  });

  it('R-3 numbers all events from 0, and says whose they are', async () => {
    const { stream, clock } = openGateway();
    const { events } = await stream('/agents/talkative/runs', { message: 'hi', session_id: 's1' });
    expect(events.map(({ event_index }) => event_index)).toEqual(range(0, events.length - 1));
    for (const event of events) {
      expect(event).toMatchObject({
        run_id: nth(events, 0).run_id,
        session_id: 's1',
        agent_id: 'talkative',
        agent_name: 'Talkative',
        created_at: Math.floor(clock.now() / 1000),
      });
    }
  });

  it('R-1 has the names of all that an agent does, and one end', async () => {
    const { stream } = openGateway();
    const { names } = await stream('/agents/talkative/runs', { message: 'hi' });
    expect(names).toEqual([
      'RunStarted',
      'ReasoningStarted',
      'ReasoningContentDelta',
      'ReasoningCompleted',
      'MemoryUpdateStarted',
      'MemoryUpdateCompleted',
      'ToolCallStarted',
      'ToolCallProgress',
      'ToolCallCompleted',
      'ToolCallStarted',
      'ToolCallError',
      'RunContent',
      'RunContentCompleted',
      'RunCompleted',
    ]);
  });

  it("R-1 of a team is mixed with its members', under their own runs; the first run id is the team's", async () => {
    const { stream } = openGateway();
    const { events } = await stream('/teams/pair/runs', { message: 'hi' });
    const team = nth(events, 0).run_id;
    expect(
      events.map(({ event, run_id, parent_run_id }) => [event, run_id === team, parent_run_id === team]),
    ).toEqual([
      ['TeamRunStarted', true, false],
      ['RunStarted', false, true],
      ['RunContent', false, true],
      ['RunCompleted', false, true],
      ['TeamRunContent', true, false],
      ['TeamRunContentCompleted', true, false],
      ['TeamRunCompleted', true, false],
    ]);
    expect(events.map(({ event_index }) => event_index)).toEqual(range(0, 6));
    expect(nth(events, 1)).toMatchObject({ agent_id: 'echo', agent_name: 'Echo' });
    expect(nth(events, 4)).toMatchObject({ team_id: 'pair', team_name: 'Pair' });
  });

  it('R-1 of a workflow has its own names', async () => {
    const { stream } = openGateway();
    const { events } = await stream('/workflows/chain/runs', { message: 'hi' });
    expect(events.map(({ event }) => event)).toEqual([
      'WorkflowStarted',
      'StepStarted',
      'StepCompleted',
      'WorkflowCompleted',
    ]);
    expect(nth(events, 0)).toMatchObject({ workflow_id: 'chain', workflow_name: 'Chain' });
  });

  it.each([
    ['agent', '/agents', 'RunError'],
    ['team', '/teams', 'TeamRunError'],
    ['workflow', '/workflows', 'WorkflowError'],
  ] as const)('R-1 of an %s that fails ends with one error', async (kind, path, end) => {
    const puppet = createPuppet('puppet', { kind });
    const { stream, clock } = openGateway({
      agents: [puppet.component],
      reports: [expect.stringMatching(new RegExp(`^the ${kind} "puppet" in run \\S+ failed: `))],
    });
    const streamed = await stream(`${path}/puppet/runs`, { message: 'hi' });
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    only(puppet.runs).fail(new WireError('unavailable', 'the model is gone'));
    await clock.settle();
    const last = nth(streamed.events, -1);
    expect(last).toMatchObject({ event: end, content: 'the model is gone', error_type: 'error' });
    expect(
      streamed.events.filter(
        ({ event }) => /Error|Completed$|Cancelled/.test(event) && !event.includes('Content'),
      ),
    ).toEqual([last]);
    expect(streamed.ended).toBe(true);
  });

  it('L-5 does not fill up for a client that does not read, and has everything when it does', async () => {
    const puppet = createPuppet('puppet');
    const { ask, clock } = openGateway({ agents: [puppet.component] });
    const streamed = await ask('POST', '/agents/puppet/runs', { body: { message: 'hi' } }).stream();
    streamed.stall();
    await clock.settle();
    const progress = 'x'.repeat(20_000);
    for (const _count of range(1, 100)) {
      only(puppet.runs).say({ type: 'tool.progress', callId: 'c', name: 't', progress });
      await clock.settle();
    }
    only(puppet.runs).finish();
    await clock.settle();
    expect(streamed.events.length).toBeLessThan(10);
    streamed.read();
    for (let turns = 0; turns < 50; turns++) await clock.settle();
    expect(streamed.events.map(({ event_index }) => event_index)).toEqual(range(0, 101));
    expect([streamed.ended, streamed.problem]).toEqual([true, null]);
  });
});
