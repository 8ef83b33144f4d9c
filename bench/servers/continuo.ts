import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demoAgents } from '@continuo/agents/demo';
import {
  createGateway,
  createMemoryStore,
  NO_LIMITS,
  openSqliteStore,
  type Store,
  systemClock,
  systemRandom,
} from '@continuo/server';
import { TOKEN } from '../systems.ts';
import { reportToBench } from './report.ts';

/** The product as it is: a token, the log, channels on; nobody is told who subscribes. `memory` or `sqlite` as the argument. */

function openStore(): Promise<Store> | Store {
  if (process.argv[2] === 'memory') return createMemoryStore({ clock: systemClock, random: systemRandom });
  const folder = mkdtempSync(join(tmpdir(), 'continuo-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return openSqliteStore({ path: join(folder, 'continuo.db'), clock: systemClock });
}

const gateway = createGateway({
  agents: demoAgents,
  store: await openStore(),
  tokens: [{ token: TOKEN }],
  push: { enabled: true, channels: { '*': { presence: false } } },
  limits: NO_LIMITS,
});
const { port } = await gateway.listen({ port: 0 });
reportToBench(port);
