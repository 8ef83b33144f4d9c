import { decodeVectorCursor } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, openGateway, type TestGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { range } from '../../test/pick.ts';
import { type Poller, register, told } from '../../test/poller.ts';
import type { PushStream } from '../../test/push-stream.ts';

async function publish(world: TestGateway, from: number, to: number, channel = 'news'): Promise<void> {
  const publisher = await world.client('publisher', ALICE);
  for (const number of range(from, to))
    publisher.post({ type: 'channel.publish', channel, data: number, event_id: `e${number}` });
  await world.clock.settle();
  await publisher.hangUp();
}

function watch(world: TestGateway, query: string, lastId?: string): Promise<PushStream> {
  const headers = lastId === undefined ? {} : { 'last-event-id': lastId };
  return world.ask('GET', `/api/push/sse?${query}`, { headers }).pushStream();
}

function watchBy(poller: Poller, world: TestGateway, lastId?: string): Promise<PushStream> {
  return watch(world, `poll_token=${poller.token}`, lastId);
}

async function refused(world: TestGateway, query: string): Promise<unknown> {
  const { status, body } = await world.get(`/api/push/sse?${query}`);
  return [status, (body as { readonly error?: { readonly code: string } }).error?.code];
}

describe('a stream that is alone', () => {
  it('P-40 needs nothing but a channel and a token: what is published comes as it is, each with an id', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const stream = await watch(world, `channel=news&token=${BOB}`);
    expect(stream.status).toBe(200);
    expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(stream.text.startsWith(': heartbeat\n\n')).toBe(true);
    await publish(world, 1, 3);
    expect(told(stream)).toEqual(['1', '2', '3']);
    expect(stream.text.match(/^id: channel%3Anews,[^;]+,3$/gm)).toHaveLength(1);
    expect(stream.text).not.toContain('event:');
  });

  it.each(['first', 'second'])('P-40 comes back at the %s server after what it had', async (where) => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const second = openGateway({ beside: world, tokens: TWO_PEOPLE });
    const query = `channel=news&token=${BOB}`;
    const first = await watch(world, query);
    await publish(world, 1, 3);
    first.hangUp();
    await world.clock.settle();
    await publish(world, 4, 5);
    const back = await watch(where === 'first' ? world : second, query, first.lastId);
    await publish(world, 6, 6);
    expect(told(back)).toEqual(['4', '5', '6']);
  });

  it('P-40 comes back also when nothing had come yet', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const first = await watch(world, `channel=news&channel=sport&token=${BOB}`);
    first.hangUp();
    await publish(world, 1, 2, 'sport');
    const back = await watch(world, `channel=news&channel=sport&token=${BOB}`, first.lastId);
    expect(told(back)).toEqual(['1', '2']);
  });

  it('P-40 takes the newer of the position in its address and of the last event', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const { lastId: oldest } = await watch(world, `channel=news&token=${BOB}`);
    await publish(world, 1, 3);
    const query = `channel=news&token=${BOB}&cursor=${encodeURIComponent(oldest)}`;
    const stream = await watch(world, query);
    expect(told(stream)).toEqual(['1', '2', '3']);
    expect(told(await watch(world, query, stream.lastId))).toEqual([]);
  });

  it('P-40 tells of a lost position, and goes on', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const first = await watch(world, `channel=news&token=${BOB}`);
    first.hangUp();
    await publish(world, 1, 5);
    await world.store.logs.trim('channel:news', 4);
    const back = await watch(world, `channel=news&token=${BOB}`, first.lastId);
    expect(told(back)).toEqual(['reset 0-3', '4', '5']);
  });

  it('P-40 leaves nothing behind', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const stream = await watch(world, `channel=news&token=${BOB}`);
    stream.hangUp();
    await world.clock.settle();
    for (const kind of ['poll/', 'consumer/'])
      expect(await world.store.records.list(kind, { limit: 10 }), kind).toEqual([]);
  });
});

describe('a stream of several channels', () => {
  it('P-40 gets no id with a message, and the position of all behind what a tick brought', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news', { delivery: false });
    await poller.subscribe('sport');
    const stream = await watchBy(poller, world);
    const before = stream.text.length;
    await publish(world, 1, 2);
    await publish(world, 3, 3, 'sport');
    const ids = stream.text.slice(before).match(/^id: .*\n\n/gm);
    expect(ids?.length).toBeGreaterThanOrEqual(2);
    expect(
      stream.text
        .slice(before)
        .split('\n\n')
        .filter((block) => /^data/m.test(block) && /^id/m.test(block)),
    ).toEqual([]);
    const at = decodeVectorCursor(stream.lastId);
    expect(['channel:news', 'channel:sport'].map((log) => at?.get(log)?.offset)).toEqual([2, 1]);
    stream.hangUp();
    await publish(world, 4, 4);
    expect(told(await watchBy(poller, world, stream.lastId))).toEqual(['3']);
  });

  it('P-40 begins as a stream of one, when the second comes later, and loses and doubles nothing', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await poller.subscribe('sport', { delivery: false });
    await poller.ask('unsubscribe', { channel: 'sport' });
    const stream = await watchBy(poller, world);
    await publish(world, 1, 2);
    await poller.subscribe('sport', { delivery: false });
    await publish(world, 3, 3);
    await publish(world, 1, 1, 'sport');
    expect(told(stream)).toEqual(['1', '2', '3', '1']);
    expect(stream.text).not.toMatch(/^id: .*,3\ndata/m);
    expect([...(decodeVectorCursor(stream.lastId)?.keys() ?? [])]).toEqual(
      expect.arrayContaining(['channel:news', 'channel:sport']),
    );
  });

  it('P-40 comes back with no more than a header holds: what its consumers remember is left out', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    for (const number of range(1, 100)) await poller.subscribe(`${number}/${'x'.repeat(80)}`);
    await poller.subscribe('news', { delivery: false });
    const stream = await watchBy(poller, world);
    await publish(world, 1, 1);
    expect(told(stream)).toEqual(['1']);
    expect([...(decodeVectorCursor(stream.lastId)?.keys() ?? [])]).toEqual(['channel:news', 'presence:news']);
  });
});

describe('a stream of a client', () => {
  it('P-40, P-5, P-14 is read and acked: what was not acked comes again, marked, unless its id shows it arrived', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const first = await watchBy(poller, world);
    await publish(world, 1, 3);
    expect(told(first)).toEqual(['1', '2', '3']);
    expect(await poller.ack('e2')).toBe(true);
    first.hangUp();
    await world.clock.settle();
    const second = await watchBy(poller, world);
    expect(told(second)).toEqual(['1+', '3+']);
    second.hangUp();
    await world.clock.settle();
    expect(told(await watchBy(poller, world, second.lastId))).toEqual([]);
  });

  it('P-40 may name itself: it is registered then, and subscribed to what its address says', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const first = await watch(world, `client_id=tablet&channel=news&channel=sport&token=${ALICE}`);
    first.hangUp();
    await publish(world, 1, 1, 'sport');
    const poller = await register(world, 'tablet', ALICE);
    expect(told(await poller.poll())).toEqual(['1']);
    expect(told(await poller.poll())).toEqual(['1+']);
  });

  it('P-40 subscribes without delivery where it says so', async () => {
    const world = openGateway();
    await watch(world, 'client_id=tablet&channel=news&delivery=false');
    expect(await world.store.records.list('consumer/', { limit: 10 })).toEqual([]);
    expect(await world.store.records.list('poll/', { limit: 10 })).toHaveLength(1);
  });

  it('P-40 reads at once what it subscribes to here, and within 5 s elsewhere', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    const elsewhere = poller.at(openGateway({ beside: world }));
    const stream = await watchBy(poller, world);
    await poller.subscribe('a');
    await elsewhere.subscribe('b');
    await publish(world, 1, 1, 'a');
    await publish(world, 1, 1, 'b');
    const channels = (): unknown[] => stream.messages.map((message) => message.channel);
    expect(channels()).toEqual(['a']);
    await world.clock.advance(5_000);
    expect(channels()).toEqual(['a', 'b']);
    await elsewhere.ask('unsubscribe', { channel: 'a' });
    await world.clock.advance(5_000);
    await publish(world, 2, 2, 'a');
    await publish(world, 2, 2, 'b');
    expect(channels()).toEqual(['a', 'b', 'b']);
  });

  it('P-8 gets none of its own messages, unless it asked for them', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await poller.subscribe('sport', { echo: true });
    const stream = await watchBy(poller, world);
    for (const channel of ['news', 'sport']) await poller.ask('publish', { channel, data: 1 });
    await world.clock.settle();
    expect(stream.messages).toMatchObject([{ channel: 'sport', source: 'tablet' }]);
  });

  it('L-4, P-9 is told of a lost position until its id shows that it arrived', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await publish(world, 1, 5);
    await world.store.logs.trim('channel:news', 4);
    const first = await watchBy(poller, world);
    expect(told(first)).toEqual(['reset 0-3', '4', '5']);
    first.hangUp();
    await world.clock.settle();
    const torn = await watchBy(poller, world, '');
    expect(told(torn)).toEqual(['reset 0-3', '4+', '5+']);
    torn.hangUp();
    await world.clock.settle();
    expect(told(await watchBy(poller, world, torn.lastId))).toEqual([]);
  });
});

describe('a stream ends', () => {
  it('P-10, P-13 when a newer poll or stream of its client begins', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news', { delivery: false });
    const first = await watchBy(poller, world);
    const second = await watchBy(poller, world);
    expect([first.ended, second.ended]).toEqual([true, false]);
    const parked = poller.begin();
    await world.clock.settle();
    expect([second.ended, parked.asked.answered]).toEqual([true, false]);
    const third = await watchBy(poller, world);
    expect([parked.asked.answered, third.ended]).toEqual([true, false]);
  });

  it('P-10 when a socket, or another server, takes its consumer', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const first = await watchBy(poller, world);
    const socket = await world.client('tablet');
    await socket.send({ type: 'channel.subscribe', channel: 'news' });
    expect(first.ended).toBe(true);
    expect(first.errors).toMatchObject([{ code: 'taken_over' }]);
    const second = await watchBy(poller, world);
    expect(socket.closed?.code).toBe(4409);
    const elsewhere = openGateway({ beside: world });
    const third = await watchBy(poller, elsewhere);
    await publish(world, 1, 1);
    expect(told(third)).toEqual(['1']);
    await poller.at(elsewhere).ack('e1');
    await poller.ask('ack', { event_id: 'e1', channel: 'news' }); // the older one stores something, and sees it
    await world.clock.advance((24 * 3_600_000) / 4);
    expect([second.ended, third.ended]).toEqual([true, false]);
  });

  it('P-12 when its client is deregistered: here at once, elsewhere within 5 s', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    const elsewhere = openGateway({ beside: world });
    const here = await watchBy(poller, world);
    const there = await watchBy(poller, elsewhere);
    await poller.ask('deregister');
    await world.clock.settle();
    expect([here.ended, there.ended]).toEqual([true, false]);
    await world.clock.advance(5_000);
    expect(there.ended).toBe(true);
  });

  it('when its server closes', async () => {
    const world = openGateway();
    const stream = await watch(world, 'channel=news');
    await Promise.all([world.gateway.close(), world.clock.settle()]);
    await world.clock.settle();
    expect(stream.ended).toBe(true);
  });
});

describe('a stream', () => {
  it('P-40 says that it lives every 15 s', async () => {
    const world = openGateway();
    const stream = await watch(world, 'channel=news');
    await world.clock.advance(45_000);
    expect(stream.text.match(/^: heartbeat$/gm)).toHaveLength(4);
  });

  it('L-5 that is not read holds a position: everything comes when it is', async () => {
    const world = openGateway();
    const stream = await watch(world, 'channel=news');
    stream.stall();
    const publisher = await world.client('publisher');
    for (const number of range(1, 60))
      publisher.post({
        type: 'channel.publish',
        channel: 'news',
        data: 'x'.repeat(40_000),
        event_id: `e${number}`,
      });
    await world.clock.settle();
    expect(stream.text.length).toBeLessThan(1_000_000);
    stream.read();
    for (let turns = 0; turns < 50; turns++) await world.clock.settle();
    expect(told(stream)).toEqual(range(1, 60).map(String));
  });

  it.each([
    ['a token that is wrong', 'channel=news&token=guess', [401, 'unauthorized']],
    ['no token', 'channel=news', [401, 'unauthorized']],
    ['a poll token that is forged', `poll_token=a.b&token=${ALICE}`, [401, 'unauthorized']],
    ['no channel, of nobody', `token=${ALICE}`, [400, 'bad_request']],
    ['a channel that has no such name', `channel=a%20b&token=${ALICE}`, [400, 'bad_request']],
    ['a channel that its token does not allow', 'channel=news&token=only-sport', [403, 'forbidden']],
    ['a cursor that no gateway made', `channel=news&cursor=x&token=${ALICE}`, [400, 'bad_request']],
  ])('P-40, L-15 is refused with %s', async (_what, query, expected) => {
    const world = openGateway({ tokens: [...TWO_PEOPLE, { token: 'only-sport', channels: ['sport'] }] });
    expect(await refused(world, query)).toEqual(expected);
  });

  it('L-10 of a token that allows less than another of its client shows less', async () => {
    const tokens = [
      { token: ALICE, subject: 'alice' },
      { token: 'less', subject: 'alice', channels: ['sport'] },
    ];
    const world = openGateway({ tokens });
    const all = await register(world, 'tablet', ALICE);
    await all.subscribe('news');
    await all.subscribe('sport');
    const less = await register(world, 'tablet', 'less');
    const stream = await watchBy(less, world);
    await publish(world, 1, 1);
    await publish(world, 1, 1, 'sport');
    expect(stream.messages).toMatchObject([{ channel: 'sport' }]);
  });

  it('P-1 where push is off, says so', async () => {
    expect(await refused(openGateway({ push: false }), 'channel=news')).toEqual([403, 'push_disabled']);
  });
});
