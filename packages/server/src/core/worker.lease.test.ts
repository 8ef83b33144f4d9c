import { describe, expect, it } from 'vitest';
import { nth, only } from '../../test/pick.ts';
import { createPuppet } from '../../test/puppet.ts';
import { createWorkWorld, logOfRun } from '../../test/work.ts';
import { StoreError } from '../ports.ts';

const LEASE_MS = 5_000;

describe('the lease', () => {
  it('L-8 is kept as long as the run takes, under one token', async () => {
    const { clock, store, server, entries } = createWorkWorld();
    const puppet = createPuppet('puppet');
    const other = createPuppet('puppet');
    const { announce } = server(puppet);
    server(other);
    await announce('r1');
    await clock.advance(60_000);
    only(puppet.runs).say({ type: 'text.delta', text: 'still here' });
    only(puppet.runs).finish();
    await clock.settle();
    expect(other.runs).toHaveLength(0);
    expect((await store.logs.heads([logOfRun('r1')]))[0]?.fence).toBe(1);
    expect((await entries('r1')).map(({ id }) => id)).toEqual(['r1:1.0.0', 'r1:1.0.1', 'r1:1.0.2', 'r1:end']);
  });

  it.each([
    ['end', ['run.started', 'text.delta', 'run.ended interrupted']],
    ['restart', ['run.started', 'text.delta', 'run.attempt', 'run.ended completed']],
  ] as const)("L-8, L-9 passes within two leases of its server's death: %s", async (onInterrupt, told) => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet', { onInterrupt });
    const heir = createPuppet('puppet', { onInterrupt });
    const dying = world.server(puppet);
    world.server(heir);
    await dying.announce('r1');
    only(puppet.runs).say({ type: 'text.delta', text: 'half' });
    await world.clock.advance(7_000);
    dying.life.end();
    await world.clock.advance(2 * LEASE_MS);
    for (const run of heir.runs) {
      expect(run.context.attempt).toBe(2);
      run.finish();
    }
    await world.clock.settle();
    expect(await world.told('r1')).toEqual(told);
    if (onInterrupt === 'end') {
      expect(nth(await world.entries('r1'), -1).data).toMatchObject({ content: 'half' });
    }
  });

  it('L-7 lost in a long sleep lets its holder store nothing more', async () => {
    const world = createWorkWorld();
    const sleepy = createPuppet('puppet');
    const heir = createPuppet('puppet', { onInterrupt: 'restart' });
    const frozen = world.server(sleepy);
    const other = world.server(heir);
    await frozen.announce('r1');
    // It does not hear from the store for longer than its lease, while its agent goes on.
    let thaw = (): void => {};
    const thawed = new Promise<void>((resolve) => {
      thaw = resolve;
    });
    frozen.around(async (_call, go) => {
      await thawed;
      return go();
    });
    only(sleepy.runs).say({ type: 'text.delta', text: 'from the past' });
    await world.clock.advance(2 * LEASE_MS);
    expect(heir.runs).toHaveLength(1);
    thaw();
    await world.clock.settle();
    only(sleepy.runs).say({ type: 'text.delta', text: 'from the past, again' });
    only(sleepy.runs).finish();
    await world.clock.settle();
    only(heir.runs).finish();
    await world.clock.settle();
    expect(await world.told('r1')).toEqual(['run.started', 'run.attempt', 'run.ended completed']);
    expect(only(sleepy.runs).stopped).toBe(true);
    expect(other.problems).toEqual([]);
  });

  it('L-8 is given up in time by a holder that cannot renew it, before another has it', async () => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce, around } = world.server(puppet);
    await announce('r1');
    around(async (call, go) => {
      if (call.key.startsWith('lease/')) throw new StoreError('unavailable', 'the disk is gone');
      return go();
    });
    await world.clock.advance(LEASE_MS - 1);
    expect(only(puppet.runs).stopped).toBe(false);
    await world.clock.advance(1_600);
    expect(only(puppet.runs).stopped).toBe(true);
    expect(await world.told('r1')).toEqual(['run.started']);
  });

  it('L-7 raises the fence with the claim, before anything is read: what comes late finds it', async () => {
    const world = createWorkWorld();
    const dying = world.server(createPuppet('puppet'));
    const heir = world.server(createPuppet('puppet'));
    await dying.announce('r1');
    dying.life.end();
    let goOn = (): void => {};
    const looking = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    heir.around(async (call, go) => {
      if (call.name === 'get' && call.key.startsWith('work/')) await looking;
      return go();
    });
    await world.clock.advance(2 * LEASE_MS);
    const draft = { id: 'late', type: 'text.delta', data: {} };
    const late = world.store.logs.append(logOfRun('r1'), [draft], { fence: { run: 'r1', token: 1 } });
    await expect(late).rejects.toMatchObject({ code: 'fenced' });
    goOn();
    await world.clock.settle();
    expect(await world.told('r1')).toEqual(['run.started', 'run.ended interrupted']);
  });

  it('L-8 is known to be lost at its next renewal, when another has it', async () => {
    const world = createWorkWorld();
    const puppet = createPuppet('puppet');
    const { announce } = world.server(puppet);
    await announce('r1');
    const lease = { holder: 'another', token: 9, expiresAt: world.clock.now() + LEASE_MS };
    await world.store.records.put(`lease/${logOfRun('r1')}`, lease);
    await world.clock.advance(1_500);
    expect(only(puppet.runs).stopped).toBe(true);
    expect(await world.told('r1')).toEqual(['run.started']);
  });
});
