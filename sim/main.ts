import { parseArgs } from 'node:util';
import { addCounters, COUNTED, createCounters } from './counters.ts';
import { plant } from './mutants.ts';

/**
 * `npm run sim -- [--seeds 200] [--from 1] [--mutant NAME]`. Exit code 1 and the seed when a promise was broken; with a
 * mutant planted, exit code 0 when that was noticed.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    mutant: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (values.mutant !== undefined) plant(values.mutant);
const { runWorld } = await import('./world.ts');

const from = Number(values.from);
const count = Number(values.seeds);
const sum = createCounters();
for (let seed = from; seed < from + count; seed++) {
  const { counters, violation } = await runWorld(seed);
  addCounters(sum, counters);
  if (violation === null) continue;
  const what = violation instanceof Error ? violation.message : String(violation);
  console.log(`${values.mutant === undefined ? '' : `${values.mutant}: caught: `}seed ${seed}: ${what}`);
  process.exit(values.mutant === undefined ? 1 : 0);
}
if (values.mutant !== undefined) {
  console.log(`${values.mutant}: NOT caught by ${count} seeds from ${from}`);
  process.exit(1);
}
if (values.json) console.log(JSON.stringify(sum));
else
  console.log(
    `${count} seeds from ${from}: every promise held\n${COUNTED.map((name) => `  ${name}: ${sum[name]}`).join('\n')}`,
  );
process.exit(0);
