import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { createMemoryStore } from '../stores/memory.ts';
import { type Checkpoint, storeCheckpoint } from './checkpoint.ts';

const LOG = 'run:me:r1';

async function createWorld() {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const { head } = await store.logs.append(LOG, [{ id: '1', type: 't', data: 1 }]);
  return {
    epoch: head.epoch,
    save: (epoch: string, offset: number, state: string) =>
      storeCheckpoint(store, LOG, { checkpoint: { epoch, offset, state }, expiresAt: clock.now() + 1_000 }),
    async stored() {
      return (await store.records.get(`checkpoint/${LOG}`))?.value as Checkpoint<string> | undefined;
    },
  };
}

describe('a checkpoint', () => {
  it('L-7 is not replaced by an older one, which a server that slept brings', async () => {
    const { epoch, save, stored } = await createWorld();
    await save(epoch, 10, 'new');
    await save(epoch, 7, 'old');
    expect(await stored()).toMatchObject({ offset: 10, state: 'new' });
    await save(epoch, 12, 'newer');
    expect(await stored()).toMatchObject({ offset: 12, state: 'newer' });
  });

  it('L-7 of several at once the newest is there in the end', async () => {
    const { epoch, save, stored } = await createWorld();
    await Promise.all([3, 9, 5, 8].map((offset) => save(epoch, offset, `${offset}`)));
    expect(await stored()).toMatchObject({ offset: 9 });
  });

  it('L-7 is of the log there is, not of one that was lost', async () => {
    const { epoch, save, stored } = await createWorld();
    await save('gone', 50, 'of the lost one');
    await save(epoch, 2, 'of this one');
    expect(await stored()).toMatchObject({ epoch, offset: 2 });
    await save('gone', 60, 'late');
    expect(await stored()).toMatchObject({ epoch, offset: 2 });
  });
});
