import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { type CountedStore, countCalls } from '../../test/intercept.ts';
import { range } from '../../test/pick.ts';
import type { PollIdentity } from '../auth/poll-token.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { createPollers, type Pollers } from './pollers.ts';

const HOUR = 3_600_000;
const NEWS = { channel: 'news', delivery: true, echo: false, presence: true };

interface World {
  readonly clock: FakeClock;
  readonly counted: CountedStore;
  readonly pollers: Pollers;
  register(clientId?: string): Promise<PollIdentity>;
}

function createWorld(): World {
  const clock = createFakeClock();
  const counted = countCalls(createMemoryStore({ clock, random: createSeededRandom(1) }));
  const { records } = counted.store;
  const pollers = createPollers({ records, clock, random: createSeededRandom(2) });
  const patterns = { agents: ['*'], channels: ['*'] };
  const principal = { subject: 'ann', user: 'ann', scopes: new Set<never>(), patterns };
  return {
    clock,
    counted,
    pollers,
    register: async (clientId = 'tablet') => ({
      principal,
      clientId,
      registration: await pollers.register('ann', clientId),
      reader: clientId,
    }),
  };
}

describe('a poller', () => {
  it('P-12 has one registration, however often it registers, until it deregisters', async () => {
    const { pollers, register } = createWorld();
    const first = await register();
    await pollers.subscribe(first, NEWS);
    expect(await register()).toEqual(first);
    expect(await pollers.subscriptions(first)).toEqual([NEWS]);
    await pollers.deregister(first);
    const second = await register();
    expect(await pollers.subscriptions(second)).toEqual([]);
    for (const asked of [
      pollers.subscriptions(first),
      pollers.subscribe(first, NEWS),
      pollers.unsubscribe(first, 'news'),
      pollers.deregister(first),
    ])
      await expect(asked).rejects.toMatchObject({ code: 'unauthorized' });
    expect(await pollers.subscriptions(second)).toEqual([]);
  });

  it('P-12 has one registration also when it registers at two servers at once', async () => {
    const { register } = createWorld();
    const all = await Promise.all(range(1, 5).map(() => register()));
    expect(new Set(all.map(({ registration }) => registration)).size).toBe(1);
  });

  it('keeps every channel that it subscribes to at once', async () => {
    const { pollers, register } = createWorld();
    const identity = await register();
    const channels = range(1, 8).map((number) => `c${number}`);
    await Promise.all(channels.map((channel) => pollers.subscribe(identity, { ...NEWS, channel })));
    const stored = await pollers.subscriptions(identity);
    expect(stored.map(({ channel }) => channel).toSorted()).toEqual(channels);
    await pollers.subscribe(identity, { ...NEWS, channel: 'c3', echo: true });
    expect(await pollers.subscriptions(identity)).toHaveLength(8);
    expect(await Promise.all(['c3', 'c4', 'c3'].map((each) => pollers.unsubscribe(identity, each)))).toEqual([
      true,
      true,
      false,
    ]);
    expect(await pollers.subscriptions(identity)).toHaveLength(6);
  });

  it('P-42 has 1,000 channels and no more', async () => {
    const { pollers, register } = createWorld();
    const identity = await register();
    for (const number of range(1, 1_000))
      await pollers.subscribe(identity, { ...NEWS, channel: `c${number}` });
    await pollers.subscribe(identity, { ...NEWS, channel: 'c7', echo: true }); // it has that one
    const more = pollers.subscribe(identity, NEWS);
    await expect(more).rejects.toMatchObject({ code: 'too_large' });
  });

  it('P-12 is kept for 24 h after its last request, and forgotten an hour later at the latest', async () => {
    const { clock, pollers, register } = createWorld();
    const identity = await register();
    for (const ms of [0.9 * HOUR, 24 * HOUR, 24 * HOUR]) {
      await clock.advance(ms);
      expect(await pollers.subscriptions(identity)).toEqual([]);
    }
    await clock.advance(25 * HOUR);
    await expect(pollers.subscriptions(identity)).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('is stored once an hour at most, though it asks all the time', async () => {
    const { clock, counted, pollers, register } = createWorld();
    const identity = await register();
    counted.reset();
    for (let minutes = 0; minutes < 180; minutes++) {
      await pollers.subscriptions(identity);
      await clock.advance(60_000);
    }
    expect(counted.calls('put')).toHaveLength(2);
  });
});
