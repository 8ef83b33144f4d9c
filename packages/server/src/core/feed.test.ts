import { describe, expect, it } from 'vitest';
import { interceptStore } from '../../test/intercept.ts';
import { range } from '../../test/pick.ts';
import { createDialect, createReading } from '../../test/reading.ts';
import { StoreError } from '../ports.ts';
import { WATERMARK_BYTES } from './feed.ts';

const LOG = 'channel:a';
const OLD = createDialect('old');

describe('a feed', () => {
  it.each([
    ['the whole log', 0, 1_200],
    ['what is after a position', 700, 1_200],
    ['nothing, at the head', 1_200, 1_200],
  ])('delivers %s, and then what comes', async (_what, after, head) => {
    const { clock, append, open } = createReading();
    await append(LOG, head);
    const reader = await open(LOG, after);
    await clock.settle();
    await append(LOG, 3);
    await clock.settle();
    expect(reader.offsets).toEqual(range(after + 1, head + 3));
    expect(reader.feed.position.offset).toBe(head + 3);
  });

  it('calls nobody before whoever opened it has it', async () => {
    const { clock, append, open } = createReading();
    await append(LOG, 3);
    let opened = false;
    let early = 0;
    const note = (): void => {
      if (!opened) early++;
    };
    const opening = open(LOG, 0, {
      onMoved: note,
      onEnd: note,
      replay: { until: 3, dialect: OLD, done: note },
    });
    const reader = await opening;
    opened = true;
    await clock.settle();
    expect([early, reader.offsets]).toEqual([0, [1, 2, 3]]);
  });

  it('says once that it waits at the head, when all was delivered', async () => {
    const { clock, append, open } = createReading();
    await append(LOG, 700);
    const live: number[] = [];
    const reader = await open(LOG, 0, { onLive: () => live.push(reader.offsets.length) });
    await clock.settle();
    expect(live).toEqual([700]);
    reader.peer.stall();
    await append(LOG, 1, { data: 'x'.repeat(WATERMARK_BYTES) });
    await append(LOG, 1);
    reader.peer.drain();
    await clock.settle();
    expect([live, reader.offsets.length]).toEqual([[700], 702]);
  });

  it('gives entries up to `until` in the old dialect, those after in the other, and says once where that was', async () => {
    const { clock, append, open } = createReading();
    await append(LOG, 700);
    const done: number[] = [];
    const reader = await open(LOG, 10, {
      replay: { until: 700, dialect: OLD, done: () => done.push(reader.lines.length) },
    });
    await append(LOG, 40); // while the old ones are on their way
    await clock.settle();
    await append(LOG, 2);
    await clock.settle();
    const words = reader.lines.map((line) => line.split(' ')[0]);
    expect(reader.offsets).toEqual(range(11, 742));
    expect(words.lastIndexOf('old')).toBe(700 - 11);
    expect(words.indexOf('live')).toBe(701 - 11);
    expect(done).toEqual([690]);
  });

  it('says at once that nothing is old when it begins at `until`', async () => {
    const { clock, append, open } = createReading();
    await append(LOG, 5);
    let done = 0;
    const reader = await open(LOG, 5, { replay: { until: 5, dialect: OLD, done: () => done++ } });
    await clock.settle();
    expect([done, reader.lines]).toEqual([1, []]);
  });

  it('changes over from the store to the ring and to live without hole or double', async () => {
    const { clock, counted, append, open } = createReading();
    const first = await open(LOG, 0);
    for (let count = 0; count < 30; count++) {
      await append(LOG, 100);
      await clock.settle();
    }
    const second = await open(LOG, 0);
    counted.reset();
    await append(LOG, 100);
    await clock.settle();
    expect(second.offsets).toEqual(range(1, 3_100));
    expect(first.offsets).toEqual(range(1, 3_100));
    expect(counted.calls('read')).toHaveLength(1); // the tail's: what came before was in the ring
  });

  it('leaves out one source, its own position moving past it', async () => {
    const { clock, append, open } = createReading();
    const moves: [number, number, number][] = [];
    const reader = await open(LOG, 0, {
      withoutSource: 'me',
      onMoved: (sent, from, to) => moves.push([sent.length, from, to]),
    });
    const other = await open(LOG, 0);
    await clock.settle();
    await append(LOG, 2, { source: 'me' });
    await clock.settle();
    await append(LOG, 1, { source: 'you' });
    await clock.settle();
    expect(reader.offsets).toEqual([3]);
    expect(moves).toEqual([
      [0, 0, 2],
      [1, 2, 3],
    ]);
    expect(other.offsets).toEqual([1, 2, 3]);
    expect(reader.feed.position.offset).toBe(3);
  });

  it('skips what is said to be done with, among the old entries only', async () => {
    const { clock, append, open } = createReading();
    await append(LOG, 6);
    const reader = await open(LOG, 0, {
      replay: { until: 6, dialect: OLD },
      skip: ({ offset }) => offset % 2 === 0,
    });
    await clock.settle();
    await append(LOG, 2);
    await clock.settle();
    expect(reader.offsets).toEqual([1, 3, 5, 7, 8]);
  });

  it('sends no more than there is room for, and goes on when there is room again', async () => {
    const { clock, append, open } = createReading();
    let room = 3;
    const reader = await open(LOG, 0, {
      room: () => room,
      onMoved: (sent) => {
        room -= sent.length;
      },
    });
    await clock.settle();
    await append(LOG, 10);
    await clock.settle();
    expect(reader.offsets).toEqual([1, 2, 3]);
    room = 4;
    reader.feed.resume();
    await clock.settle();
    expect(reader.offsets).toEqual(range(1, 7));
    room = 1_000;
    reader.feed.resume();
    await append(LOG, 5);
    await clock.settle();
    expect(reader.offsets).toEqual(range(1, 15));
  });

  it('is silent after it was closed, however often', async () => {
    const { clock, tails, append, open } = createReading();
    const reader = await open(LOG, 0);
    await append(LOG, 2);
    await clock.settle();
    reader.feed.close();
    reader.feed.close();
    await append(LOG, 2);
    await clock.settle();
    reader.feed.resume();
    await clock.advance(2_000);
    expect(reader.offsets).toEqual([1, 2]);
    expect(reader.feed.position.offset).toBe(2);
    expect(tails.watchers(LOG)).toBe(0);
  });

  it('that throws stops nobody else, and goes on where it was', async () => {
    const { clock, problems, append, open } = createReading();
    let broken = false;
    const before = await open(LOG, 0);
    const thrower = await open(LOG, 0, {
      onMoved() {
        if (!broken) return;
        broken = false;
        throw new Error('the door is jammed');
      },
    });
    const after = await open(LOG, 0);
    await append(LOG, 2);
    await clock.settle();
    broken = true;
    await append(LOG, 2);
    await clock.settle();
    expect([before.offsets, after.offsets]).toEqual([range(1, 4), range(1, 4)]);
    expect(problems).toEqual([expect.stringContaining('the door is jammed')]);
    await append(LOG, 1);
    await clock.advance(1_000);
    // What was handed over when it threw may come twice, as after a lost connection; nothing is missing.
    expect(new Set(thrower.offsets)).toEqual(new Set(range(1, 5)));
    expect(thrower.offsets.slice(-3)).toEqual([3, 4, 5]);
  });

  it('tries again when the store could not be read', async () => {
    let isDown = true;
    const { clock, problems, append, open } = createReading({
      through: (store) =>
        interceptStore(store, (call, go) => {
          if (call.name === 'read' && isDown) throw new StoreError('unavailable', 'the disk is gone');
          return go();
        }),
    });
    await append(LOG, 3);
    const reader = await open(LOG, 0);
    await clock.advance(2_000);
    expect(reader.offsets).toEqual([]);
    expect(problems.length).toBeGreaterThan(0);
    isDown = false;
    await clock.advance(1_000);
    expect(reader.offsets).toEqual([1, 2, 3]);
  });
});

describe('a reader that does not read', () => {
  const DATA = 'x'.repeat(20_000);
  /** The lines of this dialect are as long as the data. */
  const LONG = {
    ...createDialect('long'),
    text: (entry: { offset: number }) => `long ${entry.offset} ${DATA}`,
  };

  it('L-5 is not read for above 512 KiB, and gets all the rest when it has drained', async () => {
    const { clock, counted, append, open } = createReading();
    await append(LOG, 100, { data: DATA }); // 2 MB
    const reader = await open(LOG, 0, { dialect: LONG });
    reader.peer.stall();
    await clock.advance(3_000);
    const held = reader.offsets.length;
    expect(reader.peer.bufferedBytes).toBeGreaterThanOrEqual(WATERMARK_BYTES);
    expect(reader.peer.bufferedBytes).toBeLessThan(WATERMARK_BYTES + 256 * 1024);

    counted.reset();
    await append(LOG, 100, { data: DATA });
    await clock.advance(3_000);
    expect(reader.offsets).toHaveLength(held);

    reader.peer.drain();
    await clock.settle();
    await append(LOG, 1, { data: DATA });
    await clock.settle();
    expect(reader.offsets).toEqual(range(1, 201));
  });

  it('L-5 costs the others nothing: they are live while it stands still', async () => {
    const { clock, append, open } = createReading();
    const slow = await open(LOG, 0, { dialect: LONG });
    const quick = await open(LOG, 0, { dialect: LONG });
    await clock.settle();
    slow.peer.stall();
    for (let count = 0; count < 100; count++) {
      await append(LOG, 1, { data: DATA });
      await clock.settle();
    }
    expect(quick.offsets).toEqual(range(1, 100));
    expect(slow.offsets.length).toBeLessThan(60);
    expect(slow.offsets).toEqual(range(1, slow.offsets.length));
    slow.peer.drain();
    await clock.settle();
    expect(slow.offsets).toEqual(range(1, 100));
  });

  it('L-5 loses nothing when it stalls again and again', async () => {
    const { clock, append, open } = createReading();
    const reader = await open(LOG, 0, { dialect: LONG });
    await clock.settle();
    for (let count = 0; count < 20; count++) {
      reader.peer.stall();
      await append(LOG, 40, { data: DATA });
      await clock.settle();
      reader.peer.drain();
      if (count % 3 === 0) await clock.settle();
    }
    await clock.advance(1_500);
    expect(reader.offsets).toEqual(range(1, 800));
  });

  it('L-4 is told when what it has not read was trimmed away', async () => {
    const { clock, store, append, open } = createReading({ logRingBytes: 200_000 });
    const reader = await open(LOG, 0, { dialect: LONG });
    await clock.settle();
    reader.peer.stall();
    for (let count = 0; count < 10; count++) {
      await append(LOG, 10, { data: DATA });
      await clock.settle();
    }
    const held = reader.offsets.length;
    await store.logs.trim(LOG, 96);
    reader.peer.drain();
    await clock.settle();
    expect(reader.resets.map(({ reason, from, to }) => [reason, from.offset, to.offset])).toEqual([
      ['trimmed', held, 95],
    ]);
    expect(reader.offsets).toEqual([...range(1, held), ...range(96, 100)]);
  });
});

describe('a lost position', () => {
  it.each([
    { reason: 'epoch', from: 3, to: 0, offsets: [1, 2] },
    { reason: 'trimmed', from: 2, to: 4, offsets: [5, 6] },
    { reason: 'ahead', from: 9, to: 4, offsets: [5, 6] },
  ])('L-4 is told with its reason: $reason', async ({ reason, from, to, offsets }) => {
    const { clock, store, head, append, open, lose } = createReading();
    await append(LOG, 5);
    const { epoch } = await head(LOG);
    if (reason === 'epoch') {
      await lose(LOG);
      await append(LOG, 1);
    } else await store.logs.trim(LOG, 5);
    const reader = await open(LOG, 0, { after: { epoch, offset: from } });
    await clock.settle();
    await append(LOG, 1);
    await clock.settle();
    const told = reader.resets.map((reset) => ({ ...reset, from: reset.from.offset, to: reset.to.offset }));
    expect(told).toEqual([{ log: LOG, reason, from, to }]);
    expect(reader.offsets).toEqual(offsets);
  });

  it('L-4 is told to a reader that was live when the log was lost', async () => {
    const { clock, append, open, lose } = createReading();
    const reader = await open(LOG, 0);
    await append(LOG, 3);
    await clock.settle();
    await lose(LOG);
    await append(LOG, 2, { data: 'new' });
    await clock.advance(1_500);
    expect(reader.resets.map(({ reason }) => reason)).toEqual(['epoch']);
    expect(reader.offsets).toEqual([1, 2, 3, 1, 2]);
  });

  it('L-4 goes on where its owner says', async () => {
    const { clock, store, append, open } = createReading();
    await append(LOG, 5);
    await store.logs.trim(LOG, 3);
    const reader = await open(LOG, 0, { onReset: ({ to }) => ({ epoch: to.epoch, offset: 4 }) });
    await clock.settle();
    expect(reader.offsets).toEqual([5]);
  });

  it('closes a feed whose owner says so', async () => {
    const { clock, tails, store, append, open } = createReading();
    await append(LOG, 5);
    await store.logs.trim(LOG, 3);
    const reader = await open(LOG, 0, { onReset: () => null });
    await clock.settle();
    await append(LOG, 1);
    await clock.advance(2_000);
    expect([reader.offsets, tails.watchers(LOG)]).toEqual([[], 0]);
  });

  it('ends the replay: entries of another epoch are not old', async () => {
    const { clock, head, append, open, lose } = createReading();
    await append(LOG, 5);
    const before = await head(LOG);
    await lose(LOG);
    await append(LOG, 3);
    const reader = await open(LOG, 0, {
      after: { epoch: before.epoch, offset: 2 },
      replay: { until: 5, dialect: OLD },
    });
    await clock.settle();
    expect(reader.lines.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'live 1',
      'live 2',
      'live 3',
    ]);
  });
});
