import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import { createReading } from '../../test/reading.ts';
import { foldLog } from './fold.ts';

const LOG = 'session:me:s';

describe('folding a log', () => {
  it('hands over every entry once and in order, page by page, and says how far it came', async () => {
    const { store, counted, append, head } = createReading();
    await append(LOG, 2_500);
    const { epoch } = await head(LOG);
    const offsets: number[] = [];
    const reached = await foldLog(counted.store.logs, LOG, { epoch, offset: 100 }, ({ offset }) =>
      offsets.push(offset),
    );
    expect(offsets).toEqual(range(101, 2_500));
    expect(reached).toMatchObject({ epoch, offset: 2_500 });
    expect(counted.calls('read')).toHaveLength(3);
    expect(await foldLog(store.logs, LOG, { epoch, offset: 2_500 }, () => {})).toMatchObject({
      offset: 2_500,
    });
  });

  it.each([
    ['was trimmed', 3],
    ['never was', 11],
  ])('says `null` when the position %s', async (_what, offset) => {
    const { store, append, head } = createReading();
    await append(LOG, 10);
    await store.logs.trim(LOG, 6);
    const { epoch } = await head(LOG);
    expect(await foldLog(store.logs, LOG, { epoch, offset }, () => {})).toBeNull();
  });
});
