import { describe, expect, it } from 'vitest';
import { interceptStore } from '../../test/intercept.ts';
import { nth, range } from '../../test/pick.ts';
import { createDialect, createReading } from '../../test/reading.ts';
import { StoreError } from '../ports.ts';

const LOG = 'channel:a';

describe('the tail of a log', () => {
  it('reads a batch once and encodes it once per dialect, whatever the number of readers', async () => {
    const reading = createReading();
    const dialects = [createDialect('one'), createDialect('two')];
    const readers = [];
    for (let index = 0; index < 500; index++) {
      readers.push(await reading.open(LOG, 0, { dialect: nth(dialects, index % 2) }));
    }
    await reading.clock.settle();
    reading.counted.reset();

    await reading.append(LOG, 10);
    await reading.clock.settle();

    expect(reading.counted.calls('read')).toHaveLength(1);
    expect(dialects.map(({ encoded, joined }) => [encoded, joined])).toEqual([
      [10, 1],
      [10, 1],
    ]);
    for (const reader of readers) {
      expect(reader.offsets).toEqual(range(1, 10));
      expect(reader.peer.writes).toBe(1);
    }
  });

  it('L-3 delivers at once what it was woken for', async () => {
    const { clock, append, open } = createReading();
    const reader = await open(LOG, 0);
    await clock.settle();
    const before = clock.now();
    await append(LOG, 1);
    await clock.settle();
    expect(reader.offsets).toEqual([1]);
    expect(clock.now()).toBe(before);
  });

  it('BUS-1 a wake that is lost, doubled or late costs nobody an entry, and gives nobody one twice', async () => {
    const { clock, store, append, open } = createReading({ wakes: false });
    const reader = await open('channel:a', 0);
    await append('channel:a', 2);
    store.bus.wake('channel:a', 2);
    store.bus.wake('channel:a', 2);
    await clock.settle();
    expect(reader.offsets).toEqual([1, 2]);
    await append('channel:a', 2);
    await clock.advance(2_000);
    expect(reader.offsets).toEqual([1, 2, 3, 4]);
    store.bus.wake('channel:a', 3);
    await clock.settle();
    expect(reader.offsets).toEqual([1, 2, 3, 4]);
  });

  it('L-3 heals a lost wake within a second, with one question for all logs', async () => {
    const { clock, counted, append, open } = createReading({ wakes: false });
    const logs = range(1, 20).map((number) => `channel:${number}`);
    const readers = await Promise.all(logs.map((log) => open(log, 0)));
    await clock.advance(1_500);
    counted.reset();

    await append('channel:7', 3);
    await clock.settle();
    expect(readers.map((reader) => reader.offsets.length)).toEqual(logs.map(() => 0));
    await clock.advance(1_000);
    expect(nth(readers, 6).offsets).toEqual([1, 2, 3]);
    expect(counted.calls('heads').map(({ key }) => key.split(' ').length)).toEqual([20]);
    expect(counted.calls('read').map(({ key }) => key)).toEqual(['channel:7']);
  });

  it('L-3 heals a read that failed', async () => {
    let failures = 0;
    const { clock, problems, append, open } = createReading({
      through: (store) =>
        interceptStore(store, (call, go) => {
          if (call.name === 'read' && failures-- > 0) throw new StoreError('unavailable', 'the disk is gone');
          return go();
        }),
    });
    const reader = await open(LOG, 0);
    await clock.settle();
    failures = 1;
    await append(LOG, 2);
    await clock.settle();
    expect(reader.offsets).toEqual([]);
    expect(problems).toHaveLength(1);
    await clock.advance(1_000);
    expect(reader.offsets).toEqual([1, 2]);
  });

  it('reads nothing for a wake that tells of what it has', async () => {
    const { clock, counted, store, append, open } = createReading();
    const reader = await open(LOG, 0);
    await append(LOG, 3);
    await clock.settle();
    counted.reset();
    store.bus.wake(LOG, 2);
    store.bus.wake(LOG, 3);
    await clock.settle();
    expect(counted.calls('read')).toEqual([]);
    expect(reader.offsets).toEqual([1, 2, 3]);
  });

  it('reads once more when it was woken while it was reading', async () => {
    let answered: Promise<void> = Promise.resolve();
    const { clock, append, open } = createReading({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          const answer = await go();
          if (call.name === 'read') await answered;
          return answer;
        }),
    });
    const reader = await open(LOG, 0);
    await clock.settle();
    let answer = (): void => {};
    answered = new Promise((resolve) => {
      answer = resolve;
    });
    await append(LOG, 1);
    await clock.settle();
    await append(LOG, 1); // its wake comes while the answer is on its way
    await clock.settle();
    answer();
    await clock.settle();
    expect(reader.offsets).toEqual([1, 2]);
  });

  it('takes no more than a thousand entries at once, and all of them in the end', async () => {
    const { clock, append, open } = createReading();
    const reader = await open(LOG, 0);
    await clock.settle();
    await append(LOG, 2_500);
    await clock.settle();
    expect(reader.offsets).toEqual(range(1, 2_500));
    expect(reader.peer.writes).toBe(3);
  });

  it('says that the log has ended once to each reader, whenever it gets there', async () => {
    const { clock, store, append, open } = createReading();
    const early = await open(LOG, 0);
    const stalled = await open(LOG, 0);
    stalled.peer.stall();
    stalled.peer.send(new Uint8Array(600 * 1024));
    await append(LOG, 3);
    await append(LOG, 1, { end: true });
    await clock.settle();
    const late = await open(LOG, 2);
    const last = await open(LOG, 4);
    await clock.advance(5_000);
    store.bus.wake(LOG, 99); // a wake that is wrong makes it look again
    await clock.settle();
    expect([early, late, last].map(({ ends, offsets }) => [ends, offsets])).toEqual([
      [1, [1, 2, 3, 4]],
      [1, [3, 4]],
      [1, []],
    ]);
    expect(stalled.ends).toBe(0);
    stalled.peer.drain();
    await clock.settle();
    expect(stalled.ends).toBe(1);
  });

  it('finds the end of a log whose wake was lost', async () => {
    const { clock, store, append, open } = createReading({ wakes: false });
    await append(LOG, 1);
    const reader = await open(LOG, 1);
    await clock.settle();
    await store.logs.append(LOG, [], { end: true });
    await clock.advance(1_000);
    expect(reader.ends).toBe(1);
  });
});

describe('the rings', () => {
  const FILLER = 'x'.repeat(1_000);

  it('give up the log that grew longest ago when they are over their budget', async () => {
    const { clock, tails, head, append, open } = createReading({ ringBytes: 40_000 });
    const grow = async (log: string): Promise<void> => {
      await append(log, 5, { data: FILLER });
      await clock.settle();
    };
    for (const log of ['a', 'b', 'c']) await open(log, 0);
    await clock.settle();
    await grow('a');
    await grow('b');
    await grow('a');
    await grow('c');
    const kept = [];
    for (const log of ['a', 'b', 'c']) {
      const tail = tails.acquire(log, await head(log));
      kept.push(tail.slotsAfter(tail.offset - 1, 1) !== null);
    }
    expect(kept).toEqual([true, false, true]);
    expect(tails.ringBytes).toBeLessThanOrEqual(40_000);
  });

  it('keep the newest of a log within the budget of one log', async () => {
    const { clock, tails, head, append, open } = createReading({ logRingBytes: 30_000 });
    await open(LOG, 0);
    await clock.settle();
    for (let count = 0; count < 50; count++) {
      await append(LOG, 1, { data: FILLER });
      await clock.settle();
    }
    const tail = tails.acquire(LOG, await head(LOG));
    const slots = range(0, 49).flatMap((offset) => tail.slotsAfter(offset, 1) ?? []);
    expect(slots.length).toBeGreaterThan(5);
    expect(nth(slots, -1).entry.offset).toBe(50);
    expect(slots.reduce((sum, slot) => sum + slot.bytes, 0)).toBeLessThanOrEqual(30_000);
  });

  it('keep within their budget also when readers come later in other dialects', async () => {
    const limit = 30_000;
    const { clock, tails, head, append, open } = createReading({ logRingBytes: limit });
    await open(LOG, 0);
    await clock.settle();
    const late = createDialect(`late ${FILLER}`);
    for (let count = 0; count < 200; count++) {
      await append(LOG, 1, { data: FILLER });
      await clock.settle();
      const { offset } = await head(LOG);
      const reader = await open(LOG, offset - 1, { dialect: late });
      await clock.settle();
      reader.feed.close();
    }
    const tail = tails.acquire(LOG, await head(LOG));
    const slots = range(0, 199).flatMap((offset) => tail.slotsAfter(offset, 1) ?? []);
    const held = slots.reduce((sum, slot) => sum + slot.bytes, 0);
    expect(held).toBeLessThanOrEqual(limit * 1.5);
  });

  it('serve a reader that comes back soon, without the store', async () => {
    const { clock, counted, append, open } = createReading();
    const first = await open(LOG, 0);
    await append(LOG, 5);
    await clock.settle();
    first.feed.close();
    await clock.advance(5_000);
    counted.reset();
    const second = await open(LOG, 2);
    await clock.settle();
    expect(second.offsets).toEqual([3, 4, 5]);
    expect(counted.calls('read')).toHaveLength(1); // the tail's look for what it missed while nobody watched
  });

  it('are gone when nobody has read the log for a while, and so is the watch on it', async () => {
    const { clock, counted, tails, append, open } = createReading();
    const reader = await open(LOG, 0);
    await append(LOG, 5);
    await clock.settle();
    reader.feed.close();
    await clock.advance(12_000);
    expect([tails.size, tails.ringBytes, tails.watchers(LOG)]).toEqual([0, 0, 0]);
    counted.reset();
    await append(LOG, 1);
    await clock.advance(3_000);
    expect([...counted.calls('read'), ...counted.calls('heads')]).toEqual([]);
  });

  it('start over for a reader that comes back to a log which has gone far ahead', async () => {
    const { clock, counted, append, open } = createReading();
    const first = await open(LOG, 0);
    await append(LOG, 5);
    await clock.settle();
    first.feed.close();
    await append(LOG, 5_000);
    counted.reset();
    const second = await open(LOG, 5_005);
    await append(LOG, 1);
    await clock.settle();
    expect(second.offsets).toEqual([5_006]);
    expect(counted.calls('read').length).toBeLessThanOrEqual(2);
  });
});
