import { describe, expect, it } from 'vitest';
import { countCalls, interceptStore } from '../../test/intercept.ts';
import { range } from '../../test/pick.ts';
import {
  ALL,
  enter,
  lobbySize,
  openTwo,
  createPresenceWorld,
  listed,
  type PresenceServer,
  type PresenceWorld,
  watchAs,
} from '../../test/presence.ts';
import { type Store, StoreError } from '../ports.ts';

describe('servers that come and go', () => {
  it('P-25 the clients of one that died are gone within 16 s, with a word to every channel', async () => {
    const { world, here, there } = openTwo();
    const watcher = await watchAs(world, there, { channel: 'a', clientId: 'w' });
    enter(here, 'ann', 'a');
    enter(here, 'bob', 'a');
    enter(there, 'bob', 'a');
    enter(there, 'w', 'a');
    await world.clock.settle();
    here.kill();
    await world.clock.advance(16_000);
    expect(watcher.known().filter((name) => !name.startsWith('w'))).toEqual(['bob online']);
    expect(await listed(world, there, 'a')).toEqual(['bob online', 'w online']);
    expect(await listed(world, world.server(), 'a')).toEqual(['bob online', 'w online']);
  });

  it('P-25 of one that died while nobody looked are not in the first list', async () => {
    const { world, here, there } = openTwo();
    enter(here, 'ann', 'a');
    await world.clock.settle();
    here.kill();
    await world.clock.advance(16_000);
    expect(await listed(world, there, 'a')).toEqual([]);
  });

  it('P-25 are taken out by several that notice, once', async () => {
    const { world, here, there } = openTwo();
    const third = world.server();
    const watcher = await watchAs(world, third, { channel: 'a', clientId: 'w' });
    enter(there, 'eve', 'a');
    enter(here, 'ann', 'a');
    await world.clock.settle();
    const size = await lobbySize(world);
    here.kill();
    await world.clock.advance(60_000);
    expect(await lobbySize(world)).toBe(size + 1);
    const changes = watcher.take().flatMap(({ changes: each }) => each);
    expect(changes).toMatchObject([
      { type: 'presence_join' },
      { type: 'presence_join' },
      { type: 'presence_leave', data: { client_id: 'ann' } },
    ]);
  });

  it('P-25 what one had stored and not told when it died is told by another', async () => {
    const world = createPresenceWorld();
    const there = world.server();
    let dead: PresenceServer | null = null;
    const dying = world.server({
      through: (store) =>
        interceptStore(store, (call, go) => {
          if (call.name === 'append' && call.key === 'presence:a' && dead) return new Promise(() => {});
          return go();
        }),
    });
    const watcher = await watchAs(world, there, { channel: 'a', clientId: 'w' });
    const ann = enter(dying, 'ann', 'a');
    await world.clock.settle();
    expect(watcher.known()).toEqual(['ann online']);
    dead = dying;
    ann.close();
    await world.clock.settle();
    dying.kill();
    expect(await listed(world, there, 'a')).toEqual([]);
    expect(watcher.known()).toEqual(['ann online']);
    await world.clock.advance(16_000);
    expect(watcher.known()).toEqual([]);
  });

  it('P-25 one whose record lapsed while it lived brings its clients back', async () => {
    const world = createPresenceWorld();
    let isMute = false;
    const here = world.server({
      through: (store) =>
        interceptStore(store, (call, go) => {
          if (isMute && call.name === 'put') throw new StoreError('unavailable', 'no answer');
          return go();
        }),
    });
    const there = world.server();
    enter(here, 'ann', 'a');
    enter(there, 'bob', 'a');
    await world.clock.settle();
    isMute = true;
    await world.clock.advance(20_000);
    isMute = false;
    await world.clock.advance(6_000);
    expect(await listed(world, there, 'a')).toEqual(['ann online', 'bob online']);
    await world.clock.advance(30_000);
    expect(await listed(world, there, 'a')).toEqual(['ann online', 'bob online']);
  });

  it('P-25 one that closes takes its clients along at once, and leaves no timer and no record', async () => {
    const { world, here, there } = openTwo();
    enter(here, 'ann', 'a');
    await world.clock.settle();
    expect(await world.store.records.list('server/', { limit: 10 })).toHaveLength(1);
    const closing = here.close();
    await world.clock.settle();
    await closing;
    expect(await listed(world, there, 'a')).toEqual([]);
    const other = there.close();
    await world.clock.settle();
    await other;
    await world.store.close();
    expect(world.clock.timers).toBe(0);
    expect(await world.store.records.list('server/', { limit: 10 })).toEqual([]);
  });

  it('costs nothing before it is used', async () => {
    const world = createPresenceWorld();
    const counted: { calls: number } = { calls: 0 };
    const count = (store: Store): Store =>
      interceptStore(store, (call, go) => {
        if (call.name !== 'heads') counted.calls++;
        return go();
      });
    const timers = world.clock.timers;
    const here = world.server({ through: count });
    expect(world.clock.timers).toBe(timers + 1); // of the tails
    await world.clock.advance(60_000);
    expect(counted.calls).toBe(0);
    await here.close();
    expect(counted.calls).toBe(0);
  });

  it('one server alone never asks who else lives', async () => {
    const world = createPresenceWorld();
    const counted = countCalls(world.store);
    const here = world.server({ through: () => counted.store });
    enter(here, 'ann', 'a');
    await world.clock.advance(60_000);
    expect(counted.calls('list')).toEqual([]);
    expect(counted.calls('append').filter(({ key }) => key === 'presence')).toHaveLength(2); // made, and told
  });
});

describe('the lobby', () => {
  async function churn(world: PresenceWorld, server: PresenceServer, count: number): Promise<void> {
    for (const number of range(1, count)) {
      const presence = enter(server, `c${number % 50}`, 'a');
      await world.clock.settle();
      presence.close();
      await world.clock.settle();
    }
  }

  it('P-26 is trimmed, and a server that comes later begins at the checkpoint', async () => {
    const { world, here } = openTwo();
    const ann = enter(here, 'ann', 'a');
    void ann.beat({ status: 'busy' });
    const past = enter(here, 'past', 'a');
    void past.beat({ status: 'away' });
    await world.clock.settle();
    past.close();
    await churn(world, here, 5_600);
    expect((await world.store.logs.heads(['presence']))[0]?.oldest).toBeGreaterThan(1);
    const late = world.server();
    expect(await listed(world, late, 'a')).toEqual(['ann busy']);
    enter(late, 'past', 'a');
    expect(await listed(world, late, 'a')).toEqual(['ann busy', 'past away']);
  }, 60_000);

  it('P-26 a store that lost everything is told again who is there', async () => {
    const { world, here, there } = openTwo();
    enter(here, 'ann', 'a');
    enter(there, 'bob', 'a');
    await world.clock.settle();
    await world.store.logs.keep('presence', world.clock.now());
    await world.store.logs.keep('presence:a', world.clock.now());
    await world.clock.advance(3_000);
    expect(await listed(world, here, 'a')).toEqual(['ann online', 'bob online']);
    expect(await listed(world, there, 'a')).toEqual(['ann online', 'bob online']);
  });

  it('P-26 a store that does not answer is told later', async () => {
    const world = createPresenceWorld();
    let isDown = true;
    const here = world.server({
      through: (store) =>
        interceptStore(store, (call, go) => {
          if (isDown && call.name === 'append') throw new StoreError('unavailable', 'no answer');
          return go();
        }),
    });
    const ann = enter(here, 'ann', 'a');
    const beaten = ann.beat({ status: 'busy' });
    beaten.catch(() => {});
    await world.clock.advance(2_000);
    await expect(beaten).rejects.toMatchObject({ code: 'unavailable' });
    expect(here.problems.length).toBeGreaterThan(0);
    isDown = false;
    await world.clock.advance(1_000);
    expect(await listed(world, here, 'a')).toEqual(['ann online']);
    void ann.beat({ status: 'busy' });
    expect(await listed(world, here, 'a')).toEqual(['ann busy']);
  });

  it('P-26 a watcher whose position is lost gets the list, and what comes after it', async () => {
    const { world, here, there } = openTwo();
    const watcher = await watchAs(world, there, { channel: 'a', clientId: 'w' });
    const goes = enter(here, 'goes', 'a');
    await world.clock.settle();
    watcher.peer.stall();
    watcher.peer.send(new Uint8Array(600 * 1024).fill(0x0a));
    enter(here, 'comes', 'a');
    goes.close();
    await world.clock.settle();
    expect(watcher.known()).toEqual(['goes online']);
    await world.store.logs.keep('presence:a', world.clock.now());
    await world.clock.advance(2_000);
    watcher.peer.drain();
    await world.clock.advance(2_000);
    expect(watcher.known()).toEqual(['comes online']);
    enter(here, 'new', 'a');
    await world.clock.settle();
    expect(watcher.known()).toEqual(['comes online', 'new online']);
  });

  it('P-21 a query waits for what is stored, also where no wake arrives', async () => {
    const world = createPresenceWorld();
    const here = world.server();
    const deaf = world.server({
      through: (store) => ({ ...store, bus: { wake: store.bus.wake, watch: () => () => {} } }),
    });
    expect(await listed(world, deaf, 'a')).toEqual([]);
    enter(here, 'ann', 'a');
    await world.clock.settle();
    const listing = deaf.members.list('a', ALL);
    await world.clock.advance(1_100);
    expect((await listing).total).toBe(1);
  });
});
