import { RunAccepted } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { nth, only, range } from '../../test/pick.ts';
import { createPuppet, type PuppetRun } from '../../test/puppet.ts';
import type { TestStream } from '../../test/stream.ts';
import type { Store } from '../ports.ts';

/** Many who watch one run: what is new is read from the store once, not once for each of them. */

const VIEWERS = 500;
const LOG = /^run:/;

interface Reads {
  readonly store: Store;
  /** How often each entry of a run was read since the last `reset`, by its offset. */
  readonly ofOffset: ReadonlyMap<number, number>;
  reset(): void;
}

function countReads(store: Store): Reads {
  const { logs } = store;
  const ofOffset = new Map<number, number>();
  return {
    ofOffset,
    reset: () => ofOffset.clear(),
    store: {
      ...store,
      logs: {
        append: (log, drafts, options) => logs.append(log, drafts, options),
        async read(log, after, limit) {
          const page = await logs.read(log, after, limit);
          if (LOG.test(log) && page.kind === 'page') {
            for (const { offset } of page.entries) ofOffset.set(offset, (ofOffset.get(offset) ?? 0) + 1);
          }
          return page;
        },
        heads: (names) => logs.heads(names),
        find: (log, id) => logs.find(log, id),
        trim: (log, before) => logs.trim(log, before),
        keep: (log, until) => logs.keep(log, until),
      },
    },
  };
}

interface Watched {
  readonly world: TestGateway;
  readonly reads: Reads;
  readonly run: PuppetRun;
  readonly runId: string;
  /** So many more who resume the run after an index, all at once. */
  enter(count: number, after: number): Promise<readonly TestStream[]>;
}

async function begin(): Promise<Watched> {
  const puppet = createPuppet('puppet');
  let reads: Reads | null = null;
  const world = openGateway({
    agents: [puppet.component],
    through(store) {
      reads = countReads(store);
      return reads.store;
    },
  });
  if (!reads) throw new Error('nothing stands between the gateway and its store');
  const { body } = await world.post('/agents/puppet/runs', {
    message: 'hi',
    stream: false,
    background: true,
  });
  const { run_id: runId } = RunAccepted.parse(body);
  await world.clock.settle();
  return {
    world,
    reads,
    run: only(puppet.runs),
    runId,
    enter(count, after) {
      const form = { last_event_index: String(after) };
      const path = `/agents/puppet/runs/${runId}/resume`;
      return Promise.all(range(1, count).map(() => world.ask('POST', path, { form }).stream()));
    },
  };
}

/** Says `from` to `to`, each a delta of its own, some of them within one tick. */
async function say({ run, world }: Watched, from: number, to: number): Promise<void> {
  for (const number of range(from, to)) {
    run.say({ type: 'text.delta', text: `${number} ` });
    if (number % 3 === 0) await world.clock.settle();
  }
  await world.clock.settle();
}

/** The indexes that a stream brought: the same list for all of them, else it fails. */
function indexesOf(viewers: readonly TestStream[]): readonly number[] {
  const first = nth(viewers, 0);
  const texts = new Set(viewers.map(({ events }) => JSON.stringify(events)));
  expect(texts.size, 'different things that viewers saw').toBe(1);
  expect(viewers.filter(({ ended, problem }) => !ended || problem !== null)).toEqual([]);
  return first.events.map(({ event_index }) => event_index);
}

/** A run of 63 events under so many viewers from its first event on: how often each entry was read for all of it. */
async function readsUnder(count: number): Promise<readonly number[]> {
  const watched = await begin();
  const { reads, run, world } = watched;
  const viewers = await watched.enter(count, 0);
  reads.reset();
  await say(watched, 1, 60);
  run.finish();
  await world.clock.settle();
  expect(indexesOf(viewers)).toEqual(range(1, 62));
  return range(1, 63).map((offset) => reads.ofOffset.get(offset) ?? 0);
}

describe('500 viewers of one run', () => {
  it('L-1 are told every event, and each entry is read from the store once for all of them', async () => {
    const reads = await readsUnder(VIEWERS);
    // The first was there before them. The end is read once more by the worker, who tells the session of it.
    expect(reads).toEqual([0, ...Array(61).fill(1), 2]);
    expect(reads).toEqual(await readsUnder(1));
  });

  it('R-6 who come back in mid-run, all at once, are given what they missed without another read of it', async () => {
    const watched = await begin();
    const { reads, run, world } = watched;
    const [stayed] = await watched.enter(1, -1);
    await say(watched, 1, 30);
    reads.reset();
    const viewers = await watched.enter(VIEWERS, 10);
    await say(watched, 31, 60);
    run.finish();
    await world.clock.settle();
    expect(indexesOf(viewers)).toEqual(range(11, 62));
    expect(stayed?.events.map(({ event_index }) => event_index)).toEqual(range(0, 62));
    const missed = range(12, 30).map((offset) => reads.ofOffset.get(offset) ?? 0);
    expect(missed, 'reads of what they missed').toEqual(Array(19).fill(0));
    // The 31st was the last when they came, and says of what status the run is.
    const later = range(32, 63).map((offset) => reads.ofOffset.get(offset) ?? 0);
    expect(later).toEqual([...Array(31).fill(1), 2]);
  });
});
