import { MAX_ENTRY_DATA } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { eventsOf, openGateway, type TestGateway } from '../../test/gateway.ts';
import { interceptStore } from '../../test/intercept.ts';
import { nth, only, range } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import type { TestSocket } from '../../test/socket.ts';
import { StoreError } from '../ports.ts';

/** The ends of the turns, in order: which message, how, with what. */
function endsOf(client: TestSocket): string[] {
  return eventsOf(client)
    .filter(({ type }) => type === 'response')
    .map(({ data }) => {
      const { status } = data.outcome as { status: string };
      return `${String(data.message_id)} ${status}: ${String(data.content)}`;
    });
}

function logOf(client: TestSocket): string {
  return `session:local:${client.last('joined').session_id}`;
}

async function entriesOf(world: TestGateway, client: TestSocket): Promise<number> {
  const [head] = await world.store.logs.heads([logOf(client)]);
  return head?.offset ?? 0;
}

describe('a message', () => {
  it('G-8 is answered by `accepted` when it is stored', async () => {
    const { join } = openGateway();
    const client = await join();
    await client.send({ type: 'message', content: 'hi', message_id: 'm7' });
    expect(only(client.of('response'))).toEqual({
      type: 'response',
      status: 'accepted',
      session_id: client.last('joined').session_id,
      message_id: 'm7',
    });
  });

  it('L-1, G-8 is neither accepted nor shown before it is stored', async () => {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { join, clock } = openGateway({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.drafts?.some(({ type }) => type === 'message')) await opened;
          return go();
        }),
    });
    const client = await join();
    client.take();
    client.post({ type: 'message', content: 'hi' });
    await clock.advance(5_000);
    expect(client.take()).toEqual([]);
    open();
    await clock.settle();
    expect(client.of('response')).toHaveLength(1);
    expect(endsOf(client)).toHaveLength(1);
  });

  it('L-1, G-8 that cannot be stored is refused, and nobody sees it', async () => {
    const { join, clock, problems } = openGateway({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          if (call.name === 'append' && call.drafts?.length)
            throw new StoreError('unavailable', 'the disk is gone');
          return go();
        }),
    });
    const client = await join();
    await client.send({ type: 'message', content: 'hi' });
    await clock.advance(5_000);
    expect(client.last('error').code).toBe('unavailable');
    expect([client.of('response'), eventsOf(client)]).toEqual([[], []]);
    problems.length = 0;
  });

  it('G-8 sent again gets the same answer and starts no second turn', async () => {
    const world = openGateway();
    const client = await world.join();
    const message = { type: 'message', content: 'hi', message_id: 'm7' };
    client.post(message);
    client.post(message);
    await client.send(message);
    const other = await world.join({ session_id: client.last('joined').session_id });
    await other.send({ ...message, content: 'something else' });
    expect(client.of('response')).toEqual([1, 2, 3].map(() => only(other.of('response'))));
    expect(endsOf(client)).toEqual(['m7 ok: echo: hi']);
    expect(eventsOf(client).filter(({ type }) => type === 'message')).toHaveLength(1);
  });

  it('G-8 gets an id when it comes without one, and shows who sent it', async () => {
    const { join } = openGateway();
    const client = await join({ client_id: 'tablet' });
    await client.send({ type: 'message', content: { question: 'hi' }, metadata: { lang: 'en' } });
    const { message_id: messageId } = only(client.of('response'));
    expect(messageId).toMatch(/^msg_/);
    expect(eventsOf(client)[0]).toMatchObject({
      type: 'message',
      source: 'tablet',
      data: { role: 'user', content: { question: 'hi' }, metadata: { lang: 'en' }, message_id: messageId },
    });
  });

  it('G-8 before a join is refused with what to do', async () => {
    const { socket } = openGateway();
    const client = await socket('/');
    await client.send({ type: 'message', content: 'hi' });
    expect(client.last('error')).toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining('Join'),
    });
  });

  it.each([
    ['just small enough', 0, 'response'],
    ['too large by one byte', 1, 'error'],
  ])('L-17 that is %s', async (_what, over, answer) => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'slow' });
    const measure = { messageId: 'm1', runId: `run_${'x'.repeat(22)}`, content: '' };
    const room = MAX_ENTRY_DATA - Buffer.byteLength(JSON.stringify(measure));
    await client.send({ type: 'message', content: 'x'.repeat(room + over), message_id: 'm1' });
    const frame = client.frames.find(({ type }) => type === 'response' || type === 'error');
    expect(frame?.type).toBe(answer);
    if (answer === 'error') expect(frame).toMatchObject({ code: 'too_large' });
    expect(await entriesOf(world, client)).toBe(over ? 0 : 2);
  });
});

describe('turns', () => {
  it('G-9 come one at a time, in order, each with one end, its last event', async () => {
    const puppet = createPuppet('puppet');
    const { join, clock } = openGateway({ agents: [puppet.component] });
    const client = await join({ agent_id: 'puppet' });
    for (const number of range(1, 3)) {
      client.post({ type: 'message', content: `q${number}`, message_id: `m${number}` });
    }
    await clock.settle();
    for (const number of range(1, 3)) {
      expect(puppet.runs).toHaveLength(number);
      const run = nth(puppet.runs, -1);
      expect(run.context.input).toBe(`q${number}`);
      run.say({ type: 'text.delta', text: `a${number}` });
      await clock.settle();
      run.finish();
      await clock.settle();
    }
    expect(endsOf(client)).toEqual(['m1 ok: a1', 'm2 ok: a2', 'm3 ok: a3']);
    const last = new Map(eventsOf(client).map(({ type, data }) => [data.message_id, type]));
    expect([...last.values()]).toEqual(['response', 'response', 'response']);
  });

  it('G-9 begin at once also when their message comes just as the one before is over', async () => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let releases = 0;
    const { join, clock } = openGateway({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          const isRelease =
            call.key.startsWith('lease/') && (call.value as { holder?: unknown })?.holder === null;
          if (isRelease && releases++ === 0) await released;
          return go();
        }),
    });
    const client = await join();
    await client.send({ type: 'message', content: 'one', message_id: 'm1' });
    expect([endsOf(client), releases]).toEqual([['m1 ok: echo: one'], 1]);
    await client.send({ type: 'message', content: 'two', message_id: 'm2' });
    const before = clock.now();
    release();
    await clock.settle();
    expect(endsOf(client)).toEqual(['m1 ok: echo: one', 'm2 ok: echo: two']);
    expect(clock.now()).toBe(before);
  });

  it('G-9 go on without their client, and are there when it is back', async () => {
    const world = openGateway();
    const client = await world.join({ agent_id: 'slow' });
    client.post({ type: 'message', content: 'one', message_id: 'm1' });
    await client.send({ type: 'message', content: 'two', message_id: 'm2' });
    const { session_id: sessionId } = client.last('joined');
    await client.hangUp();
    await world.clock.advance(10_000);
    const back = await world.join({ agent_id: 'slow', session_id: sessionId });
    expect(endsOf(back)).toEqual(['m1 ok: echo: one', 'm2 ok: echo: two']);
    expect(back.of('event')).toEqual([]);
  });

  it('G-9 that fail end as well, and the next one has its turn', async () => {
    const puppet = createPuppet('puppet');
    const { join, clock } = openGateway({
      agents: [puppet.component],
      reports: [expect.stringMatching(/^the agent "puppet" in run \S+ failed: Error: the model is gone$/)],
    });
    const client = await join({ agent_id: 'puppet' });
    client.post({ type: 'message', content: 'q1', message_id: 'm1' });
    await client.send({ type: 'message', content: 'q2', message_id: 'm2' });
    nth(puppet.runs, 0).say({ type: 'text.delta', text: 'half' });
    nth(puppet.runs, 0).fail(new Error('the model is gone'));
    await clock.settle();
    nth(puppet.runs, 1).finish();
    await clock.settle();
    expect(endsOf(client)).toEqual(['m1 error: half', 'm2 ok: ']);
    const end = eventsOf(client).find(({ type }) => type === 'response');
    expect(end?.data.outcome).toEqual({
      status: 'error',
      reason: 'The agent failed. The server has noted why.',
    });
  });

  it('G-9 whose server closes end interrupted', async () => {
    const world = openGateway({ drainMs: 1_000 });
    const client = await world.join({ agent_id: 'slow' });
    await client.send({ type: 'message', content: 'hi', message_id: 'm1' });
    const closed = world.gateway.close();
    await world.clock.advance(1_000);
    await closed;
    const heir = openGateway({ beside: world });
    const back = await heir.join({ agent_id: 'slow', session_id: client.last('joined').session_id });
    expect(endsOf(back)).toEqual(['m1 interrupted: ']);
  });

  it('G-16 wait for their turn, 32 at most: the next is refused and not stored', async () => {
    const puppet = createPuppet('puppet');
    const world = openGateway({ agents: [puppet.component] });
    const client = await world.join({ agent_id: 'puppet' });
    for (const number of range(1, 40)) {
      await client.send({ type: 'message', content: 'hi', message_id: `m${number}`, request_id: number });
    }
    const accepted = client.of('response').length;
    expect([32, 33]).toContain(accepted); // with or without the one under way
    expect(client.of('error').map(({ code }) => code)).toEqual(
      range(accepted + 1, 40).map(() => 'inbox_full'),
    );
    expect(eventsOf(client).filter(({ type }) => type === 'message')).toHaveLength(accepted);

    only(puppet.runs).finish();
    await world.clock.settle();
    await client.send({ type: 'message', content: 'hi', message_id: 'm40' });
    expect(client.of('response')).toHaveLength(accepted + 1);
  });

  it('G-18 are not what keeps a connection: `ping` is answered, and nothing asks for it', async () => {
    const { join, clock } = openGateway();
    const client = await join();
    await client.send({ type: 'ping' });
    expect(client.last('pong')).toEqual({ type: 'pong' });
    client.take();
    await client.send({ type: 'pong' });
    await clock.advance(10 * 60_000);
    expect(client.take()).toEqual([]);
    expect(client.closed).toBeNull();
  });
});

describe('the history of a session', () => {
  it('R-10, G-9 is what later turns find', async () => {
    const puppet = createPuppet('puppet');
    const { join, clock } = openGateway({ agents: [puppet.component] });
    const client = await join({ agent_id: 'puppet' });
    await client.send({ type: 'message', content: 'one' });
    nth(puppet.runs, 0).say({ type: 'text.delta', text: 'first' });
    nth(puppet.runs, 0).finish();
    await clock.settle();
    await client.send({ type: 'message', content: 'two' });
    const history = await nth(puppet.runs, 1).context.history();
    expect(history.map(({ role, content }) => [role, content])).toEqual([
      ['user', 'one'],
      ['assistant', 'first'],
    ]);
  });
});
