import { parseArgs } from 'node:util';
import { soakChurn } from './churn.ts';
import { soakDrain } from './drain.ts';
import { soakKill } from './kill.ts';
import { soakLeases } from './leases.ts';
import { soakPresence } from './presence.ts';
import { soakPush } from './push.ts';
import { soakSlow } from './slow.ts';

/** `npm run soak -- NAME`: the full form of what `npm test` runs short. Figures go to docs/reliability.md. */
const SOAKS: Readonly<Record<string, () => Promise<void>>> = {
  kill: soakKill,
  churn: soakChurn,
  drain: soakDrain,
  slow: soakSlow,
  push: soakPush,
  presence: soakPresence,
  leases: soakLeases,
};

const { positionals } = parseArgs({ allowPositionals: true });
const [name = ''] = positionals;
const soak = SOAKS[name];
if (!soak) {
  console.error(`npm run soak -- NAME, where NAME is one of: ${Object.keys(SOAKS).join(', ')}`);
  process.exit(2);
}
await soak();
process.exit(0);
