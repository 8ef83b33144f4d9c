import { describe, expect, it } from 'vitest';
import { eventsOf, openGateway, type TestGateway } from '../../test/gateway.ts';
import { only, range } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import type { TestSocket } from '../../test/socket.ts';

/** A session in which something was said: its id and the number of its events. */
async function talk(
  world: TestGateway,
  messages = 1,
): Promise<{ sessionId: string; epoch: string; head: number }> {
  const client = await world.join();
  for (const number of range(1, messages)) {
    await client.send({ type: 'message', content: `message ${number}`, message_id: `m${number}` });
  }
  const { session_id: sessionId, epoch } = client.last('joined');
  const head = eventsOf(client).length;
  await client.hangUp();
  return { sessionId, epoch, head };
}

function sequencesOf(client: TestSocket): number[] {
  return eventsOf(client).map(({ sequence }) => sequence);
}

describe('the events of a session', () => {
  it('G-6 are numbered from 1 without holes, in three places alike', async () => {
    const { join, store } = openGateway();
    const client = await join({ agent_id: 'talkative' });
    await client.send({ type: 'message', content: 'hi' });
    const events = eventsOf(client);
    expect(events.map(({ sequence }) => sequence)).toEqual(range(1, events.length));
    expect(events.map(({ data }) => data.cursor)).toEqual(range(1, events.length));
    const log = `session:local:${client.last('joined').session_id}`;
    expect((await store.logs.heads([log]))[0]?.offset).toBe(events.length);
  });

  it('G-5 are the entries of its log, one to one, under their ids', async () => {
    const { join, store } = openGateway();
    const client = await join({ agent_id: 'talkative' });
    await client.send({ type: 'message', content: 'hi', message_id: 'm1' });
    const log = `session:local:${client.last('joined').session_id}`;
    const page = await store.logs.read(log, { offset: 0 }, { entries: 1_000, bytes: 1 << 30 });
    const entries = page.kind === 'page' ? page.entries : [];
    expect(eventsOf(client).map(({ event_id, timestamp }) => [event_id, timestamp])).toEqual(
      entries.map(({ id, at }) => [id, at / 1000]),
    );
  });

  it('G-5 have their names for all that an agent does', async () => {
    const { join } = openGateway();
    const client = await join({ agent_id: 'talkative' });
    await client.send({ type: 'message', content: 'hi' });
    expect(
      eventsOf(client).map(({ type, data }) => (type === 'status' ? `status ${data.kind}` : type)),
    ).toEqual([
      'message',
      'status run_started',
      'status reasoning_started',
      'reasoning_stream',
      'status reasoning_completed',
      'status memory_started',
      'status memory_completed',
      'tool_call_stream',
      'tool_progress_stream',
      'tool_result_stream',
      'tool_call_stream',
      'tool_result_stream',
      'token_stream',
      'stream_end',
      'response',
    ]);
  });

  it("G-5 of a team are mixed with its members', under their own runs", async () => {
    const { join } = openGateway();
    const client = await join({ agent_id: 'pair' });
    await client.send({ type: 'message', content: 'hi' });
    const events = eventsOf(client);
    const parent = events.find(({ data }) => data.kind === 'run_started')?.data.run_id;
    const member = events.filter(({ data }) => data.parent_run_id !== undefined);
    expect(member.map(({ type, data }) => data.kind ?? type)).toEqual([
      'member_started',
      'token_stream',
      'member_ended',
    ]);
    for (const { data } of member)
      expect(data).toMatchObject({ parent_run_id: parent, run_id: `${String(parent)}.1` });
    expect(events.filter(({ type }) => type === 'response')).toHaveLength(1);
  });

  it('G-17 reach every socket on it, and no socket on another session of the agent', async () => {
    const { join } = openGateway();
    const first = await join();
    const second = await join({ session_id: first.last('joined').session_id });
    const stranger = await join();
    await second.send({ type: 'message', content: 'hi', message_id: 'm1' });
    expect(eventsOf(first).length).toBeGreaterThan(3);
    expect(eventsOf(second)).toEqual(eventsOf(first));
    expect(eventsOf(stranger)).toEqual([]);
  });

  it('G-17 of two sessions at once are not mixed', async () => {
    const { join, clock } = openGateway();
    const clients = [await join({ agent_id: 'slow' }), await join({ agent_id: 'slow' })];
    for (const [index, client] of clients.entries())
      client.post({ type: 'message', content: `from ${index}` });
    await clock.advance(3_000);
    for (const [index, client] of clients.entries()) {
      const final = eventsOf(client).at(-1)?.data;
      expect(final).toMatchObject({
        content: `echo: from ${index}`,
        session_id: client.last('joined').session_id,
      });
    }
  });
});

describe('resuming', () => {
  it.each([0, 1, 3, 6, 7])('G-10 gives every event after %i, and the position', async (since) => {
    const world = openGateway();
    const { sessionId, epoch, head } = await talk(world);
    expect(head).toBe(7);
    const client = await world.join({ session_id: sessionId, since, epoch });
    expect(client.last('joined')).toMatchObject({
      resumed: true,
      cursor: since,
      sequence: since,
      head,
      epoch,
    });
    expect(sequencesOf(client)).toEqual(range(since + 1, head));
    expect(client.of('event')).toEqual([]);
    expect(client.of('replay').map(({ seq, event }) => seq === event.sequence)).not.toContain(false);
  });

  it('G-10 gives all of them without a position', async () => {
    const world = openGateway();
    const { sessionId, head } = await talk(world);
    const client = await world.join({ session_id: sessionId });
    expect(client.last('joined')).toMatchObject({ resumed: true, cursor: 0 });
    expect(sequencesOf(client)).toEqual(range(1, head));
  });

  it('G-7 gives as `replay` what was there, as `event` what came after, none missing and none twice', async () => {
    const world = openGateway();
    const { sessionId, head } = await talk(world, 40);
    const client = await world.socket('/');
    const speaker = await world.join({ session_id: sessionId, since: head });
    client.post({ type: 'join', agent_id: 'echo', session_id: sessionId });
    speaker.post({ type: 'message', content: 'while it is replayed' });
    await world.clock.settle();
    await speaker.send({ type: 'message', content: 'later' });
    const standing = client.last('joined').head;
    expect(sequencesOf(client)).toEqual(range(1, head + 15));
    expect(client.of('replay').map(({ seq }) => seq)).toEqual(range(1, standing));
    expect(client.of('event').map(({ event }) => event.sequence)).toEqual(range(standing + 1, head + 15));
  });

  it('G-7 is paced by a client that does not read, and nothing is missing (L-5)', async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({ agents: [puppet.component] });
    const first = await world.join({ agent_id: 'puppet' });
    await first.send({ type: 'message', content: 'talk' });
    const text = 'x'.repeat(20_000);
    for (const _count of range(1, 50)) only(puppet.runs).say({ type: 'text.delta', text });
    await world.clock.settle();
    const { session_id } = first.last('joined');

    const client = await world.socket('/');
    client.peer.stall();
    await client.send({ type: 'join', agent_id: 'puppet', session_id });
    expect(client.peer.bufferedBytes).toBeLessThan(800_000);
    expect(eventsOf(client).length).toBeLessThan(40);
    client.peer.drain();
    await world.clock.settle();
    expect(sequencesOf(client)).toEqual(range(1, 52));
  });

  it.each([
    ['that nobody has', 'ses_unknown', 'echo'],
    ['of another agent', null, 'slow'],
    ['that no session can have', '\ud800', 'echo'],
    ['that is empty', '', 'echo'],
  ])("G-10 a session %s is a new one, with an id of the server's", async (_what, unknown, agentId) => {
    const world = openGateway();
    const { sessionId } = await talk(world);
    const asked = unknown ?? sessionId;
    const client = await world.join({ session_id: asked, agent_id: agentId, since: 5 });
    const joined = client.last('joined');
    expect(joined).toMatchObject({ resumed: false, cursor: 0, head: 0, resync_required: false });
    expect([asked, sessionId]).not.toContain(joined.session_id);
    expect(eventsOf(client)).toEqual([]);
    expect(client.closed).toBeNull();
  });

  it('G-10 a session whose time is over is a new one', async () => {
    const world = openGateway();
    const { sessionId } = await talk(world);
    await world.clock.advance(25 * 3_600_000);
    const client = await world.join({ session_id: sessionId });
    expect(client.last('joined').resumed).toBe(false);
  });

  it('G-13 a second join moves the feed: no more of the old, all of the new', async () => {
    const world = openGateway();
    const { sessionId, head } = await talk(world);
    const client = await world.join({ session_id: sessionId });
    client.take();
    await client.send({ type: 'join', agent_id: 'echo', session_id: sessionId, since: 4 });
    const moved = client.take();
    expect(moved.map(({ type }) => type)).toEqual(['joined', 'replay', 'replay', 'replay']);
    await client.send({ type: 'message', content: 'again' });
    const live = client.take().flatMap((frame) => (frame.type === 'event' ? [frame.event.sequence] : []));
    expect(live).toEqual(range(head + 1, head + 6));
  });

  it('G-13 a join of another session leaves the first', async () => {
    const world = openGateway();
    const other = await world.join();
    const client = await world.join({ session_id: other.last('joined').session_id });
    await client.send({ type: 'join', agent_id: 'slow' });
    client.take();
    await other.send({ type: 'message', content: 'hi' });
    expect(eventsOf(other).length).toBeGreaterThan(3);
    expect(client.take()).toEqual([]);
  });
});
