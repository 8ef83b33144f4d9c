/**
 * Migrations, oldest first: `PRAGMA user_version` counts the ones that ran. Never edit one that was released.
 *
 * `entries` is clustered by (log, offset), so that a page is one range scan. `logs.changed` is the number of the last
 * change, from one counter for the whole file, so that other processes find what changed by one index range.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL);
  INSERT INTO counter VALUES (1, 0);
  CREATE TABLE openers (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, boot TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    head INTEGER NOT NULL DEFAULT 0,
    oldest INTEGER NOT NULL DEFAULT 1,
    bytes INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    keep_until INTEGER,
    changed INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX logs_changed ON logs (changed);
  CREATE INDEX logs_keep ON logs (keep_until) WHERE keep_until IS NOT NULL;
  CREATE TABLE entries (
    log INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    source TEXT,
    run TEXT,
    run_index INTEGER,
    PRIMARY KEY (log, offset)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX entries_id ON entries (log, id);
  CREATE TABLE runs (log INTEGER NOT NULL, run TEXT NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (log, run)) WITHOUT ROWID;
  CREATE TABLE records (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX records_expiry ON records (expires_at) WHERE expires_at IS NOT NULL;
  `,
];
