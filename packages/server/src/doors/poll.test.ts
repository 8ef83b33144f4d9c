import { decodeVectorCursor } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { interceptStore } from '../../test/intercept.ts';
import { nth, only, range } from '../../test/pick.ts';
import { register, told } from '../../test/poller.ts';

async function publish(world: TestGateway, from: number, to: number, channel = 'news'): Promise<void> {
  const publisher = await world.client('publisher');
  for (const number of range(from, to)) {
    publisher.post({ type: 'channel.publish', channel, data: number, event_id: `e${number}` });
  }
  await world.clock.settle();
  await publisher.hangUp();
}

describe('a poll', () => {
  it('P-13 answers at once with what is there', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await publish(world, 1, 3);
    const { asked, batch } = poller.begin();
    await world.clock.settle();
    expect(asked.answered).toBe(true);
    expect(told(await batch())).toEqual(['1', '2', '3']);
  });

  it('P-13 answers as soon as there is something', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await poller.subscribe('sport');
    const { asked, batch } = poller.begin();
    await world.clock.advance(12_000);
    expect(asked.answered).toBe(false);
    await publish(world, 1, 1, 'sport');
    expect(told(await batch())).toEqual(['1']);
  });

  it.each([
    [2, 2_000],
    [30, 30_000],
    [600, 30_000],
    [undefined, 30_000],
  ])('P-13 that may wait %s seconds is answered empty after %i ms', async (timeout, ms) => {
    const world = openGateway();
    const { token, subscribe } = await register(world, 'tablet');
    await subscribe('news');
    const body = { poll_token: token, ...(timeout !== undefined && { timeout }) };
    const asked = world.ask('POST', '/api/push/poll/messages', { body });
    await world.clock.advance(ms - 1);
    expect(asked.answered).toBe(false);
    await world.clock.advance(1);
    expect((await asked.answer()).body).toMatchObject({ messages: [], poll_interval_hint: 0 });
  });

  it('P-13 that may not wait gets what is there, though the store takes its time', async () => {
    let answerMs = 0;
    const world = openGateway({
      through: (store) =>
        interceptStore(store, async (_call, go) => {
          const answer = await go();
          if (answerMs === 0) return answer;
          const at = world.clock.now() + answerMs;
          await new Promise<void>((resolve) => world.clock.schedule(at, resolve));
          return answer;
        }),
    });
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await publish(world, 1, 2);
    answerMs = 5;
    const { batch } = poller.begin(undefined, 0);
    await world.clock.advance(1_000);
    expect(told(await batch())).toEqual(['1', '2']);
  });

  it('P-13 that may not wait is answered as soon as it has looked', async () => {
    let answerMs = 0;
    const world = openGateway({
      through: (store) =>
        interceptStore(store, async (_call, go) => {
          const at = world.clock.now() + answerMs;
          if (answerMs > 0) await new Promise<void>((resolve) => world.clock.schedule(at, resolve));
          return go();
        }),
    });
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    answerMs = 20;
    const { asked } = poller.begin(undefined, 0);
    await world.clock.advance(60);
    expect(asked.answered).toBe(false);
    await world.clock.advance(240);
    expect(asked.answered).toBe(true);
  });

  it('P-13 takes a hundred messages at most, the next one those after', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await publish(world, 1, 250);
    let cursor: string | undefined;
    const sizes = [];
    const all: string[] = [];
    for (let polls = 0; polls < 4; polls++) {
      const batch = await poller.poll(cursor);
      sizes.push(batch.messages.length);
      all.push(...told(batch));
      cursor = batch.cursor;
    }
    expect(sizes).toEqual([100, 100, 50, 0]);
    expect(all).toEqual(range(1, 250).map(String));
  });

  it('P-13 of a client ends the one before, which is answered empty', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const first = poller.begin();
    await world.clock.settle();
    const second = poller.begin();
    await world.clock.settle();
    expect([first.asked.answered, second.asked.answered]).toEqual([true, false]);
    await publish(world, 1, 1);
    expect(told(await first.batch())).toEqual([]);
    expect(told(await second.batch())).toEqual(['1']);
  });

  it('P-13 of a client ends the one before also when it has subscribed to nothing', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    const first = poller.begin();
    await world.clock.settle();
    const second = poller.begin();
    await world.clock.settle();
    expect([first.asked.answered, second.asked.answered]).toEqual([true, false]);
  });

  it('P-13 is answered when its server closes', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const { asked } = poller.begin();
    await world.clock.settle();
    await Promise.all([world.gateway.close(), world.clock.settle()]);
    await world.clock.settle();
    expect(asked.answered).toBe(true);
  });

  it('P-3 misses nothing that comes between its subscription and its first poll', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await publish(world, 1, 1);
    await poller.subscribe('news');
    await publish(world, 2, 2);
    await poller.subscribe('news'); // once more: nothing moves
    expect(told(await poller.poll())).toEqual(['2']);
  });

  it('P-3 keeps its subscriptions as long as it is used', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    let { cursor } = await poller.poll();
    for (let hours = 0; hours < 30; hours += 6) {
      await world.clock.advance(6 * 3_600_000);
      ({ cursor } = await poller.poll(cursor));
    }
    await publish(world, 1, 1);
    expect(told(await poller.poll(cursor))).toEqual(['1']);
  });

  it('P-13 reads a channel at once that is subscribed to here while it is parked', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const parked = poller.begin();
    await world.clock.settle();
    await poller.subscribe('sport');
    await world.clock.settle();
    expect(parked.asked.answered).toBe(false);
    await publish(world, 1, 1, 'sport');
    expect(told(await parked.batch())).toEqual(['1']);
  });

  it('P-13 reads a channel within 5 s that is subscribed to at another server while it is parked', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    const parked = poller.begin();
    await world.clock.settle();
    await poller.at(openGateway({ beside: world })).subscribe('news');
    await publish(world, 1, 1);
    await world.clock.advance(4_990);
    expect(parked.asked.answered).toBe(false);
    await world.clock.advance(10);
    expect(told(await parked.batch())).toEqual(['1']);
  });

  it('P-13 does not read a channel that was left while it is parked', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await poller.subscribe('sport', { delivery: false });
    const parked = poller.begin();
    await world.clock.settle();
    for (const channel of ['news', 'sport']) {
      expect(await poller.ask('unsubscribe', { channel })).toEqual({ ok: true, channel });
      expect(await poller.ask('unsubscribe', { channel })).toEqual({ ok: false, channel });
      await publish(world, 1, 1, channel);
    }
    await world.clock.advance(30_000);
    expect(await parked.batch()).toEqual({ messages: [], poll_interval_hint: 0, cursor: '' });
  });

  it('P-8 gives a client none of its own messages', async () => {
    const world = openGateway();
    const poller = await register(world, 'publisher');
    await poller.subscribe('news');
    await publish(world, 1, 3); // under the same client id
    expect(told(await poller.poll())).toEqual([]);
  });
});

describe('the cursor of a poll', () => {
  it('P-14, L-13 that is the newest gets only what is new, acked or not', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    for (const channel of ['news', 'sport']) await poller.subscribe(channel);
    await publish(world, 1, 2);
    const first = await poller.poll();
    await publish(world, 1, 1, 'sport');
    await publish(world, 3, 3);
    const second = await poller.poll(first.cursor);
    expect(
      second.messages.map((message) => [message.channel, told({ ...second, messages: [message] })]),
    ).toEqual(
      expect.arrayContaining([
        ['sport', ['1']],
        ['news', ['3']],
      ]),
    );
    expect(second.messages).toHaveLength(2);
    expect(decodeVectorCursor(second.cursor)?.get('channel:news')?.offset).toBe(3);
  });

  it.each([
    ['older', (cursors: readonly string[]) => cursors[0], ['3+', '4+', '5']],
    ['missing', () => undefined, ['1+', '2+', '3+', '4+', '5']],
    ['empty', () => '', ['1+', '2+', '3+', '4+', '5']],
  ])('P-14 that is %s gets again what came after it, marked', async (_what, choose, expected) => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const cursors: string[] = [];
    for (const number of [2, 4]) {
      await publish(world, number - 1, number);
      cursors.push((await poller.poll(cursors.at(-1))).cursor);
    }
    await publish(world, 5, 5);
    expect(told(await poller.poll(choose(cursors)))).toEqual(expected);
  });

  it('P-14 is not moved by an answer that was lost', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const { cursor } = await poller.poll();
    await publish(world, 1, 2);
    await poller.poll(cursor); // whose answer never arrived
    const gone = poller.begin(cursor);
    gone.asked.hangUp(); // and this one's client went away
    await world.clock.settle();
    expect(told(await poller.poll(cursor))).toEqual(['1+', '2+']);
  });

  it('P-14 of another log, or of one that is gone, is no harm', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await publish(world, 1, 2);
    const batch = await poller.poll('channel%3Asport,e,7;channel%3Anews,gone,1');
    expect(told(batch)).toEqual(['1', '2']);
  });

  it.each(['x', 'a,b', 'a,b,-1', 'a,b,1;'])(
    'L-13 that this gateway never made is refused: "%s"',
    async (cursor) => {
      const world = openGateway();
      const { token } = await register(world, 'tablet');
      const { status, body } = await world.post('/api/push/poll/messages', { poll_token: token, cursor });
      expect([status, body]).toMatchObject([400, { error: { code: 'bad_request' } }]);
    },
  );
});

describe('acking without a socket', () => {
  it('P-5 is stored: the message never comes again', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await publish(world, 1, 3);
    await poller.poll();
    expect(await poller.ack('e2', 'news')).toBe(true);
    expect(await poller.ack('e3')).toBe(true);
    expect(await poller.ack('e2', 'news')).toBe(false);
    expect(await poller.ack('e9')).toBe(false);
    expect(told(await poller.poll())).toEqual(['1+']);
  });

  it('P-5 goes to the poll that is parked', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await publish(world, 1, 2);
    const { cursor } = await poller.poll();
    const parked = poller.begin(cursor);
    await world.clock.settle();
    expect(await poller.ack('e1', 'news')).toBe(true);
    await publish(world, 3, 3);
    expect(told(await parked.batch())).toEqual(['3']);
    expect(told(await poller.poll())).toEqual(['2+', '3+']);
  });

  it('P-5 is stored also at another server than the one where a poll is parked', async () => {
    const world = openGateway();
    const elsewhere = openGateway({ beside: world });
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    await publish(world, 1, 3);
    const { cursor } = await poller.poll();
    const parked = poller.begin(cursor);
    await world.clock.settle();
    expect(await poller.at(elsewhere).ack('e2', 'news')).toBe(true);
    await publish(world, 4, 4);
    expect(told(await parked.batch())).toEqual(['4']);
    expect(told(await poller.poll())).toEqual(['1+', '3+', '4+']);
  });
});

describe('a client that polls and has a socket', () => {
  it('P-10 the poll takes over from the socket', async () => {
    const world = openGateway();
    const socket = await world.client('tablet');
    await socket.send({ type: 'channel.subscribe', channel: 'news' });
    await publish(world, 1, 1);
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    expect(told(await poller.poll())).toEqual(['1+']);
    expect(socket.closed?.code).toBe(4409);
  });

  it('P-10 the socket takes over from the poll, which is answered empty', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const parked = poller.begin();
    await world.clock.settle();
    const socket = await world.client('tablet');
    await socket.send({ type: 'channel.subscribe', channel: 'news' });
    expect(await parked.batch()).toMatchObject({ messages: [], taken_over: true });
    await publish(world, 1, 1);
    expect(only(socket.of('channel_message'))).toMatchObject({ sequence: 1, attempt: 1 });
  });

  it('P-10 of two readers with one id the older is told that the newer has taken over', async () => {
    const world = openGateway();
    const first = await register(world, 'tablet');
    await first.subscribe('news');
    const parked = first.begin();
    await world.clock.settle();
    const again = first.begin();
    await world.clock.settle();
    expect(await parked.batch()).not.toHaveProperty('taken_over');
    const second = await register(world, 'tablet');
    const newest = second.begin();
    await world.clock.settle();
    expect(await again.batch()).toMatchObject({ messages: [], taken_over: true });
    await publish(world, 1, 1);
    expect(told(await newest.batch())).toEqual(['1']);
  });

  it('P-10 of two polls on two servers one has the messages', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const elsewhere = poller.at(openGateway({ beside: world }));
    const older = poller.begin();
    await world.clock.settle();
    const newer = elsewhere.begin();
    await world.clock.settle();
    await publish(world, 1, 1);
    await world.clock.advance(31_000);
    const batches = [await older.batch(), await newer.batch()];
    expect(batches.map(told)).toEqual([[], ['1']]);
  });
});

describe('a poll whose position is lost', () => {
  it('L-4, P-9 is told so, again and again, until its cursor shows that it arrived', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const { cursor } = await poller.poll();
    await world.clock.advance(15_000);
    await publish(world, 1, 30);
    await world.store.logs.trim('channel:news', 21);
    const first = await poller.poll(cursor);
    expect(told(first)).toEqual(['reset 0-20', ...range(21, 30).map(String)]);
    const again = await poller.poll(cursor); // the answer was lost
    expect(nth(told(again), 0)).toBe('reset 0-20');
    expect(told(await poller.poll(again.cursor))).toEqual([]);
    expect(told(await poller.poll())).toEqual(range(21, 30).map((number) => `${number}+`));
  });
});
