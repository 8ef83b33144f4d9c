import { DatabaseSync } from 'node:sqlite';

/** What a SQLite store holds of runs, read past the servers that share it. */
export interface RunStore {
  /** `null`: it has no log yet. */
  logOf(runId: string): StoredLog | null;
  /** Unix ms of the first entry that was made after a time; `null`: there is none. */
  firstAfter(runId: string, at: number): number | null;
  /** Who drives the run: an id that each server makes at its start; `null`: nobody. */
  holderOf(runId: string): string | null;
  /** Whether some process is in the middle of a write: as a frozen one it would hold up all others. */
  isLocked(): boolean;
  close(): void;
}

export interface StoredLog {
  /** Offset of its newest entry. */
  readonly head: number;
  readonly ended: boolean;
  /** The highest token that has appended. */
  readonly fence: number;
}

/** How long a write of a living server may take, in ms. */
const WRITE_MS = 250;

export function openRunStore(path: string): RunStore {
  const db = new DatabaseSync(path, { timeout: WRITE_MS });
  const log = db.prepare(`SELECT id, head, ended, fence FROM logs WHERE name LIKE 'run:%:' || ?`);
  const later = db.prepare('SELECT at FROM entries WHERE log = ? AND at > ? ORDER BY offset LIMIT 1');
  const lease = db.prepare(`SELECT value FROM records WHERE key LIKE 'lease/run:%:' || ?`);
  const idOf = (runId: string): number => Number(log.get(runId)?.id ?? -1);
  return {
    logOf(runId) {
      const row = log.get(runId);
      return row
        ? { head: Number(row.head), ended: Number(row.ended) === 1, fence: Number(row.fence) }
        : null;
    },
    firstAfter(runId, at) {
      const row = later.get(idOf(runId), at);
      return row ? Number(row.at) : null;
    },
    holderOf(runId) {
      const row = lease.get(runId);
      return row ? (JSON.parse(String(row.value)) as { holder: string | null }).holder : null;
    },
    isLocked() {
      try {
        db.exec('BEGIN IMMEDIATE');
        db.exec('ROLLBACK');
        return false;
      } catch {
        return true;
      }
    },
    close: () => db.close(),
  };
}
