import { createSeededRandom } from '@continuo/testing';
import { expect, it } from 'vitest';
import { type ChannelWorldOptions, createChannelWorld } from '../../test/channel-world.ts';
import { entryOf } from '../../test/reading.ts';
import { createConsumers } from './consumers.ts';
import { createDeadLetters, type DeadLetters } from './dead-letters.ts';
import { keyOf, logOf, parseConsumer } from './names.ts';

const ALL = { all: true } as const;
const HOUR_MS = 3_600_000;

/** A consumer that never acks, its channel of three messages, and what becomes of them. */
async function createWorld(options: ChannelWorldOptions = {}): Promise<{
  readonly dead: DeadLetters;
  /** How many of Ann's dead letters are delivered again. */
  redrive(eventIds?: readonly string[]): Promise<number>;
  /** `<event id> <attempt>` of every redelivery. */
  readonly redelivered: string[];
  advance(ms: number): Promise<void>;
  trim(before: number): Promise<void>;
  listed(): Promise<string[]>;
}> {
  const { clock, counted, store, journal, channels } = createChannelWorld(options);
  const report = (problem: string, error: unknown): void => {
    throw new Error(problem, { cause: error });
  };
  const { logs, records } = counted.store;
  const redelivered: string[] = [];
  const dead: DeadLetters = createDeadLetters({
    logs,
    journal,
    clock,
    random: createSeededRandom(3),
    report,
    reopen: (...asked) => consumers.reopen(...asked),
  });
  const consumers = createConsumers({
    logs,
    records,
    clock,
    random: createSeededRandom(4),
    report,
    bury: ({ key, at, ...death }) =>
      dead.bury({ ...death, ...parseConsumer(key), consumerKey: key, handedAt: at }),
  });
  const log = logOf.channel('news');
  const head = await channels.open('news');
  const attachment = await consumers.attach({
    key: keyOf.consumer('ann', 'device', 'news'),
    log,
    head,
    redeliver(entry, attempt) {
      redelivered.push(`${entry.id} ${attempt}`);
      return true;
    },
  });
  const sent = [1, 2, 3].map((offset) => entryOf(offset, { log, epoch: head.epoch, at: clock.now() }));
  for (const { id } of sent) await channels.publish('news', { data: id, eventId: id });
  attachment.onMoved(sent, 0, 3);
  await clock.settle();
  return {
    dead,
    async redrive(eventIds) {
      const asked = dead.redrive('news', eventIds, { owner: 'ann' });
      await clock.settle();
      return asked;
    },
    redelivered,
    advance: clock.advance,
    trim: (before) => store.logs.trim(log, before),
    async listed() {
      return (await dead.list('news', {}, ALL)).messages.map(({ event_id }) => event_id);
    },
  };
}

it('a message that is never acked is listed as dead, delivered again when redriven, and dies again', async () => {
  const { dead, redrive, redelivered, advance, listed } = await createWorld();
  await advance(HOUR_MS);
  expect(redelivered).toHaveLength(9);
  expect((await listed()).toSorted()).toEqual(['e1', 'e2', 'e3']);
  const [letter] = (await dead.list('news', {}, { owner: 'ann' })).messages;
  expect(letter).toMatchObject({ client_id: 'device', attempts: 4, reason: 'retries', source: null });
  redelivered.length = 0;
  expect(await redrive(['e2'])).toBe(1);
  await advance(0);
  expect(redelivered).toHaveLength(1);
  expect(redelivered[0]).toMatch(/^e2 /);
  expect((await listed()).toSorted()).toEqual(['e1', 'e3']);
  await advance(HOUR_MS);
  expect((await listed()).toSorted()).toEqual(['e1', 'e2', 'e3']);
});

it('a dead letter whose channel has forgotten the message stays where it is', async () => {
  const { redrive, redelivered, advance, trim, listed } = await createWorld();
  await advance(HOUR_MS);
  await trim(3);
  redelivered.length = 0;
  expect(await redrive()).toBe(1);
  await advance(0);
  expect(redelivered).toEqual([expect.stringMatching(/^e3 /)]);
  expect((await listed()).toSorted()).toEqual(['e1', 'e2']);
});
