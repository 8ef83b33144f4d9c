import { systemClock } from '../src/edge/clock.ts';
import { openSqliteStore } from '../src/stores/sqlite/index.ts';

/** A process that appends batches to a log until it is killed, and says after each how far the log reached. */
const [path = '', name = '', batches = '0', size = '1'] = process.argv.slice(2);
const store = await openSqliteStore({ path, clock: systemClock });
for (let batch = 0; batch < Number(batches); batch++) {
  const drafts = Array.from({ length: Number(size) }, (_, index) => ({
    id: `${name}-${batch}-${index}`,
    type: 'test',
    data: { batch, index, padding: 'x'.repeat(500) },
  }));
  const { offsets } = await store.logs.append('shared', drafts);
  process.stdout.write(`${batch} ${offsets.at(-1)}\n`);
}
await store.close();
