import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { type Batch, type Poller, register } from '../../test/poller.ts';

async function listed(world: TestGateway, poller: Poller, channel = 'news'): Promise<unknown> {
  const path = `/api/push/poll/presence?poll_token=${poller.token}&channel=${channel}`;
  const { presence } = (await world.get(path)).body as {
    readonly presence: readonly { readonly client_id: string; readonly status: string }[];
  };
  return presence.map(({ client_id, status }) => `${client_id} ${status}`).toSorted();
}

/** Who came, changed and went. */
function changes({ messages }: Pick<Batch, 'messages'>): string[] {
  return messages.map((message) => {
    if (message.type === 'presence_batch' || !message.type.startsWith('presence_')) return message.type;
    const { client_id, status } = (message as { readonly data: { client_id: string; status: string } }).data;
    return `${message.type.slice('presence_'.length)} ${client_id} ${status}`;
  });
}

describe('a client that polls', () => {
  it('P-43 is seen with its status, by others that poll, on any server', async () => {
    const world = openGateway();
    const elsewhere = openGateway({ beside: world });
    const [ann, bob] = [await register(world, 'ann'), await register(world, 'bob')];
    for (const each of [ann, bob]) await each.subscribe('news');
    await world.clock.settle();
    expect(await ann.ask('heartbeat', { status: 'busy', metadata: { at: 'desk' } })).toEqual({ ok: true });
    await world.clock.advance(100);
    for (const server of [world, elsewhere])
      expect(await listed(server, bob)).toEqual(['ann busy', 'bob online']);
    await ann.at(elsewhere).ask('unsubscribe', { channel: 'news' });
    await world.clock.advance(1_500);
    expect(await listed(world, bob)).toEqual(['bob online']);
  });

  it('P-43 is told who comes, changes and goes, once, unless an answer was lost', async () => {
    const world = openGateway();
    const [ann, bob] = [await register(world, 'ann'), await register(world, 'bob')];
    await ann.subscribe('news');
    const { cursor } = await ann.poll();
    await bob.subscribe('news');
    await world.clock.settle();
    const first = await ann.poll(cursor);
    expect(changes(first)).toEqual(['join bob online']);
    expect(changes(await ann.poll(cursor))).toEqual(['join bob online']);
    const parked = ann.begin(first.cursor);
    await world.clock.settle();
    await bob.ask('heartbeat', { status: 'away' });
    await world.clock.settle();
    const second = await parked.batch();
    expect(changes(second)).toEqual(['update bob away']);
    await bob.ask('deregister');
    await world.clock.settle();
    expect(changes(await ann.poll(second.cursor))).toEqual(['leave bob offline']);
  });

  it('P-43 is there as long as it asks for something, or waits for an answer, and gone 45 s later', async () => {
    const world = openGateway();
    const [ann, bob] = [await register(world, 'ann'), await register(world, 'bob')];
    await ann.subscribe('news');
    await bob.subscribe('news');
    let { cursor } = await ann.poll();
    for (let polls = 0; polls < 4; polls++) {
      const parked = ann.begin(cursor);
      await world.clock.advance(30_000);
      ({ cursor } = await parked.batch());
    }
    expect(await listed(world, ann)).toEqual(['ann online']);
    await world.clock.advance(47_000);
    const visitor = await register(world, 'visitor');
    expect(await listed(world, visitor)).toEqual([]);
  });

  it('P-43, P-40 on a stream is there while it lasts, and told of others', async () => {
    const world = openGateway();
    const [ann, bob] = [await register(world, 'ann'), await register(world, 'bob')];
    await ann.subscribe('news');
    const query = `poll_token=${ann.token}`;
    const stream = await world.ask('GET', `/api/push/sse?${query}`).pushStream();
    await world.clock.advance(120_000);
    await bob.subscribe('news');
    await world.clock.settle();
    expect(changes(stream)).toEqual(['join bob online']);
    expect(await listed(world, bob)).toEqual(['ann online', 'bob online']);
    stream.hangUp();
    await world.clock.advance(20_000);
    await bob.ask('heartbeat', { status: 'away' });
    await world.clock.settle();
    const headers = { 'last-event-id': stream.lastId };
    const back = await world.ask('GET', `/api/push/sse?${query}`, { headers }).pushStream();
    expect(changes(back)).toEqual(['update bob away']);
  });

  it('P-40 without an id of its own is not seen, and told of nobody', async () => {
    const world = openGateway();
    const stream = await world.ask('GET', '/api/push/sse?channel=news').pushStream();
    const bob = await register(world, 'bob');
    await bob.subscribe('news');
    await world.clock.settle();
    expect(await listed(world, bob)).toEqual(['bob online']);
    expect(stream.messages).toEqual([]);
  });

  it('L-12 is refused a heartbeat that is too large', async () => {
    const { ask } = await register(openGateway(), 'ann');
    expect(await ask('heartbeat', { metadata: { text: 'x'.repeat(5_000) } })).toBe('too_large');
  });
});

describe('a position among those who come and go', () => {
  it('P-43 that is lost is answered with who is there', async () => {
    const world = openGateway();
    const [ann, bob] = [await register(world, 'ann'), await register(world, 'bob')];
    await ann.subscribe('news');
    await bob.subscribe('news');
    await world.clock.settle();
    const batch = await ann.poll('presence%3Anews,gone,7');
    expect(batch.messages).toMatchObject([
      { type: 'presence.list', channel: 'news', presence: [{ client_id: 'ann' }, { client_id: 'bob' }] },
    ]);
    expect(changes(await ann.poll(batch.cursor))).toEqual([]);
  });
});
