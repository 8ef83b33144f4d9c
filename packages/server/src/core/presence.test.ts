import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import type { Store } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { ALL_SCOPES, type Principal } from './access.ts';
import { createPresences, type Presences } from './presence.ts';

interface World {
  readonly clock: FakeClock;
  readonly store: Store;
  readonly problems: string[];
  server(): Presences;
}

function createWorld(): World {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const problems: string[] = [];
  let seed = 1;
  return {
    clock,
    store,
    problems,
    server: () =>
      createPresences({
        records: store.records,
        clock,
        random: createSeededRandom(++seed),
        report: (problem) => void problems.push(problem),
      }),
  };
}

function principalOf(user: string, scopes: Principal['scopes'] = new Set(['read', 'write'])): Principal {
  return { subject: user, user, scopes, patterns: { agents: ['*'], channels: ['*'] } };
}

const OPERATOR = principalOf('operator', new Set(ALL_SCOPES));

async function namesOf(presences: Presences, asker: Principal, agentId = 'echo'): Promise<string> {
  const { named, total } = await presences.list(agentId, asker);
  return `${total}: ${named.map(({ client_id }) => client_id).join(' ')}`;
}

describe('who is there', () => {
  it('G-22 is every client of an agent, once, until its last socket leaves', async () => {
    const here = createWorld().server();
    const leave = [
      here.enter('echo', 'ann', 'a'),
      here.enter('echo', 'ann', 'a'),
      here.enter('slow', 'ann', 'b'),
    ];
    expect([await namesOf(here, OPERATOR), here.size]).toEqual(['1: a', 2]);
    leave[0]?.();
    leave[0]?.();
    expect(await namesOf(here, OPERATOR)).toBe('1: a');
    leave[1]?.();
    expect([await namesOf(here, OPERATOR), here.size]).toEqual(['0: ', 1]);
  });

  it('G-22, L-10 is told to each about its own clients, and about all to an admin', async () => {
    const here = createWorld().server();
    here.enter('echo', 'ann', 'a');
    here.enter('echo', 'bob', 'b');
    here.enter('echo', 'bob', 'a');
    expect(await namesOf(here, principalOf('ann'))).toBe('1: a');
    expect(await namesOf(here, principalOf('bob'))).toBe('2: b a');
    expect(await namesOf(here, principalOf('eve'))).toBe('0: ');
    expect((await here.list('echo', OPERATOR)).total).toBe(3);
  });

  it('G-22 names all of a hundred, some of more, and counts them', async () => {
    const here = createWorld().server();
    for (const number of range(1, 100)) here.enter('echo', 'ann', `c${number}`);
    expect((await here.list('echo', OPERATOR)).named).toHaveLength(100);
    for (const number of range(101, 130)) here.enter('echo', 'ann', `c${number}`);
    const { named, total } = await here.list('echo', OPERATOR);
    expect([named.length, total]).toEqual([10, 130]);
  });

  it('G-22 is known on the other servers within two seconds, and gone there when its server is', async () => {
    const { clock, server } = createWorld();
    const [here, there] = [server(), server()];
    const leave = here.enter('echo', 'ann', 'a');
    await clock.advance(2_000);
    expect(await namesOf(there, OPERATOR)).toBe('1: a');
    there.enter('echo', 'ann', 'a');
    expect(await namesOf(there, OPERATOR)).toBe('1: a'); // one client, wherever its sockets are
    leave();
    await clock.advance(2_000);
    expect(await namesOf(here, OPERATOR)).toBe('1: a');
    await there.close();
    await clock.advance(2_000);
    expect(await namesOf(here, OPERATOR)).toBe('0: ');
  });

  it('G-22 of a server that died is forgotten after 15 s, and kept up by one that lives', async () => {
    const { clock, store, server } = createWorld();
    await store.records.put(
      'presence/dead',
      { echo: [{ user: 'ann', clientId: 'a', since: 0 }] },
      {
        expiresAt: clock.now() + 15_000,
      },
    );
    const [here, there] = [server(), server()];
    here.enter('echo', 'ann', 'b');
    await clock.advance(2_000);
    expect(await namesOf(there, OPERATOR)).toMatch(/^2: /);
    await clock.advance(60_000);
    expect(await namesOf(there, OPERATOR)).toBe('1: b');
  });

  it('G-22 says nothing to the store while nothing changes and nobody is there', async () => {
    const { clock, store, server } = createWorld();
    server();
    await clock.advance(60_000);
    expect(await store.records.list('presence/', { limit: 10 })).toEqual([]);
  });

  it('leaves no timer and no record', async () => {
    const { clock, store, server } = createWorld();
    const here = server();
    here.enter('echo', 'ann', 'a');
    await clock.advance(2_000);
    await here.close();
    expect(await store.records.list('presence/', { limit: 10 })).toEqual([]);
    await store.close();
    expect(clock.timers).toBe(0);
  });
});
