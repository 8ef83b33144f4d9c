import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { type ChannelWorld, createChannelWorld } from '../test/channel-world.ts';
import { entryOf } from '../test/reading.ts';
import { createDeadLetters } from './core/dead-letters.ts';
import { createServerChannels, type ServerChannels } from './server-channels.ts';

interface World extends ChannelWorld {
  readonly server: ServerChannels;
  bury(owner: string, offset: number): Promise<void>;
}

function createWorld(enabled = true): World {
  const world = createChannelWorld({ hooks: { onPublish: () => false, onSubscribe: () => false } });
  const { clock, counted, journal, channels } = world;
  const deadLetters = createDeadLetters({
    logs: counted.store.logs,
    journal,
    clock,
    random: createSeededRandom(3),
    report: (problem) => void world.problems.push(problem),
    reopen: async () => true,
  });
  return {
    ...world,
    server: createServerChannels({ channels, deadLetters, enabled }),
    bury: (owner, offset) =>
      deadLetters.bury({
        channel: 'news',
        entry: entryOf(offset),
        owner,
        clientId: 'device',
        consumerKey: `consumer/${owner}/device/news`,
        attempts: 4,
        reason: 'retries',
        handedAt: 1_000,
      }),
  };
}

describe('the channels of the host program', () => {
  it('P-2 publish past the hooks, once for each event id', async () => {
    const { server } = createWorld();
    expect(await server.publish('news', { text: 'one' }, { eventId: 'e1' })).toEqual({
      eventId: 'e1',
      sequence: 1,
    });
    expect(await server.publish('news', 'again', { eventId: 'e1' })).toEqual({ eventId: 'e1', sequence: 1 });
    expect(await server.publish('news', null)).toMatchObject({ sequence: 2 });
  });

  it('publish in no name, or in one of the program', async () => {
    const { server } = createWorld();
    await server.publish('news', 1);
    await server.publish('news', 2, { source: 'billing/eu' });
    const { messages } = await server.history('news');
    expect(messages.map(({ source }) => source)).toEqual([null, 'billing/eu']);
  });

  it('have a history, page by page', async () => {
    const { server, publish } = createWorld();
    await publish('news', 5);
    const page = await server.history('news', { since: 2, limit: 2 });
    expect(page.messages.map(({ sequence }) => sequence)).toEqual([3, 4]);
    expect(page).toMatchObject({ cursor: 4, more: true, recovered: true });
  });

  it('have the dead letters of all owners, and redrive them', async () => {
    const { server, bury } = createWorld();
    await bury('ann', 1);
    await bury('bob', 2);
    const listed = async (): Promise<number[]> =>
      (await server.deadLetters('news')).messages.map(({ sequence }) => sequence);
    expect(await listed()).toEqual([1, 2]);
    expect(await server.redrive('news', { eventIds: ['e2'] })).toBe(1);
    expect(await listed()).toEqual([1]);
    expect(await server.redrive('news')).toBe(1);
    expect(await listed()).toEqual([]);
  });

  it('are listed by name', async () => {
    const { server } = createWorld();
    for (const name of ['b', 'a', 'c']) await server.publish(name, 1);
    expect(await server.list()).toEqual({ names: ['a', 'b', 'c'], more: false });
    expect(await server.list({ after: 'a', limit: 1 })).toEqual({ names: ['b'], more: true });
  });

  const asks: readonly [string, (server: ServerChannels) => Promise<unknown>][] = [
    ['publish', (server) => server.publish('news', 1)],
    ['history', (server) => server.history('news')],
    ['deadLetters', (server) => server.deadLetters('news')],
    ['redrive', (server) => server.redrive('news')],
    ['list', (server) => server.list()],
  ];
  it.each(asks)('P-1 are told that push is off: %s', async (_what, ask) => {
    await expect(ask(createWorld(false).server)).rejects.toMatchObject({ code: 'push_disabled' });
  });

  it.each<[string, (server: ServerChannels) => Promise<unknown>, string]>([
    ['name', (server) => server.publish('a b', 1), 'The channel is "a b": it must be 1 to 255'],
    ['name', (server) => server.redrive(''), 'The channel is "": it must be 1 to 255'],
    ['data', (server) => server.publish('news', undefined), 'The data must be JSON: use null for none.'],
    [
      'since',
      (server) => server.history('news', { since: -1 }),
      '"since" is -1: it must be a whole number, 0 or more.',
    ],
    [
      'limit',
      (server) => server.deadLetters('news', { limit: 0.5 }),
      '"limit" is 0.5: it must be a whole number, 1 or more.',
    ],
    ['limit', (server) => server.list({ limit: 0 }), '"limit" is 0: it must be a whole number, 1 or more.'],
  ])('say what is wrong with what they are given: %s', async (_what, ask, sentence) => {
    await expect(ask(createWorld().server)).rejects.toThrow(sentence);
  });
});
