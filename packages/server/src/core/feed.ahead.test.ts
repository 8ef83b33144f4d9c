import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import { createDialect, createReading, type Reading } from '../../test/reading.ts';
import { type Store, StoreError } from '../ports.ts';
import { WATERMARK_BYTES } from './feed.ts';

/** A feed with a step of its own, which reads the next page while one is encoded. */

const LOG = 'channel:a';
const STEP = { entries: 10, bytes: 100_000 };

interface World extends Reading {
  /** After which offsets a step was read, in order; and `sent <offset>` for the last entry of each write. */
  readonly history: (number | string)[];
  /** Offsets after which a step cannot be read, once each. */
  readonly failing: Set<number>;
}

function createWorld(): World {
  const history: (number | string)[] = [];
  const failing = new Set<number>();
  const through = (store: Store): Store => ({
    ...store,
    logs: {
      ...store.logs,
      async read(log, after, limit) {
        if (limit !== STEP) return store.logs.read(log, after, limit); // the tail's
        history.push(after.offset);
        if (failing.delete(after.offset)) throw new StoreError('unavailable', 'the disk is gone');
        return store.logs.read(log, after, limit);
      },
    },
  });
  return { ...createReading({ through }), history, failing };
}

describe('a feed with a step of its own', () => {
  it('reads the next page before it sends one, and each page once', async () => {
    const { clock, append, open, history } = createWorld();
    await append(LOG, 35);
    const reader = await open(LOG, 0, {
      step: STEP,
      onMoved: (_sent, _from, to) => history.push(`sent ${to}`),
    });
    await clock.settle();
    expect(history).toEqual([0, 10, 'sent 10', 20, 'sent 20', 30, 'sent 30', 'sent 35']);
    expect(reader.offsets).toEqual(range(1, 35));
    await append(LOG, 1);
    await clock.settle();
    expect(reader.offsets).toEqual(range(1, 36));
  });

  it('reads no more than it needs where its owner says how much', async () => {
    const { clock, append, open, history } = createWorld();
    await append(LOG, 35);
    let room = 15;
    const reader = await open(LOG, 0, {
      step: STEP,
      room: () => room,
      onMoved: (sent) => {
        room -= sent.length;
      },
    });
    await clock.settle();
    expect([history, reader.offsets]).toEqual([[0, 10], range(1, 15)]);
  });

  it('L-5 lets go of what it has read where it has to wait, and reads it again', async () => {
    const { clock, append, open, history } = createWorld();
    await append(LOG, 25);
    const long = { ...createDialect('long'), text: () => 'x'.repeat(WATERMARK_BYTES) };
    const reader = await open(LOG, 0, { step: STEP, dialect: long });
    reader.peer.stall();
    await clock.settle();
    expect(history).toEqual([0, 10]);
    reader.peer.drain();
    await clock.settle();
    expect(history).toEqual([0, 10, 10, 20]);
  });

  it('takes no page that is not where it stands', async () => {
    const { clock, append, open, history } = createWorld();
    await append(LOG, 35);
    const reader = await open(LOG, 0, {
      step: STEP,
      replay: { until: 5, dialect: createDialect('old') },
    });
    await clock.settle();
    expect(history.slice(0, 3)).toEqual([0, 10, 5]);
    expect(reader.offsets).toEqual(range(1, 35));
  });

  it('fails of a page when it needs it, and goes on from where it stands', async () => {
    const { clock, append, open, failing, problems } = createWorld();
    await append(LOG, 35);
    failing.add(20);
    const reader = await open(LOG, 0, { step: STEP });
    await clock.settle();
    expect(reader.offsets).toEqual(range(1, 20));
    expect(problems).toEqual([expect.stringContaining('the disk is gone')]);
    await clock.advance(1_000);
    expect(reader.offsets).toEqual(range(1, 35));
    expect(problems).toHaveLength(1);
  });

  it('says nothing of a page that nobody needs any more', async () => {
    const { clock, append, open, failing, problems } = createWorld();
    await append(LOG, 35);
    failing.add(10);
    const reader = await open(LOG, 0, { step: STEP, onMoved: () => reader.feed.close() });
    await clock.settle();
    expect([reader.offsets, problems]).toEqual([range(1, 10), []]);
  });

  it('sends nothing when it is closed while it begins to read ahead', async () => {
    const world = createWorld();
    const { clock, append, open, history } = world;
    await append(LOG, 35);
    const reader = await open(LOG, 0, { step: STEP });
    for (let turns = 0; turns < 100 && !history.includes(10); turns++) await Promise.resolve();
    reader.feed.close();
    await clock.settle();
    expect([history, reader.offsets]).toEqual([[0, 10], []]);
  });
});
