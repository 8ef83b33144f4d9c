import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { type Channels, type ChannelsOptions, createChannels } from '../src/core/channels.ts';
import { createJournal, type Journal } from '../src/core/log.ts';
import type { Store } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { type CountedStore, countCalls } from './intercept.ts';

/** Channels on a memory store, without a door. */
export interface ChannelWorld {
  readonly clock: FakeClock;
  readonly counted: CountedStore;
  /** Past what stands between the channels and it. */
  readonly store: Store;
  readonly journal: Journal;
  readonly channels: Channels;
  /** The logs that somebody reads. */
  readonly watched: Set<string>;
  readonly problems: string[];
  publish(name: string, count: number, data?: unknown): Promise<void>;
}

export interface ChannelWorldOptions extends Pick<ChannelsOptions, 'base' | 'patterns' | 'hooks'> {
  readonly through?: (store: Store) => Store;
}

export function createChannelWorld({
  through = (store) => store,
  ...options
}: ChannelWorldOptions = {}): ChannelWorld {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const counted = countCalls(through(store));
  const watched = new Set<string>();
  const problems: string[] = [];
  const report = (problem: string, error: unknown): void =>
    void problems.push(`${problem}: ${String(error)}`);
  const journal = createJournal({
    ...counted.store,
    clock,
    report,
    retentionOf: (log) => channels.retentionOf(log.slice(log.indexOf(':') + 1)),
  });
  const channels: Channels = createChannels({
    ...counted.store,
    ...options,
    journal,
    clock,
    random: createSeededRandom(2),
    report,
    watchers: (log) => (watched.has(log) ? 1 : 0),
  });
  return {
    clock,
    counted,
    store,
    journal,
    channels,
    watched,
    problems,
    async publish(name, count, data = null) {
      for (let left = count; left > 0; left--) await channels.publish(name, { data, source: 'me/cli' });
      await clock.settle();
    },
  };
}
