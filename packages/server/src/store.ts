import { systemClock, systemRandom } from './edge/clock.ts';
import type { Store } from './ports.ts';
import { createMemoryStore } from './stores/memory.ts';
import { type Durability, openSqliteStore } from './stores/sqlite/index.ts';

export interface OpenStoreOptions {
  /** SQLite: what survives. `process` (default): a killed process; `power`: also a power cut. */
  readonly durability?: Durability;
}

/** Opens `memory` or `sqlite:PATH` on the machine's clock. Throws a sentence for any other name, and when it cannot. */
export async function openStore(name: string, options: OpenStoreOptions = {}): Promise<Store> {
  if (name === 'memory') return createMemoryStore({ clock: systemClock, random: systemRandom });
  const path = /^sqlite:(.+)$/.exec(name)?.[1];
  if (path === undefined) throw new RangeError(`The store is "${name}": it must be memory or sqlite:PATH.`);
  return openSqliteStore({ path, clock: systemClock, ...options });
}
