import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MIGRATIONS } from './schema.ts';

/**
 * What survives. `process`: everything that was acknowledged survives a `kill -9`; after a power cut the newest may be
 * gone, and then every log says so by a new epoch. `power`: an fsync before each acknowledgement.
 */
export type Durability = 'process' | 'power';

export interface OpenFile {
  readonly db: DatabaseSync;
  close(): void;
}

/** Opens or creates the file, brings its schema up to date, and gives its logs new epochs if it may have lost entries. */
export function openFile(path: string, durability: Durability): OpenFile {
  if (path !== ':memory:') makeFolder(dirname(path));
  const db = new DatabaseSync(path, { timeout: 10_000 });
  db.exec('PRAGMA journal_mode = WAL');
  db.exec(`PRAGMA synchronous = ${durability === 'power' ? 'FULL' : 'NORMAL'}`);
  db.exec('PRAGMA cache_size = -2000; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 2000');
  transaction(db, () => migrate(db));

  const id = randomUUID();
  const boot = bootId();
  transaction(db, () => {
    const others = db.prepare('SELECT id FROM openers WHERE boot <> ?').all(boot);
    if (others.length > 0) {
      // Somebody had the file open when the machine went down: what it had not fsynced is gone.
      if (durability === 'process') db.prepare('UPDATE logs SET epoch = ?').run(randomUUID().slice(0, 13));
      db.prepare('DELETE FROM openers WHERE boot <> ?').run(boot);
    }
    db.prepare('INSERT INTO openers VALUES (?, ?, ?)').run(id, process.pid, boot);
  });

  return {
    db,
    close() {
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)'); // fsyncs all that was committed, also by processes that were killed
      const openers = db.prepare('SELECT id, pid FROM openers').all() as { id: string; pid: number }[];
      for (const opener of openers) {
        if (opener.id === id || !isAlive(opener.pid))
          db.prepare('DELETE FROM openers WHERE id = ?').run(opener.id);
      }
      db.close();
    },
  };
}

/** As `mkdir -p`. Node's own `recursive` never returns where a file system refuses with ENOENT, as /proc does. */
function makeFolder(folder: string): void {
  const missing: string[] = [];
  for (let each = resolve(folder); !existsSync(each); each = dirname(each)) missing.push(each);
  for (const each of missing.toReversed()) {
    try {
      mkdirSync(each);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // another process was faster
    }
  }
}

function migrate(db: DatabaseSync): void {
  const row = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (row.user_version > MIGRATIONS.length) {
    throw new Error(
      `its schema ${row.user_version} is newer than this version of continuo knows (${MIGRATIONS.length})`,
    );
  }
  for (const migration of MIGRATIONS.slice(row.user_version)) db.exec(migration);
  db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
}

function transaction(db: DatabaseSync, work: () => void): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    work();
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

/** Changes with every start of the machine. */
function bootId(): string {
  try {
    if (process.platform === 'linux') return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    if (process.platform === 'darwin')
      return execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8' }).trim();
  } catch {
    // Not told: a start of the process is then taken for a start of the machine, which is the safe side.
  }
  return randomUUID();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
