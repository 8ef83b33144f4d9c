import { describe, expect, it } from 'vitest';
import { eventsOf, openGateway, type TestGateway } from '../../test/gateway.ts';
import { nth, only, range } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import type { TestSocket } from '../../test/socket.ts';

interface Talked {
  readonly sessionId: string;
  readonly log: string;
  readonly epoch: string;
  readonly head: number;
}

async function talk(world: TestGateway, messages: number): Promise<Talked> {
  const client = await world.join();
  for (const number of range(1, messages)) {
    await client.send({ type: 'message', content: `q${number}`, message_id: `m${number}` });
  }
  const { session_id: sessionId, epoch } = client.last('joined');
  const log = `session:local:${sessionId}`;
  await client.hangUp();
  const [head] = await world.store.logs.heads([log]);
  return { sessionId, log, epoch, head: head?.offset ?? 0 };
}

/** What came after the handshake's answer: one snapshot, and events that go on after it. */
function expectToGoOnAfterSnapshot(client: TestSocket): void {
  const [, snapshot, ...rest] = client.frames;
  expect(snapshot?.type).toBe('snapshot');
  const { event_cursor: cursor } = client.last('snapshot').state;
  const sequences = rest.flatMap((frame) =>
    frame.type === 'event' || frame.type === 'replay' ? [frame.event.sequence] : [],
  );
  expect(sequences).toEqual(range(cursor + 1, cursor + sequences.length));
  expect(sequences.length).toBeGreaterThan(0);
}

describe.each(['join', 'hello'])('%s at a position that is lost', (type) => {
  const rejoin = async (world: TestGateway, frame: object): Promise<TestSocket> => {
    const client = await world.socket('/');
    await client.send({ type, agent_id: 'echo', ...frame });
    return client;
  };
  const answerOf = (client: TestSocket): unknown =>
    type === 'join' ? client.last('joined') : client.last('hello_ok');

  it('L-2, L-4, G-10 gets a snapshot when the log was lost: epoch', async () => {
    const world = openGateway();
    const { sessionId, log, epoch } = await talk(world, 3);
    await world.store.logs.keep(log, world.clock.now()); // it is gone
    const client = await rejoin(world, { session_id: sessionId, since: 7, epoch });
    expect(answerOf(client)).toMatchObject({ resumed: true, resync_required: true, cursor: 0, head: 0 });
    expect(client.last('snapshot')).toMatchObject({
      reason: 'epoch',
      state: { session_id: sessionId, agent_id: 'echo', messages: [], event_cursor: 0 },
    });
    expect(client.last('snapshot').epoch).not.toBe(epoch);
    await client.send({ type: 'message', content: 'hi' });
    expectToGoOnAfterSnapshot(client);
  });

  it('L-2 is told of another epoch also at the very beginning', async () => {
    const world = openGateway();
    const { sessionId } = await talk(world, 1);
    const client = await rejoin(world, { session_id: sessionId, since: 0, epoch: 'another' });
    expect(answerOf(client)).toMatchObject({ resync_required: true });
    expect(client.last('snapshot').reason).toBe('epoch');
  });

  it('L-4, G-10 gets a snapshot when entries after it are gone: trimmed', async () => {
    const world = openGateway({ retention: { session: { maxEntries: 10 } } });
    const { sessionId, epoch, head } = await talk(world, 4);
    const client = await rejoin(world, { session_id: sessionId, since: 2, epoch });
    expect(answerOf(client)).toMatchObject({ resync_required: true, cursor: head, sequence: head, head });
    expect(client.last('snapshot')).toMatchObject({
      reason: 'trimmed',
      epoch,
      state: { event_cursor: head },
    });
    const { messages } = client.last('snapshot').state;
    expect(
      messages.map(({ role, content, message_id }) => `${role} ${message_id}: ${String(content)}`),
    ).toEqual(
      range(1, 4).flatMap((number) => [
        `user m${number}: q${number}`,
        `assistant m${number}: echo: q${number}`,
      ]),
    );
    await client.send({ type: 'message', content: 'hi' });
    expectToGoOnAfterSnapshot(client);
  });

  it('L-4, G-10 gets a snapshot when the log never reached it: ahead', async () => {
    const world = openGateway();
    const { sessionId, epoch, head } = await talk(world, 1);
    const client = await rejoin(world, { session_id: sessionId, since: head + 1, epoch });
    expect(answerOf(client)).toMatchObject({ resync_required: true, cursor: head });
    expect(client.last('snapshot').reason).toBe('ahead');
    await client.send({ type: 'message', content: 'hi' });
    expectToGoOnAfterSnapshot(client);
  });

  it('G-10 gets no snapshot where the oldest entry it needs is just there', async () => {
    const world = openGateway({ retention: { session: { maxEntries: 10 } } });
    const { sessionId, epoch, log, head } = await talk(world, 4);
    const oldest = (await world.store.logs.heads([log]))[0]?.oldest ?? 0;
    const client = await rejoin(world, { session_id: sessionId, since: oldest - 1, epoch });
    expect(answerOf(client)).toMatchObject({ resync_required: false, oldest_cursor: oldest });
    expect(client.of('snapshot')).toEqual([]);
    expect(eventsOf(client).map(({ sequence }) => sequence)).toEqual(range(oldest, head));
  });
});

describe('a position that is lost while the client is there', () => {
  it('L-4, G-10 gets one snapshot when the log is lost, and then what comes', async () => {
    const world = openGateway();
    const client = await world.join();
    await client.send({ type: 'message', content: 'before' });
    client.take();
    const log = `session:local:${client.last('joined').session_id}`;
    await world.store.logs.keep(log, world.clock.now()); // it is gone
    await world.store.logs.append(log, []); // and another is there
    await world.clock.advance(1_500);
    expect(only(client.take())).toMatchObject({
      type: 'snapshot',
      reason: 'epoch',
      state: { event_cursor: 0 },
    });
    await client.send({ type: 'message', content: 'after' });
    const live = client.take().flatMap((frame) => (frame.type === 'event' ? [frame.event.sequence] : []));
    expect(live).toEqual(range(1, 6));
  });

  it('L-4, L-5, G-10 gets a snapshot when it did not read, and was trimmed away', async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({ agents: [puppet.component], retention: { session: { maxEntries: 30 } } });
    const client = await world.join({ agent_id: 'puppet' });
    const reading = await world.join({ agent_id: 'puppet', session_id: client.last('joined').session_id });
    await client.send({ type: 'message', content: 'work', message_id: 'm1' });
    const run = only(puppet.runs);
    client.peer.stall();
    const progress = 'x'.repeat(40_000);
    for (let count = 0; count < 200; count++) {
      run.say({ type: 'tool.progress', callId: 'c', name: 't', progress });
      await world.clock.settle();
    }
    run.finish();
    await world.clock.settle();
    await client.send({ type: 'message', content: 'more', message_id: 'm2' }); // what is over can go now
    const held = eventsOf(client).length;
    const head = reading.of('event').length;
    expect(eventsOf(reading).map(({ sequence }) => sequence)).toEqual(range(1, head));
    expect(client.of('snapshot')).toEqual([]);

    client.take();
    client.peer.drain();
    await world.clock.settle();
    const [snapshot, ...more] = client.take().filter(({ type }) => type !== 'response');
    expect(snapshot).toMatchObject({ type: 'snapshot', reason: 'trimmed', state: { event_cursor: head } });
    expect([more, held < 30]).toEqual([[], true]);
    nth(puppet.runs, 1).say({ type: 'text.delta', text: 'hello again' });
    await world.clock.settle();
    expect(only(client.take())).toMatchObject({ type: 'event', event: { sequence: head + 1 } });
  });

  it('G-10 a snapshot says whether a turn is under way', async () => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'slow' });
    const { session_id: sessionId } = client.last('joined');
    await client.send({ type: 'message', content: 'hi' });
    const rejoin = async (): Promise<string> => {
      const other = await world.join({ agent_id: 'slow', session_id: sessionId, since: 99 });
      return other.last('snapshot').state.state;
    };
    expect(await rejoin()).toBe('executing');
    await world.clock.advance(3_000);
    expect(await rejoin()).toBe('idle');
  });
});
