import type { Entry } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import type { Attachment } from '../src/core/attachment.ts';
import {
  type AttachOptions,
  type Consumers,
  type ConsumersOptions,
  createConsumers,
} from '../src/core/consumers.ts';
import type { Head, Store } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { range } from './pick.ts';
import { entryOf } from './reading.ts';

/** Consumers of two servers on one store, under a fake clock. */

export const LOG = 'channel:a';
export const KEY = 'consumer/me/device/a';
export const MAX = 10;

export interface World {
  readonly clock: FakeClock;
  readonly store: Store;
  readonly consumers: Consumers;
  /** Another server on the same store. */
  readonly elsewhere: Consumers;
  publish(count: number): Promise<Head>;
  attach(more?: Partial<AttachOptions>, consumers?: Consumers): Promise<Attachment>;
  /** Lets what was asked happen, and gives its answer. */
  settled<T>(asked: Promise<T>): Promise<T>;
}

export function createWorld(
  through: (store: Store) => Store = (store) => store,
  more: Partial<ConsumersOptions> = {},
): World {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const seen = through(store);
  const report = (problem: string, error: unknown): void => {
    throw new Error(problem, { cause: error });
  };
  const create = (seed: number): Consumers =>
    createConsumers({ ...seen, clock, random: createSeededRandom(seed), report, maxInFlight: MAX, ...more });
  const consumers = create(2);

  async function publish(count: number): Promise<Head> {
    const { head } = await store.logs.append(LOG, []);
    const drafts = range(head.offset + 1, head.offset + count).map((offset) => ({
      id: `e${offset}`,
      type: 'message',
      data: null,
    }));
    return (await store.logs.append(LOG, drafts)).head;
  }

  return {
    clock,
    store,
    consumers,
    elsewhere: create(3),
    publish,
    attach: async (more = {}, by = consumers) =>
      by.attach({ key: KEY, log: LOG, head: await publish(0), ...more }),
    async settled(asked) {
      asked.catch(() => {}); // whoever asked is told
      await clock.settle();
      return asked;
    },
  };
}

/** Hands out entries as a feed would. */
export function deliver(attachment: Attachment, from: number, to: number): void {
  const sent: Entry[] = range(from, to).map((offset) => entryOf(offset));
  attachment.onMoved(sent, from - 1, to);
}

export function pendingOf(attachment: Attachment): number[] {
  return range(attachment.after.offset + 1, attachment.until).filter(
    (offset) => !attachment.skip(entryOf(offset)),
  );
}
