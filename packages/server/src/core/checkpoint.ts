import type { Logs, Records } from '../ports.ts';
import { keyOf } from './names.ts';

/** What stands in for the beginning of a log: what it said up to a position of one epoch. The record `checkpoint/<log>`. */
export interface Checkpoint<State> {
  readonly epoch: string;
  readonly offset: number;
  readonly state: State;
}

/** How often storing is tried while others store theirs. */
const TRIES = 5;

/**
 * Stores a checkpoint, unless a newer one is there: a server that slept between its reading and its storing must not put
 * an old one in its place, for entries may have been trimmed since.
 */
export async function storeCheckpoint<State>(
  { logs, records }: { readonly logs: Logs; readonly records: Records },
  log: string,
  { checkpoint, expiresAt }: { readonly checkpoint: Checkpoint<State>; readonly expiresAt: number },
): Promise<void> {
  const key = keyOf.checkpoint(log);
  for (let tries = 0; tries < TRIES; tries++) {
    const stored = await records.get(key);
    const before = stored?.value as Checkpoint<State> | undefined;
    if (before?.epoch === checkpoint.epoch && before.offset >= checkpoint.offset) return;
    const [head] = before && before.epoch !== checkpoint.epoch ? await logs.heads([log]) : [];
    if (head && head.epoch !== checkpoint.epoch) return; // it is of a log that was lost
    if ((await records.put(key, checkpoint, { ifVersion: stored?.version ?? 0, expiresAt })) !== null) return;
  }
}
