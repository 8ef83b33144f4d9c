import { parseArgs } from 'node:util';
import { addCounters, COUNTED, createCounters } from './counters.ts';
import { runWorld } from './world.ts';

/** `npm run sim -- --seeds 2000 [--from 1] [--quiet]`: exits 1 and names the seed when a promise was broken. */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
  },
});
const from = Number(values.from);
const count = Number(values.seeds);
const sum = createCounters();
for (let seed = from; seed < from + count; seed++) {
  const { counters, violation } = await runWorld(seed);
  addCounters(sum, counters);
  if (violation === null) continue;
  console.log(`seed ${seed}: ${violation instanceof Error ? violation.message : violation}`);
  if (process.env.SIM_STACK) console.log(violation);
  process.exit(1);
}
console.log(`${count} seeds from ${from}: every promise held`);
console.log(COUNTED.map((name) => `  ${name}: ${sum[name]}`).join('\n'));
process.exit(0);
