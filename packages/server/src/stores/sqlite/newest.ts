import { DatabaseSync } from 'node:sqlite';

/**
 * When the newest entry of the log that changed last was stored, in unix ms; `null` when nothing was. Reads the file
 * without changing it, also beside servers that have it open. Throws when it cannot be read.
 */
export function newestEntryAt(path: string): number | null {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const row = db
      .prepare(
        `SELECT max(at) AS at FROM entries JOIN
           (SELECT id, head FROM logs WHERE head >= oldest ORDER BY changed DESC LIMIT 100) AS newest
         ON entries.log = newest.id AND entries.offset = newest.head`,
      )
      .get();
    return typeof row?.at === 'number' ? row.at : null;
  } finally {
    db.close();
  }
}
