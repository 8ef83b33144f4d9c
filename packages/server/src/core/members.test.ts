import { describe, expect, it } from 'vitest';
import { nth, only, range } from '../../test/pick.ts';
import {
  ALL,
  enter,
  lobbySize,
  openTwo,
  createPresenceWorld,
  listed,
  type PresenceServer,
  watchAs,
} from '../../test/presence.ts';
import type { Presence } from './seats.ts';

function poll(server: PresenceServer, clientId: string, ...channels: readonly string[]): Presence {
  const presence = server.members.enter({ user: 'u', clientId, kind: 'polling' });
  for (const channel of channels) presence.join(channel);
  return presence;
}

describe('who is on a channel', () => {
  it('P-21 is there from the subscribe on, as `online`, with its channels as they are now', async () => {
    const { world, here } = openTwo();
    const ann = enter(here, 'ann', 'a', 'b');
    expect(await listed(world, here, 'a')).toEqual(['ann online']);
    const one = only((await here.members.list('a', ALL)).members);
    expect(one).toEqual({
      client_id: 'ann',
      status: 'online',
      last_seen: world.clock.now() / 1000,
      metadata: {},
      channels: ['a', 'b'],
    });
    ann.leave('a');
    expect(await listed(world, here, 'a')).toEqual([]);
    expect(only((await here.members.list('b', ALL)).members).channels).toEqual(['b']);
    ann.close();
    ann.close();
    expect(await listed(world, here, null)).toEqual([]);
  });

  it('P-21 is one member over connections and servers, until the last of them leaves', async () => {
    const { world, here, there } = openTwo();
    const watcher = await watchAs(world, there, { channel: 'a', clientId: 'w' });
    const connections = [enter(here, 'ann', 'a'), enter(here, 'ann', 'a'), enter(there, 'ann', 'a', 'b')];
    await world.clock.settle();
    expect(await listed(world, here, 'a')).toEqual(['ann online']);
    expect(only((await here.members.list(null, ALL)).members).channels).toEqual(['a', 'b']);
    for (const [left, presence] of connections.entries()) {
      expect(watcher.known()).toEqual(['ann online']);
      presence.close();
      await world.clock.settle();
      expect(await listed(world, here, 'a')).toEqual(left < 2 ? ['ann online'] : []);
    }
    expect(watcher.take()).toMatchObject([
      { type: 'presence_batch', changes: [{ type: 'presence_join' }] },
      { type: 'presence_batch', changes: [{ type: 'presence_leave', data: { status: 'offline' } }] },
    ]);
  });

  it('P-21 is known to a query on another server at once', async () => {
    const { world, here, there } = openTwo();
    for (const number of range(1, 5)) {
      enter(here, `c${number}`, 'a');
      await world.clock.settle();
      expect(await listed(world, there, 'a')).toHaveLength(number);
    }
  });

  it('P-21 asks before it answers: what is not stored yet is in the list of its own server', async () => {
    const { world, here } = openTwo();
    enter(here, 'ann', 'a');
    const listing = here.members.list('a', ALL);
    await world.clock.settle();
    expect((await listing).total).toBe(1);
  });

  it('P-21 tells all changes of one tick in one frame to those that asked, else one by one; none of itself', async () => {
    const { world, here, there } = openTwo();
    const batched = await watchAs(world, there, { channel: 'a', clientId: 'w1' });
    const single = await watchAs(world, there, { channel: 'a', clientId: 'c2', batch: false });
    for (const id of ['c1', 'c2', 'c3']) enter(here, id, 'a');
    await world.clock.settle();
    expect(await lobbySize(world)).toBe(3);
    const data = (client_id: string): object => ({ client_id, status: 'online', metadata: {} });
    const join = (client_id: string): object => ({ type: 'presence_join', data: data(client_id) });
    expect(batched.take()).toEqual([
      { type: 'presence_batch', channel: 'a', changes: [join('c1'), join('c2'), join('c3')] },
    ]);
    expect(single.take()).toEqual([
      { ...join('c1'), channel: 'a' },
      { ...join('c3'), channel: 'a' },
    ]);
  });

  it('P-21 joins of one tick are one entry, and one that comes back within it is none', async () => {
    const { world, here } = openTwo();
    const ann = enter(here, 'ann', ...range(1, 50).map((number) => `a${number}`));
    await world.clock.settle();
    expect(await lobbySize(world)).toBe(1);
    ann.leave('a1');
    ann.join('a1');
    ann.close();
    enter(here, 'ann', ...range(1, 50).map((number) => `a${number}`));
    await world.clock.settle();
    expect(await lobbySize(world)).toBe(1);
  });

  it('P-21 more channels than one entry names are told in several', async () => {
    const { world, here } = openTwo();
    const ann = enter(here, 'ann', ...range(1, 2_500).map((number) => `a${number}`));
    await world.clock.settle();
    expect((await here.members.list('a2500', ALL)).total).toBe(1);
    expect(only((await here.members.list(null, ALL)).members).channels).toHaveLength(100);
    expect(await lobbySize(world)).toBe(3);
    ann.close();
    expect(await listed(world, here, null)).toEqual([]);
  });

  it('P-22 shows of the channels those that the asker may read, and nobody who is only on others', async () => {
    const { world, here } = openTwo();
    enter(here, 'ann', 'a', 'b');
    enter(here, 'bob', 'b');
    const eve = enter(here, 'eve');
    void eve.beat({});
    await world.clock.settle();
    const { members, total } = await here.members.list(null, { mayRead: (channel) => channel === 'a' });
    expect(members.map(({ client_id, channels }) => [client_id, channels])).toEqual([
      ['ann', ['a']],
      ['eve', []],
    ]);
    expect(total).toBe(2);
  });

  it('P-22 names what fits into one answer, and counts all', async () => {
    const { world, here } = openTwo();
    for (const number of range(1, 200)) {
      const presence = enter(here, `c${number}`, 'a');
      void presence.beat({ metadata: { text: 'x'.repeat(4_000) } });
    }
    await world.clock.settle();
    const { members, total } = await here.members.list('a', ALL);
    expect(total).toBe(200);
    expect(members.length).toBeGreaterThan(90);
    expect(JSON.stringify(members).length).toBeLessThan(400 * 1024);
  });

  it('P-21 changes are not told where `broadcastChanges` is false; the list is right all the same', async () => {
    const world = createPresenceWorld();
    const here = world.server({ terms: { broadcastChanges: false } });
    const dialect = {
      key: 'x',
      wire: (await watchAs(world, world.server(), { channel: 'z', clientId: 'w' })).peer.wire,
      text: () => '',
    };
    const peer = (await watchAs(world, here, { channel: 'a', clientId: 'w' })).peer;
    const onReset = async (): Promise<void> => {};
    expect(await here.members.watch('a', { peer, dialect, withoutSource: '', onReset })).toBeNull();
    enter(here, 'ann', 'a');
    expect(await listed(world, here, 'a')).toEqual(['ann online']);
    expect(await world.store.logs.heads(['presence:a'])).toEqual([null]);
  });
});

describe('a status', () => {
  it('P-23 sticks until it is changed, also over a reconnect, and is told once', async () => {
    const { world, here, there } = openTwo();
    const watcher = await watchAs(world, there, { channel: 'a', clientId: 'w' });
    const ann = enter(here, 'ann', 'a');
    await world.clock.settle();
    void ann.beat({ status: 'busy', metadata: { role: 'agent' } });
    await world.clock.settle();
    expect(watcher.known()).toEqual(['ann busy']);
    const size = await lobbySize(world);
    for (const said of [{}, { status: 'busy' }, { metadata: { role: 'agent' } }]) void ann.beat(said);
    await world.clock.settle();
    expect(await lobbySize(world)).toBe(size);
    ann.close();
    await world.clock.settle();
    expect(watcher.known()).toEqual([]);
    enter(there, 'ann', 'a');
    await world.clock.settle();
    expect(watcher.known()).toEqual(['ann busy']);
    expect(nth(watcher.take(), -1)).toMatchObject({ changes: [{ data: { metadata: { role: 'agent' } } }] });
  });

  it('P-23 of a client that is gone is forgotten after a day', async () => {
    const { world, here } = openTwo();
    const ann = enter(here, 'ann', 'a');
    void ann.beat({ status: 'busy' });
    await world.clock.settle();
    ann.close();
    await world.clock.settle();
    await world.clock.advance(24 * 3_600_000 + 1);
    enter(here, 'bob')
      .beat({})
      .catch(() => {});
    const gone = enter(here, 'eve', 'a');
    void gone.beat({ status: 'away' });
    await world.clock.settle();
    gone.close();
    await world.clock.settle();
    enter(here, 'ann', 'a');
    expect(await listed(world, here, 'a')).toEqual(['ann online']);
  });

  it('P-23 resolves when it is stored, and is too large above 4 KiB of metadata', async () => {
    const { world, here } = openTwo();
    const ann = enter(here, 'ann', 'a');
    await expect(ann.beat({ metadata: { text: 'x'.repeat(5_000) } })).rejects.toMatchObject({
      code: 'too_large',
    });
    let isStored = false;
    void ann.beat({ status: 'busy' }).then(() => {
      isStored = true;
    });
    expect(isStored).toBe(false);
    await world.clock.settle();
    expect(isStored).toBe(true);
  });

  it('P-23 is not undone by a client that says its own with every beat, also after a reconnect', async () => {
    const { world, here, there } = openTwo();
    const ann = enter(here, 'ann', 'a');
    for (const status of ['online', 'online', 'busy', 'online', 'away', 'online']) {
      void ann.beat({ status });
      await world.clock.settle();
    }
    expect(await listed(world, here, 'a')).toEqual(['ann away']);
    ann.close();
    await world.clock.settle();
    const back = enter(there, 'ann', 'a');
    void back.beat({ status: 'busy' });
    await world.clock.settle();
    expect(await listed(world, here, 'a')).toEqual(['ann away']); // what it had set before
    void back.beat({});
    void back.beat({ status: 'busy' });
    await world.clock.settle();
    expect(await listed(world, here, 'a')).toEqual(['ann busy']);
  });

  it('P-23 of one client set on two servers at once ends the same for everybody', async () => {
    const { world, here, there } = openTwo();
    const watcher = await watchAs(world, there, { channel: 'a', clientId: 'w' });
    const [one, two] = [enter(here, 'ann', 'a'), enter(there, 'ann', 'a')];
    await world.clock.settle();
    void one.beat({ status: 'busy' });
    void two.beat({ status: 'away' });
    await world.clock.settle();
    expect(watcher.known()).toEqual(await listed(world, here, 'a'));
  });
});

describe('liveness', () => {
  it('P-24 a connection that never beat is there as long as it is; one that did is offline until its next word', async () => {
    const { world, here } = openTwo();
    enter(here, 'quiet', 'a');
    const ann = enter(here, 'ann', 'a');
    void ann.beat({ status: 'busy' });
    await world.clock.advance(44_000);
    expect(await listed(world, here, 'a')).toEqual(['ann busy', 'quiet online']);
    await world.clock.advance(3_000);
    expect(await listed(world, here, 'a')).toEqual(['quiet online']);
    ann.seen();
    expect(await listed(world, here, 'a')).toEqual(['ann busy', 'quiet online']);
  });

  it('P-24 a poller is there until 45 s after its last request, wherever that was', async () => {
    const { world, here, there } = openTwo();
    poll(here, 'ann', 'a');
    await world.clock.advance(30_000);
    poll(there, 'ann', 'a');
    await world.clock.advance(30_000);
    expect(await listed(world, here, 'a')).toEqual(['ann online']);
    const release = poll(here, 'ann', 'a').hold();
    await world.clock.advance(100_000);
    expect(await listed(world, there, 'a')).toEqual(['ann online']);
    release();
    await world.clock.advance(47_000);
    expect(await listed(world, here, 'a')).toEqual([]);
    poll(here, 'ann', 'a');
    expect(await listed(world, here, 'a')).toEqual(['ann online']);
  });

  it('P-24 a poller that leaves a channel, or deregisters, does so on all servers at once', async () => {
    const { world, here, there } = openTwo();
    const [one, two] = [poll(here, 'ann', 'a', 'b'), poll(there, 'ann', 'a', 'b')];
    enter(there, 'ann', 'c');
    await world.clock.settle();
    two.leave('a');
    await world.clock.settle();
    expect(await listed(world, here, 'a')).toEqual([]);
    expect(await listed(world, here, 'b')).toEqual(['ann online']);
    one.close();
    await world.clock.settle();
    expect(await listed(world, there, 'b')).toEqual([]);
    expect(await listed(world, there, 'c')).toEqual(['ann online']);
    await world.clock.advance(10_000);
    expect(await listed(world, here, 'b')).toEqual([]);
  });

  it('P-24 a poller leaves a channel also on a server that it did not ask before', async () => {
    const { world, here, there } = openTwo();
    poll(here, 'ann', 'a', 'b');
    await world.clock.settle();
    there.members.enter({ user: 'u', clientId: 'ann', kind: 'polling' }).leave('a');
    await world.clock.settle();
    expect(await listed(world, here, 'a')).toEqual([]);
    await world.clock.advance(1_000);
    expect(await listed(world, here, 'b')).toEqual(['ann online']);
  });
});
