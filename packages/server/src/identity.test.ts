import { RunOutput } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, eventsOf, openGateway, type TestGateway, TWO_PEOPLE } from '../test/gateway.ts';
import { nth, only } from '../test/pick.ts';
import { register, told } from '../test/poller.ts';
import type { TestSocket } from '../test/socket.ts';

/** L-10: whatever belongs to somebody is, for everybody else, as if it were not. */

/** The same length and kind as an id of the server's, and nobody's. */
const NOBODYS = 'a'.repeat(22);

/** An answer without what differs from one time to another: ids, and the id that was asked for. */
function faceless(answer: unknown, asked: string): string {
  return JSON.stringify(answer)
    .replaceAll(asked, '<asked>')
    .replaceAll(/[a-z0-9]{22}/g, '<id>');
}

function facesOf(client: TestSocket, asked: string): string[] {
  return client.texts.map((text) => faceless(JSON.parse(text), asked));
}

function twoPeople(): TestGateway {
  return openGateway({ tokens: TWO_PEOPLE });
}

describe('L-10 a session', () => {
  async function aliceTalks(
    world: TestGateway,
  ): Promise<{ alice: TestSocket; sessionId: string; epoch: string }> {
    const alice = await world.join({ token: ALICE });
    await alice.send({ type: 'message', content: 'my secret', message_id: 'm1' });
    const { session_id: sessionId, epoch } = alice.last('joined');
    return { alice, sessionId, epoch };
  }

  it.each(['join', 'hello'])('of another owner is a new one, as an unknown one is: %s', async (type) => {
    const world = twoPeople();
    const { sessionId, epoch } = await aliceTalks(world);
    const answers = [];
    for (const asked of [sessionId, `ses_${NOBODYS}`]) {
      const bob = await world.socket('/');
      await bob.send({ type, agent_id: 'echo', token: BOB, session_id: asked, since: 3, epoch });
      await bob.send({ type: 'message', content: 'hi', message_id: 'm1' });
      answers.push(facesOf(bob, asked));
      await bob.hangUp();
    }
    expect(nth(answers, 0).length).toBeGreaterThan(5);
    expect(answers[0]).toEqual(answers[1]);
    expect(answers.flat().join()).not.toContain('my secret');
  });

  it('is not disturbed by somebody who asks for it', async () => {
    const world = twoPeople();
    const { alice, sessionId } = await aliceTalks(world);
    const before = eventsOf(alice).length;
    const bob = await world.join({ token: BOB, session_id: sessionId });
    await bob.send({ type: 'message', content: 'hi', message_id: 'm2' });
    expect(alice.closed).toBeNull();
    expect(eventsOf(alice)).toHaveLength(before);
    const again = await world.join({ token: ALICE, session_id: sessionId });
    expect(again.last('joined')).toMatchObject({ resumed: true, head: before });
  });

  it('that is named the same belongs to each by himself', async () => {
    const world = twoPeople();
    const run = async (token: string, message: string): Promise<void> => {
      await world.post('/agents/echo/runs', { message, stream: false, session_id: 'mine' }, { token });
    };
    await run(ALICE, 'my secret');
    await run(BOB, 'hi');
    const bob = await world.join({ token: BOB, session_id: 'mine' });
    expect(bob.last('joined')).toMatchObject({ resumed: true, head: 2 });
    expect(bob.texts.join()).not.toContain('my secret');
  });
});

describe('L-10 a run', () => {
  async function aliceRuns(world: TestGateway): Promise<string> {
    const { body } = await world.post(
      '/agents/echo/runs',
      { message: 'my secret', stream: false },
      { token: ALICE },
    );
    return RunOutput.parse(body).run_id;
  }

  it('of another owner cannot be resumed, as an unknown one cannot', async () => {
    const world = twoPeople();
    const runId = await aliceRuns(world);
    const texts = [];
    for (const asked of [runId, `run_${NOBODYS}`]) {
      const path = `/agents/echo/runs/${asked}/resume`;
      const { text, status } = await world.stream(path, { last_event_index: 1 }, { token: BOB });
      texts.push(faceless([status, text], asked));
    }
    expect(texts[0]).toBe(texts[1]);
    expect(texts[0]).toContain('There is no such run');
  });

  it('of another owner cannot be seen, as an unknown one cannot', async () => {
    const world = twoPeople();
    const runId = await aliceRuns(world);
    const answers = [];
    for (const asked of [runId, `run_${NOBODYS}`]) {
      const { status, body } = await world.get(`/agents/echo/runs/${asked}`, { token: BOB });
      answers.push(faceless([status, body], asked));
    }
    expect(answers[0]).toBe(answers[1]);
    expect((await world.get(`/agents/echo/runs/${runId}`, { token: ALICE })).status).toBe(200);
  });

  it('belongs to whom the token names, not to whom the body does', async () => {
    const world = twoPeople();
    const body = { message: 'hi', stream: false, user_id: 'bob' };
    const { run_id: runId } = RunOutput.parse(
      (await world.post('/agents/echo/runs', body, { token: ALICE })).body,
    );
    expect((await world.get(`/agents/echo/runs/${runId}`, { token: ALICE })).status).toBe(200);
    expect((await world.get(`/agents/echo/runs/${runId}`, { token: BOB })).status).toBe(404);
  });

  it('is told for whom it acts', async () => {
    const users: string[] = [];
    const world = openGateway({
      tokens: TWO_PEOPLE,
      agents: [
        {
          kind: 'agent',
          id: 'echo',
          name: 'Echo',
          async *run({ user }) {
            users.push(user);
            yield { type: 'text.delta', text: 'hi' };
          },
        },
      ],
    });
    const body = { message: 'hi', stream: false, user_id: 'mallory' };
    const asked = world.ask('POST', '/agents/echo/runs', { body, token: BOB });
    await world.clock.advance(100);
    await asked.answer();
    const alice = await world.join({ token: ALICE, user_id: 'mallory' });
    await alice.send({ type: 'message', content: 'hi' });
    expect(users).toEqual(['bob', 'alice']);
  });
});

describe('L-10 a consumer', () => {
  const SUBSCRIBE = { type: 'channel.subscribe', channel: 'news' };

  async function device(world: TestGateway, token: string): Promise<TestSocket> {
    const client = await world.socket('/ws', token);
    await client.send({ type: 'auth', client_id: 'device' });
    await client.send(SUBSCRIBE);
    return client;
  }

  async function publish(world: TestGateway, eventId: string): Promise<void> {
    const publisher = await world.socket('/ws', ALICE);
    await publisher.send({ type: 'channel.publish', channel: 'news', data: 1, event_id: eventId });
    await publisher.hangUp();
  }

  it('of the same name is another one for another owner: neither takes over, neither gets what the other has', async () => {
    const world = twoPeople();
    const alice = await device(world, ALICE);
    await publish(world, 'e1');
    const bob = await device(world, BOB);
    expect(alice.closed).toBeNull();
    expect(bob.of('channel_message')).toEqual([]);
    await publish(world, 'e2');
    expect(alice.of('channel_message').map(({ event_id }) => event_id)).toEqual(['e1', 'e2']);
    expect(bob.of('channel_message').map(({ event_id }) => event_id)).toEqual(['e2']);
  });

  it('cannot be acked for by another owner: as a message that never was', async () => {
    const world = twoPeople();
    const alice = await device(world, ALICE);
    await publish(world, 'e1');
    const bob = await device(world, BOB);
    for (const eventId of ['e1', 'never']) {
      await bob.send({ type: 'message_ack', event_id: eventId, channel: 'news' });
    }
    expect(bob.of('ack_received').map(({ ok }) => ok)).toEqual([false, false]);
    await alice.hangUp();
    const back = await device(world, ALICE);
    expect(only(back.of('channel_message'))).toMatchObject({ event_id: 'e1', _redelivered: true });
  });

  it("that polls is nobody else's either", async () => {
    const world = twoPeople();
    const alice = await register(world, 'tablet', ALICE);
    await alice.subscribe('news');
    const bob = await register(world, 'tablet', BOB);
    await publish(world, 'e1');
    expect(told(await bob.poll())).toEqual([]); // he has subscribed to nothing
    expect(await bob.ack('e1', 'news')).toBe(await bob.ack('never', 'news'));
    const parked = alice.begin();
    await world.clock.settle();
    expect(told(await parked.batch())).toEqual(['1']);
    expect(await alice.ack('e1', 'news')).toBe(true);
  });

  it("that polls does not end the poll of another owner's", async () => {
    const world = twoPeople();
    const alice = await register(world, 'tablet', ALICE);
    const bob = await register(world, 'tablet', BOB);
    for (const poller of [alice, bob]) await poller.subscribe('news');
    const parked = alice.begin();
    await world.clock.settle();
    await bob.poll();
    expect(parked.asked.answered).toBe(false);
  });
});
