import { randomUUID } from 'node:crypto';
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { newestEntryAt, openStore } from '@continuo/server';
import type { Settings } from '../config/settings.ts';
import type { Finding } from './finding.ts';

/** How far the clock may be behind the newest entry, in ms: another server's clock is never quite the same. */
const SKEW_MS = 5_000;
/** How long what is written for the test is kept if it cannot be removed, in ms. */
const KEEP_MS = 60_000;

const DURABILITY = {
  process:
    'survives kill -9; a power cut may take the newest, and then clients are told (durability: power keeps it)',
  power: 'survives kill -9 and a power cut',
} as const;

/** Opens the store as `serve` does, and writes and removes a record. A file that is not there yet is not made. */
export async function lookAtStore({ store: name, durability }: Settings): Promise<Finding> {
  const what = 'store';
  if (name === 'memory') return { what, found: 'memory: everything is gone when the process ends' };
  const path = pathOf(name);
  if (path !== null && !existsSync(path)) return lookAtFolder(path, durability);
  try {
    const store = await openStore(name, { durability });
    try {
      const key = `doctor/${randomUUID()}`;
      await store.records.put(key, 1, { expiresAt: Date.now() + KEEP_MS });
      await store.records.remove(key);
    } finally {
      await store.close();
    }
  } catch (error) {
    const remedy = 'give the file to the user who runs continuo, or name another with --store sqlite:PATH';
    return { what, found: reasonOf(error), remedy };
  }
  return { what, found: `${name} opens and can be written; ${DURABILITY[durability]}` };
}

function lookAtFolder(path: string, durability: Settings['durability']): Finding {
  const what = 'store';
  let folder = dirname(resolve(path));
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    const remedy =
      'make the folder and give it to the user who runs continuo, or name another with --store sqlite:PATH';
    return { what, found: `${path} cannot be made: ${folder} cannot be written`, remedy };
  }
  return { what, found: `${path} will be made; ${DURABILITY[durability]}` };
}

/** The clock against the newest entry: leases and expiries go by the clock, and one that went back confuses them. */
export function lookAtClock({ store }: Settings, now: number): Finding {
  const what = 'clock';
  const time = new Date(now).toISOString();
  const path = pathOf(store);
  if (path === null || !existsSync(path))
    return { what, found: `${time}; the store holds nothing to compare it with` };
  let newest: number | null;
  try {
    newest = newestEntryAt(path);
  } catch (error) {
    const remedy = 'see what is said of the store';
    return { what, found: `${time}; the newest entry cannot be read: ${reasonOf(error)}`, remedy };
  }
  if (newest === null) return { what, found: `${time}; the store holds nothing to compare it with` };
  const behindMs = newest - now;
  if (behindMs <= SKEW_MS) return { what, found: `${time}, after the store's newest entry` };
  return {
    what,
    found: `${time} is ${Math.round(behindMs / 1000)} s before the store's newest entry`,
    remedy: 'set the clock (NTP): leases and expiries would wait until it has caught up',
  };
}

function pathOf(store: string): string | null {
  return /^sqlite:(.+)$/.exec(store)?.[1] ?? null;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
