import { describe, expect, it } from 'vitest';
import { nth, only, range } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import { createWorkWorld, logOfRun } from '../../test/work.ts';
import { StoreError } from '../ports.ts';
import type { Workers } from './worker.ts';

const LEASE_MS = 5_000;

describe('work', () => {
  it('is done by the server that announced it, at once', async () => {
    const { clock, server, told, settled } = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce } = server(puppet);
    await announce('r1');
    only(puppet.runs).finish();
    await clock.settle();
    expect(await told('r1')).toEqual(['run.started', 'run.ended completed']);
    expect(settled('r1')).toBe(1);
  });

  it('leaves nothing behind: no lease, no place on the list', async () => {
    const { clock, store, server } = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce, workers } = server(puppet);
    await announce('r1');
    expect(await store.records.list('work/', { limit: 10 })).toHaveLength(1);
    only(puppet.runs).finish();
    await clock.advance(3_000);
    expect(await store.records.list('work/', { limit: 10 })).toEqual([]);
    const [lease] = await store.records.list('lease/', { limit: 10 });
    expect(lease?.value).toMatchObject({ holder: null });
    expect(workers.active).toBe(0);
  });

  it('is done by a server that has the agent, wherever it was announced', async () => {
    const { clock, server, told } = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce } = server(createPuppet('another'));
    server(puppet);
    await announce('r1');
    await clock.advance(2_000);
    only(puppet.runs).finish();
    await clock.settle();
    expect(await told('r1')).toEqual(['run.started', 'run.ended completed']);
  });

  it('is left alone by servers that have not the agent', async () => {
    const { clock, server } = createWorkWorld();
    const { announce, around } = server(createPuppet('another'));
    await announce('r1');
    let claims = 0;
    around((call, go) => {
      if (call.name === 'put' && call.key.startsWith('lease/')) claims++;
      return go();
    });
    await clock.advance(20_000);
    expect(claims).toBe(0);
  });

  it('stays on the list while it is being added, though what was there before is done', async () => {
    const { clock, store, server } = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce, workers } = server(puppet);
    await announce('r1');
    let add = (): void => {};
    const added = workers.announce(
      logOfRun('r1'),
      'agent:puppet',
      () => new Promise<void>((resolve) => (add = resolve)),
    );
    await clock.settle();
    only(puppet.runs).finish();
    await clock.advance(3_000);
    expect(await store.records.list('work/', { limit: 10 })).toHaveLength(1);
    add();
    await added;
    await clock.advance(3_000);
    expect(await store.records.list('work/', { limit: 10 })).toEqual([]);
  });

  it('L-9 is found though the server that announced it died before it began', async () => {
    const { clock, store, server, told } = createWorkWorld();
    const puppet = createPuppet('puppet');
    const dying = server(puppet);
    server(puppet);
    dying.around(async (call, go) => {
      const answer = await go();
      if (call.name === 'append') dying.life.end(); // what was announced is stored, and nobody was told
      return answer;
    });
    dying.announce('r1').catch(() => {}); // it never returns
    await clock.settle();
    expect(await store.records.list('work/', { limit: 10 })).toHaveLength(1);
    await clock.advance(2 * LEASE_MS);
    only(puppet.runs).finish();
    await clock.settle();
    expect(await told('r1')).toEqual(['run.started', 'run.ended completed']);
  });

  it('that could not be added is not done, and the list forgets it', async () => {
    const { clock, store, server } = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { workers } = server(puppet);
    const announced = workers.announce(logOfRun('r1'), 'agent:puppet', async () => {
      throw new StoreError('too_large', 'too large');
    });
    await expect(announced).rejects.toThrow('too large');
    await clock.advance(15_000);
    expect(puppet.runs).toHaveLength(0);
    expect(await store.records.list('work/', { limit: 10 })).toEqual([]);
  });

  it('L-7 is done by one server at a time, though many look for it', async () => {
    const { clock, server, entries } = createWorkWorld();
    const puppets = range(1, 5).map(() => createPuppet('puppet'));
    const servers = puppets.map((puppet) => server(puppet));
    for (const number of range(1, 20)) await nth(servers, number % 5).announce(`r${number}`);
    await clock.advance(3_000);
    const runs = puppets.flatMap((puppet) => puppet.runs);
    expect(new Set(runs.map((run) => run.context.runId)).size).toBe(20);
    expect(runs).toHaveLength(20);
    for (const run of runs) run.finish();
    await clock.advance(3_000);
    for (const number of range(1, 20)) {
      const ids = (await entries(`r${number}`)).map(({ id }) => id);
      expect(ids.filter((id) => id === `r${number}:end`)).toHaveLength(1);
    }
  });

  it('goes on after the store failed', async () => {
    const { clock, server, told } = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { around, announce, problems } = server(puppet);
    around(async (call, go) => {
      if (call.name === 'heads') throw new StoreError('unavailable', 'the disk is gone');
      return go();
    });
    await announce('r1');
    await clock.advance(3_000);
    expect(puppet.runs).toHaveLength(0);
    expect(problems.length).toBeGreaterThan(0);
    around((_call, go) => go());
    await clock.advance(2_000);
    only(puppet.runs).finish();
    await clock.settle();
    expect(await told('r1')).toEqual(['run.started', 'run.ended completed']);
  });
});

function runOf(runId: string): Parameters<Workers['cancel']>[0] {
  return { log: logOfRun(runId), component: 'agent:puppet', runId };
}

describe('a run that is cancelled', () => {
  it('ends at once where it is driven', async () => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce, workers } = world.server(puppet);
    await announce('r1');
    await workers.cancel(runOf('r1'), 'enough');
    await world.clock.settle();
    expect(nth(await world.entries('r1'), -1)).toMatchObject({
      id: 'r1:end',
      data: { status: 'cancelled', reason: 'enough' },
    });
  });

  it('ends within a renewal where another server drives it', async () => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce } = world.server(puppet);
    const other = world.server(puppet);
    await announce('r1');
    await other.workers.cancel(runOf('r1'), 'enough');
    await world.clock.advance(1_600);
    expect(await world.told('r1')).toEqual(['run.started', 'run.ended cancelled']);
  });

  it('ends before it has begun', async () => {
    const world = createWorkWorld();
    const { workers, announce } = world.server(createPuppet('another'));
    await announce('r1', 'puppet');
    await workers.cancel(runOf('r1'), 'never mind');
    world.server(createPuppet('puppet'));
    await world.clock.advance(2_000);
    expect(await world.told('r1')).toEqual(['run.started', 'run.ended cancelled']);
  });

  it('ends once, however often it is cancelled, and is not cancelled after its end', async () => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce, workers } = world.server(puppet);
    await announce('r1');
    await announce('r2');
    for (let times = 0; times < 3; times++) await workers.cancel(runOf('r1'), 'enough');
    nth(puppet.runs, 1).finish();
    await world.clock.settle();
    await workers.cancel(runOf('r2'), 'too late');
    await world.clock.advance(2_000);
    expect(await world.told('r1')).toEqual(['run.started', 'run.ended cancelled']);
    expect(await world.told('r2')).toEqual(['run.started', 'run.ended completed']);
  });
});

describe('a server that closes', () => {
  it('lets what is under way end', async () => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce, workers } = world.server(puppet);
    await announce('r1');
    const closed = workers.close(10_000);
    await world.clock.advance(9_000);
    only(puppet.runs).finish();
    await world.clock.settle();
    await closed;
    expect(await world.told('r1')).toEqual(['run.started', 'run.ended completed']);
    expect(world.clock.timers).toBe(1); // the store's own
  });

  it('ends what has not ended by the deadline as interrupted', async () => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce, workers } = world.server(puppet);
    await announce('r1');
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    const closed = workers.close(10_000);
    await world.clock.advance(10_000);
    await closed;
    expect(nth(await world.entries('r1'), -1).data).toMatchObject({
      status: 'interrupted',
      reason: 'The server was shut down.',
      content: 'half',
    });
  });

  it('begins nothing new: another server does it', async () => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce, workers } = world.server(puppet);
    await workers.close(0);
    await announce('r1');
    await world.clock.advance(3_000);
    expect(puppet.runs).toHaveLength(0);
    const heir = createPuppet('puppet');
    world.server(heir);
    await world.clock.advance(2_000);
    only(heir.runs).finish();
    await world.clock.settle();
    expect(await world.told('r1')).toEqual(['run.started', 'run.ended completed']);
  });

  it('is not held up by a run that was about to begin when the deadline passed, at whatever moment', async () => {
    for (let closingAt = 0; closingAt <= 300; closingAt += 5) {
      const world = createWorkWorld();
      const { announce, around, workers } = world.server(createPuppet('puppet'));
      around(async (_call, go) => {
        const answer = await go();
        const at = world.clock.now() + 20; // a store that takes its time
        await new Promise<void>((resolve) => world.clock.schedule(at, resolve));
        return answer;
      });
      const announced = announce('r1');
      await world.clock.advance(closingAt);
      let isClosed = false;
      const closed = workers.close(10).then(() => {
        isClosed = true;
      });
      await world.clock.advance(5_000);
      expect(isClosed, `closed ${closingAt} ms after the run was announced`).toBe(true);
      await Promise.all([closed, announced]);
    }
  });
});
