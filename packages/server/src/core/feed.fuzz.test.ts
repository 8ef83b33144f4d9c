import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { interceptStore } from '../../test/intercept.ts';
import { createDialect, createReading, type Reader } from '../../test/reading.ts';
import { type Head, StoreError } from '../ports.ts';

const LOG = 'channel:a';
const SEEDS = 200;
const STEPS = 60;

/** What a reader must have been given: every entry after its position, in order, from each epoch it was told of. */
interface Expected {
  readonly reader: Reader;
  /** `epoch offset` in the order in which they came. */
  readonly got: readonly { epoch: string; offset: number }[];
  readonly start: { epoch: string; offset: number };
}

/** Appends, stalls, trims, losses, lost wakes, failing and slow reads, in an order that the seed makes. */
async function play(seed: number): Promise<{ head: Head; expected: readonly Expected[] }> {
  const random = createSeededRandom(seed);
  let failing = 0;
  let calm = false;
  const reading = createReading({
    logRingBytes: random.pick([3_000, 100_000]),
    through: (store) =>
      interceptStore(store, async (call, go) => {
        if (!calm && call.name === 'read') {
          if (failing > 0) {
            failing--;
            throw new StoreError('unavailable', 'the disk is gone');
          }
          if (random.chance(0.3)) {
            const until = reading.clock.now() + random.int(1, 40);
            await new Promise<void>((resolve) => reading.clock.schedule(until, resolve));
          }
        }
        return go();
      }),
  });
  const { clock, store } = reading;
  const expected: Expected[] = [];

  async function addReader(): Promise<void> {
    const head = await reading.head(LOG);
    const after = random.int(head.oldest - 1, head.offset);
    const got: { epoch: string; offset: number }[] = [];
    const reader = await reading.open(LOG, after, {
      dialect: createDialect(random.pick(['one', 'two'])),
      onMoved: (sent) => got.push(...sent.map(({ epoch, offset }) => ({ epoch, offset }))),
      ...(random.chance(0.5) && { step: { entries: random.int(1, 6), bytes: random.int(1, 2_000) } }),
      ...(random.chance(0.5) && {
        replay: { until: head.offset, dialect: createDialect('old') },
      }),
    });
    expected.push({ reader, got, start: { epoch: head.epoch, offset: after } });
  }

  await reading.append(LOG, random.int(0, 5));
  for (let step = 0; step < STEPS; step++) {
    const reader = random.pick(expected)?.reader;
    const dice = random.next();
    if (dice < 0.15) await addReader();
    else if (dice < 0.5) {
      const { offset } = await reading.head(LOG);
      await store.logs.append(LOG, [
        { id: `n${step}-${offset}`, type: 'test', data: 'x'.repeat(random.int(0, 300)) },
      ]);
      if (random.chance(0.7)) store.bus.wake(LOG, offset + 1);
    } else if (dice < 0.6) reader?.peer.stall();
    else if (dice < 0.7) reader?.peer.drain();
    else if (dice < 0.72) reader?.peer.send(new Uint8Array(600 * 1024));
    else if (dice < 0.78) {
      const { offset } = await reading.head(LOG);
      await store.logs.trim(LOG, random.int(1, offset + 1));
    } else if (dice < 0.8) await reading.lose(LOG);
    else if (dice < 0.85) failing += random.int(1, 3);
    else await clock.advance(random.int(0, 300));
  }
  calm = true;
  for (const { reader } of expected) reader.peer.drain();
  await clock.advance(3_000);
  await reading.append(LOG, 1);
  await clock.advance(3_000);
  return { head: await reading.head(LOG), expected };
}

/** Every entry once and in order; where one is missing, a reset has told of it. */
function check({ reader, got, start }: Expected, head: Head): void {
  let position = start;
  const resets = [...reader.resets];
  for (const entry of got) {
    while (entry.epoch !== position.epoch || entry.offset !== position.offset + 1) {
      const reset = resets.shift();
      if (!reset)
        throw new Error(
          `after ${JSON.stringify(position)} came ${JSON.stringify(entry)}, and no reset said why`,
        );
      expect(reset.from.offset).toBe(position.offset);
      position = reset.to;
    }
    position = entry;
  }
  for (const reset of resets) position = reset.to;
  expect(position).toEqual({ epoch: head.epoch, offset: head.offset });
}

describe('feeds under everything that can go wrong', () => {
  it(`L-4, L-5 deliver each entry once and in order, or tell of the loss: seeds 1 to ${SEEDS}`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        const { head, expected } = await play(seed);
        for (const each of expected) check(each, head);
      } catch (cause) {
        throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
      }
    }
  });
});
