import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { expect, onTestFinished } from 'vitest';
import { createFeeds } from '../src/core/feed.ts';
import { createJournal, type Journal } from '../src/core/log.ts';
import { createMembers, type Members, type PresenceTerms } from '../src/core/members.ts';
import { parseLog } from '../src/core/names.ts';
import type { Presence } from '../src/core/seats.ts';
import { createTails } from '../src/core/tail.ts';
import { presenceDialects, sourceOf } from '../src/doors/dialects.ts';
import type { Store } from '../src/ports.ts';
import { createMemoryStore } from '../src/stores/memory.ts';
import { createLife } from './life.ts';
import { createScriptedPeer, type ScriptedPeer } from './peer.ts';

export interface PresenceServer {
  readonly members: Members;
  readonly journal: Journal;
  readonly problems: string[];
  /** It dies: no timer fires, no call is answered. */
  kill(): void;
  close(): Promise<void>;
}

export interface PresenceWorld {
  readonly clock: FakeClock;
  readonly store: Store;
  server(options?: { terms?: Partial<PresenceTerms>; through?: (store: Store) => Store }): PresenceServer;
}

export const ALL = { mayRead: () => true };

/** Servers of presence on one store, under a clock that stands still. */
export function createPresenceWorld(seed = 1): PresenceWorld {
  const clock = createFakeClock();
  const random = createSeededRandom(seed);
  const store = createMemoryStore({ clock, random: random.fork() });
  return {
    clock,
    store,
    server({ terms, through = (each: Store) => each } = {}) {
      const life = createLife(clock, through(store));
      const problems: string[] = [];
      const report = (problem: string): void => void problems.push(problem);
      const { logs, records, bus } = life.store;
      const journal = createJournal({
        logs,
        bus,
        clock: life.clock,
        report,
        retentionOf(log) {
          const { kind } = parseLog(log);
          if (kind !== 'lobby' && kind !== 'presence') throw new Error(`${log} is not presence`);
          return members.retention[kind];
        },
      });
      const tails = createTails({ logs, bus, clock: life.clock, report });
      const feeds = createFeeds({ tails, logs, clock: life.clock, report });
      const members = createMembers({
        logs,
        records,
        journal,
        feeds,
        clock: life.clock,
        random: random.fork(),
        report,
        terms,
        sourceOf,
      });
      return {
        members,
        journal,
        problems,
        kill: life.end,
        async close() {
          await members.close();
          tails.close();
        },
      };
    },
  };
}

/** Lets time go on until a promise is settled, at most a minute. */
async function inTime<T>({ clock }: PresenceWorld, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  promise.then(over, over);
  await clock.settle();
  const until = clock.now() + 60_000;
  while (!isOver && clock.now() < until) await clock.step(until);
  if (!isOver) throw new Error('nothing came of it in a minute');
  return promise;
}

/** What a client of presence knows: the list it got, and every change after it. */
export interface Watcher {
  readonly peer: ScriptedPeer;
  /** Names with their status, in order. */
  known(): readonly string[];
  /** The frames since the last call. */
  take(): readonly { readonly type: string; readonly [key: string]: unknown }[];
  close(): void;
}

interface Change {
  readonly type: string;
  readonly data: { readonly client_id: string; readonly status: string };
}

/** Subscribes as door 2 does: watches, then asks for the list. */
export async function watchAs(
  world: PresenceWorld,
  { members }: PresenceServer,
  { channel, clientId, batch = true }: { channel: string; clientId: string; batch?: boolean },
): Promise<Watcher> {
  const known = new Map<string, string>();
  let taken: { type: string }[] = [];
  async function list(): Promise<void> {
    const listed = await members.list(channel, ALL);
    known.clear();
    for (const { client_id, status } of listed.members) known.set(client_id, status);
  }
  function apply({ type, data }: Change): void {
    if (type === 'presence_leave') known.delete(data.client_id);
    else known.set(data.client_id, data.status);
  }
  const peer = createScriptedPeer(world.clock, {
    id: clientId,
    onText(text) {
      const frame = JSON.parse(text);
      taken.push(frame);
      for (const change of frame.type === 'presence_batch' ? frame.changes : [frame]) apply(change);
    },
  });
  const dialects = presenceDialects(peer.wire);
  const watching = members.watch(channel, {
    peer,
    dialect: batch ? dialects.batch : dialects.single,
    withoutSource: sourceOf('u', clientId),
    onReset: list,
  });
  const feed = await inTime(world, watching);
  await inTime(world, list());
  return {
    peer,
    known: () => [...known].map(([name, status]) => `${name} ${status}`).sort(),
    take() {
      const frames = taken;
      taken = [];
      return frames;
    },
    close: () => feed?.close(),
  };
}

/** Names with their status, in order, as a server lists them now. */
export async function listed(
  world: PresenceWorld,
  { members }: PresenceServer,
  channel: string | null,
): Promise<readonly string[]> {
  const { members: there, total } = await inTime(world, members.list(channel, ALL));
  expect(total).toBe(there.length);
  return there.map(({ client_id, status }) => `${client_id} ${status}`).sort();
}

/** Fails at the test's end when a server reported something. */
export function expectQuiet(...servers: readonly PresenceServer[]): void {
  onTestFinished(() => expect(servers.flatMap(({ problems }) => problems)).toEqual([]));
}

export function openTwo(): { world: PresenceWorld; here: PresenceServer; there: PresenceServer } {
  const world = createPresenceWorld();
  const [here, there] = [world.server(), world.server()];
  expectQuiet(here, there);
  return { world, here, there };
}

export function enter(server: PresenceServer, clientId: string, ...channels: readonly string[]): Presence {
  const presence = server.members.enter({ user: 'u', clientId, kind: 'connected' });
  for (const channel of channels) presence.join(channel);
  return presence;
}

export async function lobbySize({ store }: PresenceWorld): Promise<number> {
  return (await store.logs.heads(['presence']))[0]?.offset ?? 0;
}
