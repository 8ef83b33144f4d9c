import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { interceptStore } from '../../test/intercept.ts';
import { range } from '../../test/pick.ts';
import {
  createPresenceWorld,
  listed,
  type PresenceServer,
  type Watcher,
  watchAs,
} from '../../test/presence.ts';
import type { Presence } from './seats.ts';

const CHANNELS = ['a', 'b', 'c'];
const STATUSES = ['busy', 'away', 'here'];
const SEEDS = 60;

interface Connection {
  readonly clientId: string;
  readonly server: PresenceServer;
  readonly presence: Presence;
  readonly watchers: Map<string, Watcher>;
}

/** Clients come and go in waves on servers that share a store, which takes its time; servers die without a word. */
async function play(seed: number, { clients, steps }: { clients: number; steps: number }): Promise<void> {
  const random = createSeededRandom(seed);
  const world = createPresenceWorld(seed);
  const { clock } = world;
  const slow = random.chance(0.7);
  const startServer = (): PresenceServer =>
    world.server({
      through: (store) =>
        interceptStore(store, async (call, go) => {
          const waits = slow && call.name === 'append' && random.chance(0.3);
          if (waits) await new Promise<void>((run) => clock.schedule(clock.now() + random.int(1, 40), run));
          return go();
        }),
    });
  const servers = [startServer(), startServer()];
  let connections: Connection[] = [];

  async function come(): Promise<void> {
    const server = random.pick(servers) ?? startServer();
    const clientId = `c${random.int(1, clients)}`;
    const presence = server.members.enter({ user: 'u', clientId, kind: 'connected' });
    const connection: Connection = { clientId, server, presence, watchers: new Map() };
    connections.push(connection);
    for (const channel of CHANNELS) if (random.chance(0.5)) await join(connection, channel);
  }

  async function join({ clientId, server, presence, watchers }: Connection, channel: string): Promise<void> {
    presence.join(channel);
    if (watchers.has(channel)) return;
    watchers.set(channel, await watchAs(world, server, { channel, clientId, batch: random.chance(0.5) }));
  }

  function go(connection: Connection): void {
    connection.presence.close();
    for (const watcher of connection.watchers.values()) watcher.close();
    connections = connections.filter((each) => each !== connection);
  }

  /** Any server answers any request of a poller; each of them ends by itself in the end. */
  function poll(): void {
    const { members } = random.pick(servers) ?? startServer();
    const poller = members.enter({ user: 'u', clientId: `p${random.int(1, 3)}`, kind: 'polling' });
    const channel = random.pick(CHANNELS) ?? 'a';
    const dice = random.next();
    if (dice < 0.6) poller.join(channel);
    else if (dice < 0.8) poller.leave(channel);
    else poller.close();
  }

  function kill(): void {
    const index = random.int(0, servers.length - 1);
    const dead = servers[index];
    dead?.kill();
    connections = connections.filter(({ server }) => server !== dead);
    servers[index] = startServer();
  }

  for (let step = 0; step < steps; step++) {
    const one = random.pick(connections);
    const dice = random.next();
    if (random.chance(0.2)) poll();
    if (dice < 0.4 || !one) await come();
    else if (dice < 0.6) for (const each of connections.filter(() => random.chance(0.1))) go(each);
    else if (dice < 0.7) await join(one, random.pick(CHANNELS) ?? 'a');
    else if (dice < 0.78) {
      const channel = random.pick([...one.watchers.keys()]);
      if (channel === undefined) continue;
      one.presence.leave(channel);
      one.watchers.get(channel)?.close();
      one.watchers.delete(channel);
    } else if (dice < 0.9) one.presence.beat({ status: random.pick(STATUSES) ?? 'busy' }).catch(() => {});
    else if (dice < 0.92) kill();
    else await clock.advance(random.int(0, 2_000));
  }

  for (let second = 0; second < 50; second++) {
    for (const { presence } of connections) presence.seen();
    await clock.advance(1_000);
  }
  for (const channel of CHANNELS) {
    const there = new Set(
      connections.filter((each) => each.watchers.has(channel)).map((each) => each.clientId),
    );
    for (const server of servers) {
      const names = await listed(world, server, channel);
      expect(names.map((name) => name.split(' ')[0])).toEqual([...there].sort());
      for (const { clientId, server: its, watchers } of connections) {
        if (its !== server) continue;
        // A client is not told of itself.
        const others = (all: readonly string[]): readonly string[] =>
          all.filter((name) => !name.startsWith(`${clientId} `));
        const known = watchers.get(channel)?.known();
        if (known) expect(others(known), `${clientId} on ${channel}`).toEqual(others(names));
      }
    }
  }
  for (const server of servers) expect(server.problems).toEqual([]);
}

describe('presence, whatever happens to its servers', () => {
  it(`P-21, P-25 is in the end for every client what it is: seeds 1 to ${SEEDS}`, async () => {
    for (const seed of range(1, SEEDS)) {
      try {
        await play(seed, { clients: 12, steps: 60 });
      } catch (cause) {
        throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
      }
    }
  }, 60_000);

  it('P-21, P-25 of 200 clients', async () => {
    await play(4_711, { clients: 200, steps: 600 });
  }, 60_000);
});
