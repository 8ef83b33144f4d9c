import { describe, expect, it } from 'vitest';
import { eventsOf, openGateway, type TestGateway } from '../test/gateway.ts';
import { createLife, type Life } from '../test/life.ts';
import { nth, only, range } from '../test/pick.ts';
import { createPuppet, type Puppet } from '../test/puppet.ts';

/** Two servers on one store, the first of which dies in the middle of its work. */

const TWO_LEASES_MS = 10_000;

interface Pair {
  readonly mortal: TestGateway;
  readonly heir: TestGateway;
  /** The agent as it is on each of them. */
  readonly puppet: Puppet;
  readonly heirs: Puppet;
  /** The first one stops at once: what it was about to do is never done. */
  die(): void;
}

function openPair(onInterrupt: 'end' | 'restart' = 'end'): Pair {
  const [puppet, heirs] = [createPuppet('puppet', { onInterrupt }), createPuppet('puppet', { onInterrupt })];
  const lives: Life[] = [];
  const mortal = openGateway({
    agents: [puppet.component],
    within(clock, store) {
      const life = createLife(clock, store);
      lives.push(life);
      return life;
    },
  });
  return {
    mortal,
    heir: openGateway({ beside: mortal, agents: [heirs.component] }),
    puppet,
    heirs,
    die: () => only(lives).end(),
  };
}

describe('a session whose server dies', () => {
  it('L-8, L-9, G-9 has its turn ended within two leases, with what was said, and goes on', async () => {
    const { mortal, heir, puppet, heirs, die } = openPair();
    const before = await mortal.join({ agent_id: 'puppet' });
    for (const number of [1, 2]) {
      await before.send({ type: 'message', content: `q${number}`, message_id: `m${number}` });
    }
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    await mortal.clock.settle();
    const since = eventsOf(before).length;
    die();

    const { session_id: sessionId, epoch } = before.last('joined');
    const after = await heir.join({ agent_id: 'puppet', session_id: sessionId, since, epoch });
    expect(after.last('joined')).toMatchObject({ resumed: true, turn: { message_id: 'm1' } });
    await heir.clock.advance(TWO_LEASES_MS);
    expect(eventsOf(after)[0]).toMatchObject({
      type: 'response',
      sequence: since + 1,
      data: { message_id: 'm1', content: 'half', outcome: { status: 'interrupted' } },
    });
    only(heirs.runs).finish();
    await heir.clock.settle();
    const ends = eventsOf(after).filter(({ type }) => type === 'response');
    expect(ends.map(({ data }) => [data.message_id, data.outcome])).toEqual([
      ['m1', { status: 'interrupted', reason: expect.any(String) }],
      ['m2', { status: 'ok' }],
    ]);
    expect(eventsOf(after).map(({ sequence }) => sequence)).toEqual(
      range(since + 1, since + eventsOf(after).length),
    );
  });

  it('L-9, G-5 has its turn begun anew where its agent is marked for it, and no step done twice', async () => {
    const { mortal, heir, puppet, heirs, die } = openPair('restart');
    const client = await mortal.join({ agent_id: 'puppet' });
    await client.send({ type: 'message', content: 'pay', message_id: 'm1' });
    let paid = 0;
    const pay = async (): Promise<number> => ++paid;
    await only(puppet.runs).context.once('pay', pay);
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    await mortal.clock.settle();
    die();

    await heir.clock.advance(TWO_LEASES_MS);
    const again = only(heirs.runs);
    expect(again.context.attempt).toBe(2);
    expect(await again.context.once('pay', pay)).toBe(1);
    again.say({ type: 'text.delta', text: 'whole' });
    again.finish();
    await heir.clock.settle();
    expect(paid).toBe(1);
    const after = await heir.join({ agent_id: 'puppet', session_id: client.last('joined').session_id });
    expect(eventsOf(after).map(({ type, data }) => [type, data.attempt ?? null])).toEqual([
      ['message', null],
      ['status', 1],
      ['token_stream', 1],
      ['stream_error', 2],
      ['token_stream', 2],
      ['stream_end', 2],
      ['response', 2],
    ]);
    expect(eventsOf(after).at(-1)?.data).toMatchObject({ content: 'whole', outcome: { status: 'ok' } });
  });

  it('L-7 gets no word more from a server that only seemed dead', async () => {
    const { mortal, heir, puppet, die } = openPair();
    const client = await mortal.join({ agent_id: 'puppet' });
    await client.send({ type: 'message', content: 'hi' });
    die();
    await heir.clock.advance(TWO_LEASES_MS);
    only(puppet.runs).say({ type: 'text.delta', text: 'from beyond' });
    only(puppet.runs).finish();
    await heir.clock.advance(TWO_LEASES_MS);
    const after = await heir.join({ agent_id: 'puppet', session_id: client.last('joined').session_id });
    expect(eventsOf(after).at(-1)?.type).toBe('response');
    expect(after.texts.join()).not.toContain('from beyond');
  });
});

describe('a run whose server dies', () => {
  it('R-6, L-9 is followed on another server to its one end', async () => {
    const { mortal, heir, puppet, die } = openPair();
    const body = { message: 'hi', background: true };
    const streamed = await mortal.stream('/agents/puppet/runs', body);
    const runId = nth(streamed.events, 0).run_id;
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    await mortal.clock.settle();
    die();

    const path = `/agents/puppet/runs/${runId}/resume`;
    const resumed = await heir.stream(path, { last_event_index: streamed.events.length - 1 });
    expect(resumed.names).toEqual(['subscribed']);
    await heir.clock.advance(TWO_LEASES_MS);
    expect(resumed.ended).toBe(true);
    expect(only(resumed.events)).toMatchObject({
      event: 'RunError',
      event_index: 2,
      error_type: 'interrupted',
      partial_content: 'half',
    });
    expect((await heir.get(`/agents/puppet/runs/${runId}`)).body).toMatchObject({
      status: 'ERROR',
      error_type: 'interrupted',
      content: 'half',
    });
  });

  it('R-1, L-9 that is begun anew says so, and ends once', async () => {
    const { mortal, heir, puppet, heirs, die } = openPair('restart');
    const streamed = await mortal.stream('/agents/puppet/runs', { message: 'hi', background: true });
    const runId = nth(streamed.events, 0).run_id;
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    await mortal.clock.settle();
    die();
    await heir.clock.advance(TWO_LEASES_MS);
    only(heirs.runs).finish();
    await heir.clock.settle();
    const replayed = await heir.stream(`/agents/puppet/runs/${runId}/resume`, {});
    expect(replayed.names).toEqual(['replay', 'RunStarted', 'RunContent', 'RunAttempt', 'RunCompleted']);
    expect(replayed.events.map(({ event_index }) => event_index)).toEqual([0, 1, 2, 3]);
  });

  it('R-10 leaves its end in its session though its server died before it could', async () => {
    const { mortal, heir, puppet, die } = openPair();
    const streamed = await mortal.stream('/agents/puppet/runs', {
      message: 'hi',
      background: true,
      session_id: 's1',
    });
    expect(streamed.ended).toBe(false);
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    await mortal.clock.settle();
    die();
    await heir.clock.advance(TWO_LEASES_MS);
    const client = await heir.join({ agent_id: 'puppet', session_id: 's1' });
    expect(eventsOf(client).map(({ type, data }) => [type, data.content])).toEqual([
      ['message', 'hi'],
      ['response', 'half'],
    ]);
  });
});

describe('a run whose server closes', () => {
  it('R-22 goes on at another server at once where its agent is restartable, within the drain', async () => {
    const { mortal, heir, puppet, heirs } = openPair('restart');
    const streamed = await mortal.stream('/agents/puppet/runs', { message: 'hi', background: true });
    const runId = nth(streamed.events, 0).run_id;
    await only(puppet.runs).context.once('pay', async () => 'paid');
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    await mortal.clock.settle();
    await Promise.all([mortal.gateway.close(), mortal.clock.advance(10_000)]);
    await heir.clock.advance(TWO_LEASES_MS / 2);
    expect(await only(heirs.runs).context.once('pay', async () => 'paid twice')).toBe('paid');
    only(heirs.runs).finish();
    await heir.clock.settle();
    const replayed = await heir.stream(`/agents/puppet/runs/${runId}/resume`, {});
    const [, , , handed, ...rest] = replayed.names;
    expect([handed, ...rest]).toEqual(['RunStatus', 'RunAttempt', 'RunCompleted']);
    expect(nth(replayed.events, 2)).toMatchObject({ kind: 'handed_over' });
  });

  it('R-22 goes on at the same server when it is back', async () => {
    const { component, runs } = createPuppet('puppet', { onInterrupt: 'restart' });
    const server = openGateway({ agents: [component] });
    await server.stream('/agents/puppet/runs', { message: 'hi', background: true });
    await Promise.all([server.gateway.close(), server.clock.advance(10_000)]);
    const back = openGateway({ beside: server, agents: [component] });
    await back.clock.advance(TWO_LEASES_MS);
    expect(runs.map(({ context }) => context.attempt)).toEqual([1, 2]);
  });
});

describe('a consumer whose server dies', () => {
  const SUBSCRIBE = { type: 'channel.subscribe', channel: 'news' };

  it('P-3, P-6 gets on another server all it has not acked, marked where it may have seen it', async () => {
    const { mortal, heir, die } = openPair();
    const publisher = await heir.client('publisher');
    const publish = async (number: number): Promise<void> => {
      await publisher.send({ type: 'channel.publish', channel: 'news', data: 1, event_id: `e${number}` });
    };
    const before = await mortal.client('device');
    await before.send(SUBSCRIBE);
    for (const number of range(1, 5)) await publish(number);
    await before.send({ type: 'message_ack', event_id: 'e2', channel: 'news' });
    expect(before.last('ack_received').ok).toBe(true);
    expect(before.of('channel_message')).toHaveLength(5);
    die();
    await publish(6);

    const after = await heir.client('device');
    await after.send(SUBSCRIBE);
    await publish(7);
    const got = after.of('channel_message').map(({ sequence, attempt }) => [sequence, attempt > 1]);
    expect(got.map(([sequence]) => sequence)).toEqual([1, 3, 4, 5, 6, 7]);
    // What the first server handed out is marked; 6 may be, for nobody knows; 7 is new.
    expect(got.slice(0, 4).map(([, marked]) => marked)).toEqual([true, true, true, true]);
    expect(got.at(-1)).toEqual([7, false]);
  });
});
