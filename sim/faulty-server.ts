import type { Component } from '@continuo/protocol';
import { createGateway, type Gateway, type Store } from '@continuo/server';
import type { Bus, Clock, Logs, Records } from '@continuo/server/ports';
import type { FakeClock, SeededRandom } from '@continuo/testing';
import { type Counters, Violation } from './counters.ts';

/** How the world treats one server's store and bus. */
export interface ServerFaults {
  /** Milliseconds, from the first to the second, that a request or an answer of the store takes. */
  readonly storeMs: readonly [number, number];
  /** Chances of one wake. */
  readonly lostWake: number;
  readonly doubledWake: number;
  readonly lateWake: number;
}

interface Lease {
  readonly holder: string | null;
  readonly token: number;
  readonly expiresAt: number;
}

export interface ServerWorld {
  readonly clock: FakeClock;
  readonly random: SeededRandom;
  readonly store: Store;
  readonly components: readonly Component[];
  readonly counters: Counters;
  /** How long it lets runs go on when it closes. */
  readonly drainMs: number;
  readonly retention: { readonly session: { maxEntries: number }; readonly channel: { maxEntries: number } };
  faults(): ServerFaults;
  /** Every server of the world, for the wakes between them. */
  servers(): readonly FaultyServer[];
  /** Called with a promise that the product broke where the world alone can see it. */
  violated(violation: Violation): void;
}

/** A server that can be killed, frozen and thawed: the shipped gateway, over a store and a clock that go through a gate. */
export interface FaultyServer {
  readonly gateway: Gateway;
  readonly alive: boolean;
  readonly draining: boolean;
  readonly frozen: boolean;
  /** Runs what comes from outside: now, at the thaw, or never. */
  enter(run: () => void): void;
  kill(): void;
  /** Closes in good order: resolves when it is gone. */
  drain(): Promise<void>;
  freeze(): void;
  thaw(): void;
  wakeFromOther(log: string, offset: number): void;
}

export function createFaultyServer(world: ServerWorld): FaultyServer {
  const { clock, random: worldRandom, store, counters } = world;
  const random = worldRandom.fork();
  let alive = true;
  let frozen = false;
  let draining = false;
  let queue: (() => void)[] = [];

  function enter(run: () => void): void {
    if (!alive) return;
    if (frozen) queue.push(run);
    else run();
  }

  const gated: Clock = {
    now: clock.now,
    schedule(at, run) {
      let stopped = false;
      const stop = clock.schedule(at, () =>
        enter(() => {
          if (!stopped) run();
        }),
      );
      return () => {
        stopped = true;
        stop();
      };
    },
    soon: (run) => clock.soon(() => enter(run)),
  };

  let lastApply = 0;
  let lastAnswer = 0;
  /** A request reaches the store some time later, in order; what was not applied when the server dies never is. */
  function ask<T>(request: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const [low, high] = world.faults().storeMs;
      const delay = (): number => (high === 0 ? 0 : low + random.next() * (high - low));
      lastApply = Math.max(lastApply, clock.now() + delay());
      const apply = (): void => {
        if (!alive) return;
        request().then(
          (answer) => later(() => resolve(answer)),
          (error) => later(() => reject(error)),
        );
      };
      const later = (answer: () => void): void => {
        lastAnswer = Math.max(lastAnswer, clock.now() + delay());
        clock.schedule(lastAnswer, () => enter(answer));
      };
      clock.schedule(lastApply, apply);
    });
  }

  const logs: Logs = {
    append: (...args) => ask(() => store.logs.append(...args)),
    read: (...args) => ask(() => store.logs.read(...args)),
    heads: (...args) => ask(() => store.logs.heads(...args)),
    find: (...args) => ask(() => store.logs.find(...args)),
    trim(log, before) {
      counters.trims++;
      return ask(() => store.logs.trim(log, before));
    },
    keep: (...args) => ask(() => store.logs.keep(...args)),
  };
  const records: Records = {
    get: (...args) => ask(() => store.records.get(...args)),
    put(key, value, options) {
      if (!key.startsWith('lease/')) return ask(() => store.records.put(key, value, options));
      const lease = value as Lease;
      judgeRenewal(key, lease);
      return ask(async () => {
        const version = await store.records.put(key, value, options);
        if (version !== null) known.set(key, lease);
        return version;
      });
    },
    remove: (...args) => ask(() => store.records.remove(...args)),
    list: (...args) => ask(() => store.records.list(...args)),
  };

  /** A lapsed lease is never renewed: judged when the server decides, by the clock it sees. */
  const known = new Map<string, Lease>();
  function judgeRenewal(key: string, lease: Lease): void {
    const before = known.get(key);
    if (lease.holder === null || before?.token !== lease.token || clock.now() < before.expiresAt) return;
    world.violated(
      new Violation(`L-8: ${key} was renewed ${clock.now() - before.expiresAt} ms after it had lapsed`),
    );
  }

  const watchers = new Map<string, Set<(offset?: number) => void>>();
  const bus: Bus = {
    wake(log, offset) {
      for (const server of world.servers()) {
        const { lostWake, doubledWake, lateWake } = world.faults();
        if (random.chance(lostWake)) {
          counters['lost wakes']++;
          continue;
        }
        const late = random.chance(lateWake);
        if (late) counters['late wakes']++;
        const at = clock.now() + (late ? random.int(10, 400) : 0);
        clock.schedule(at, () => server.wakeFromOther(log, offset));
        if (random.chance(doubledWake)) {
          counters['doubled wakes']++;
          clock.schedule(at + random.int(0, 50), () => server.wakeFromOther(log, offset));
        }
      }
    },
    watch(log, onWake) {
      const mine = watchers.get(log) ?? new Set();
      watchers.set(log, mine.add(onWake));
      return () => void mine.delete(onWake);
    },
  };

  const gateway = createGateway({
    agents: world.components,
    store: { name: 'memory', logs, records, bus, close: async () => {} },
    push: true,
    clock: gated,
    random,
    retention: world.retention,
    drainMs: world.drainMs,
    report(problem, error) {
      if (alive)
        world.violated(
          new Violation(`a server reported: ${problem}: ${error instanceof Error ? error.stack : error}`),
        );
    },
  });

  return {
    gateway,
    get alive() {
      return alive;
    },
    get draining() {
      return draining;
    },
    get frozen() {
      return frozen;
    },
    enter,
    kill() {
      alive = false;
      queue = [];
    },
    async drain() {
      draining = true;
      await gateway.close();
      alive = false;
    },
    freeze() {
      frozen = true;
    },
    thaw() {
      frozen = false;
      const held = queue;
      queue = [];
      for (const run of held) enter(run);
    },
    wakeFromOther(log, offset) {
      enter(() => {
        for (const onWake of watchers.get(log) ?? []) onWake(offset);
      });
    },
  };
}
