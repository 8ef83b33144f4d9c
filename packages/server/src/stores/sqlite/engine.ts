import { randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { lossOf } from '@continuo/protocol';
import type {
  EntryRow,
  HeadRow,
  PackedEntries,
  ReadReply,
  RecordRow,
  Replies,
  Reply,
  Request,
} from './messages.ts';

/** The store's SQL, on one connection. Every batch is one transaction: its requests happen in order, or none does. */
export interface Engine {
  run(requests: readonly Request[]): Reply[];
  /** The logs that other connections changed since the last call. */
  changes(): { log: string; offset: number }[];
}

/** How many rows one sweep deletes of each kind, so that it never holds the file for long. */
const SWEEP_ROWS = 10_000;

/** Above so many entries a page is packed. */
const MANY = 32;
/** Bytes of a log at most of which a page is packed before it is known to fit: so much may be for nothing. */
const PACKED_UNSEEN = 64 * 1024 * 1024;
const NO_PAGE: PageRows = { entries: [], count: 0, bytes: 0 };

interface Limit {
  readonly entries: number;
  readonly bytes: number;
}

interface PageRows {
  readonly entries: ReadReply['entries'];
  readonly count: number;
  readonly bytes: number;
}

interface LogRow {
  readonly id: number;
  readonly epoch: string;
  readonly head: number;
  readonly oldest: number;
  readonly bytes: number;
  readonly ended: number;
  readonly fence: number;
  readonly keep_until: number | null;
}

const WRITES: ReadonlySet<Request['kind']> = new Set(['append', 'trim', 'keep', 'put', 'remove', 'sweep']);

export function createEngine(db: DatabaseSync): Engine {
  const cache = new Map<string, StatementSync>();
  /** The file's counter: read when a transaction first needs it, written back when it commits. */
  let counter = 0;
  let counterRead = false;
  let seenVersion = dataVersion();
  let seenChange = currentCounter();

  function sql(text: string): StatementSync {
    let statement = cache.get(text);
    if (!statement) {
      statement = db.prepare(text);
      cache.set(text, statement);
    }
    return statement;
  }

  function row<T>(text: string, ...values: (string | number | null)[]): T | undefined {
    return sql(text).get(...values) as T | undefined;
  }

  function dataVersion(): number {
    return row<{ data_version: number }>('PRAGMA data_version')?.data_version ?? 0;
  }

  function currentCounter(): number {
    return row<{ value: number }>('SELECT value FROM counter')?.value ?? 0;
  }

  function nextCount(): number {
    if (!counterRead) counter = currentCounter();
    counterRead = true;
    return ++counter;
  }

  function findLog(name: string, now: number): LogRow | undefined {
    const log = row<LogRow>(
      'SELECT id, epoch, head, oldest, bytes, ended, fence, keep_until FROM logs WHERE name = ?',
      name,
    );
    return log && (log.keep_until === null || log.keep_until > now) ? log : undefined;
  }

  function forget(name: string): void {
    const log = row<{ id: number }>('SELECT id FROM logs WHERE name = ?', name);
    if (!log) return;
    for (const table of ['entries', 'runs']) sql(`DELETE FROM ${table} WHERE log = ?`).run(log.id);
    sql('DELETE FROM logs WHERE id = ?').run(log.id);
  }

  function createLog(name: string): LogRow {
    forget(name); // one that is past its time is still there until the sweep
    const epoch = randomUUID().slice(0, 13);
    const { lastInsertRowid } = sql('INSERT INTO logs (name, epoch) VALUES (?, ?)').run(name, epoch);
    const id = Number(lastInsertRowid);
    return { id, epoch, head: 0, oldest: 1, bytes: 0, ended: 0, fence: 0, keep_until: null };
  }

  function offsetOf(log: number, id: string): number | undefined {
    return row<{ offset: number }>('SELECT offset FROM entries WHERE log = ? AND id = ?', log, id)?.offset;
  }

  function append(request: Extract<Request, { kind: 'append' }>): Replies['append'] {
    const found = findLog(request.log, request.at);
    if (request.run !== null && found && request.token < found.fence) return { refused: 'fenced' };
    if (request.epoch !== null && request.epoch !== found?.epoch) return { refused: 'fenced' };
    if (found?.ended && request.drafts.some((draft) => offsetOf(found.id, draft.id) === undefined)) {
      return { refused: 'ended' };
    }
    const log = found ?? createLog(request.log);
    let { head, bytes } = log;
    const firstIndex = request.run === null ? 0 : nextRunIndex(log.id, request.run);
    let stored = 0;
    const offsets: number[] = [];
    for (const { id, type, data, source } of request.drafts) {
      const { changes } = sql(
        `INSERT INTO entries (log, offset, id, at, type, data, source, run, run_index)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (log, id) DO NOTHING`,
      ).run(
        log.id,
        head + 1,
        id,
        request.at,
        type,
        data,
        source,
        ...(request.run === null ? [null, null] : [request.run, firstIndex + stored]),
      );
      if (changes === 0) {
        offsets.push(offsetOf(log.id, id) ?? 0);
        continue;
      }
      offsets.push(++head);
      bytes += Buffer.byteLength(data);
      stored++;
    }
    if (request.run !== null && stored > 0) {
      sql('INSERT INTO runs VALUES (?, ?, ?) ON CONFLICT (log, run) DO UPDATE SET next = excluded.next').run(
        log.id,
        request.run,
        firstIndex + stored,
      );
    }
    const ended = request.end ? 1 : log.ended;
    const fence = request.run === null ? log.fence : request.token;
    sql('UPDATE logs SET head = ?, bytes = ?, ended = ?, fence = ?, changed = ? WHERE id = ?').run(
      head,
      bytes,
      ended,
      fence,
      nextCount(),
      log.id,
    );
    return { offsets, stored, head: toHead({ ...log, head, bytes, ended, fence }) };
  }

  function nextRunIndex(log: number, run: string): number {
    return row<{ next: number }>('SELECT next FROM runs WHERE log = ? AND run = ?', log, run)?.next ?? 0;
  }

  function read(request: Extract<Request, { kind: 'read' }>): ReadReply {
    const log = findLog(request.log, request.now);
    const { epoch, head, oldest, ended } = log ?? { epoch: '', head: 0, oldest: 1, ended: 0 };
    const { after } = request;
    const at = { offset: after, ...(request.epoch !== null && { epoch: request.epoch }) };
    const reset = lossOf(at, { epoch, offset: head, oldest });
    const most = log && !reset ? Math.min(request.entries, head - after) : 0;
    const { entries, count, bytes } = log
      ? page(log, after, { entries: most, bytes: request.bytes })
      : NO_PAGE;
    const more = after + count < head;
    return { epoch, reset, oldest, entries, bytes, more, ended: ended === 1 && !more };
  }

  function page(log: LogRow, after: number, limit: Limit): PageRows {
    if (limit.entries <= 0) return NO_PAGE;
    if (limit.entries <= MANY) return fewRows(log.id, after, limit);
    if (seemsToFit(log, limit)) {
      const entries = packed(log.id, after, limit.entries); // all are there: a log has no holes
      const bytes = entries.data.byteLength - limit.entries - 1; // without brackets and commas
      if (bytes <= limit.bytes) return { entries, count: limit.entries, bytes };
    }
    const { count, bytes } = fitting(log.id, after, limit);
    return count <= MANY
      ? fewRows(log.id, after, { ...limit, entries: count })
      : { entries: packed(log.id, after, count), count, bytes };
  }

  /** Whether so many entries fit where all of the log are alike. */
  function seemsToFit({ head, oldest, bytes }: LogRow, limit: Limit): boolean {
    return bytes <= PACKED_UNSEEN && (bytes / (head - oldest + 1)) * limit.entries <= limit.bytes;
  }

  /** The first one comes even when it alone is too large. */
  function fewRows(log: number, after: number, limit: Limit): PageRows {
    const entries: EntryRow[] = [];
    let bytes = 0;
    const rows = sql(
      `SELECT offset, id, at, type, data, source, run, run_index FROM entries
       WHERE log = ? AND offset > ? ORDER BY offset LIMIT ?`,
    ).iterate(log, after, limit.entries) as Iterable<EntryRow>;
    for (const entry of rows) {
      const size = Buffer.byteLength(entry.data);
      if (entries.length > 0 && bytes + size > limit.bytes) break;
      entries.push(entry);
      bytes += size;
    }
    return { entries, count: entries.length, bytes };
  }

  /** How many entries after an offset a page has. */
  function fitting(log: number, after: number, limit: Limit): { count: number; bytes: number } {
    const all = row<{ count: number; bytes: number | null }>(
      `SELECT count(*) AS count, sum(octet_length(data)) AS bytes
       FROM (SELECT data FROM entries WHERE log = ? AND offset > ? ORDER BY offset LIMIT ?)`,
      log,
      after,
      limit.entries,
    );
    if (all && (all.bytes ?? 0) <= limit.bytes) return { count: all.count, bytes: all.bytes ?? 0 };
    let [count, bytes] = [0, 0];
    const sizes = sql(
      `SELECT octet_length(data) AS size FROM entries WHERE log = ? AND offset > ? ORDER BY offset LIMIT ?`,
    ).iterate(log, after, limit.entries) as Iterable<{ size: number }>;
    for (const { size } of sizes) {
      if (count > 0 && bytes + size > limit.bytes) break;
      count++;
      bytes += size;
    }
    return { count, bytes };
  }

  /** The aggregates take the rows in the order of the inner query, which has a limit and is therefore run as it stands. */
  function packed(log: number, after: number, count: number): PackedEntries {
    const entries = row<PackedEntries>(
      `SELECT json_group_array(id) AS ids, json_group_array(at) AS ats, json_group_array(type) AS types,
         CAST('[' || group_concat(data, ',') || ']' AS BLOB) AS data, json_group_array(source) AS sources,
         json_group_array(run) AS runs, json_group_array(run_index) AS runIndexes
       FROM (SELECT id, at, type, data, source, run, run_index FROM entries
             WHERE log = ? AND offset > ? ORDER BY offset LIMIT ?)`,
      log,
      after,
      count,
    );
    if (!entries) throw new Error('an aggregate has one row');
    return entries;
  }

  function trim(name: string, before: number): void {
    const log = findLog(name, 0);
    const last = Math.min(before, (log?.head ?? 0) + 1) - 1;
    if (!log || last < log.oldest) return;
    const gone = row<{ bytes: number | null }>(
      'SELECT sum(octet_length(data)) AS bytes FROM entries WHERE log = ? AND offset <= ?',
      log.id,
      last,
    );
    sql('DELETE FROM entries WHERE log = ? AND offset <= ?').run(log.id, last);
    sql('UPDATE logs SET oldest = ?, bytes = bytes - ? WHERE id = ?').run(last + 1, gone?.bytes ?? 0, log.id);
  }

  function findRecord(key: string, now: number): RecordRow | null {
    return (
      row<RecordRow>(
        'SELECT key, value, version FROM records WHERE key = ? AND (expires_at IS NULL OR expires_at > ?)',
        key,
        now,
      ) ?? null
    );
  }

  function put(request: Extract<Request, { kind: 'put' }>): number | null {
    const { key, value, ifVersion, expiresAt, now } = request;
    if (ifVersion !== null && (findRecord(key, now)?.version ?? 0) !== ifVersion) return null;
    const version = nextCount();
    sql('INSERT OR REPLACE INTO records (key, value, version, expires_at) VALUES (?, ?, ?, ?)').run(
      key,
      value,
      version,
      expiresAt,
    );
    return version;
  }

  function remove(key: string, ifVersion: number | null, now: number): boolean {
    const found = findRecord(key, now);
    if (!found || (ifVersion !== null && found.version !== ifVersion)) return false;
    sql('DELETE FROM records WHERE key = ?').run(key);
    return true;
  }

  function list(prefix: string, after: string, limit: number, now: number): RecordRow[] {
    return sql(
      `SELECT key, value, version FROM records
       WHERE key >= ? AND key < ? AND key > ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY key LIMIT ?`,
    ).all(prefix, `${prefix}\u{10ffff}`, after, now, limit) as unknown as RecordRow[];
  }

  function sweep(now: number): void {
    const dead = sql('SELECT name FROM logs WHERE keep_until <= ? LIMIT 100').all(now) as unknown as {
      name: string;
    }[];
    for (const { name } of dead) forget(name);
    sql('DELETE FROM records WHERE key IN (SELECT key FROM records WHERE expires_at <= ? LIMIT ?)').run(
      now,
      SWEEP_ROWS,
    );
  }

  function one(request: Request): Reply {
    switch (request.kind) {
      case 'append':
        return append(request);
      case 'read':
        return read(request);
      case 'heads':
        return request.logs.map((name) => {
          const log = findLog(name, request.now);
          return log ? toHead(log) : null;
        });
      case 'find': {
        const log = findLog(request.log, request.now);
        const offset = log && offsetOf(log.id, request.id);
        return log && offset !== undefined ? { epoch: log.epoch, offset } : null;
      }
      case 'trim':
        trim(request.log, request.before);
        return null;
      case 'keep':
        sql('UPDATE logs SET keep_until = ? WHERE name = ?').run(request.until, request.log);
        return null;
      case 'get':
        return findRecord(request.key, request.now);
      case 'put':
        return put(request);
      case 'remove':
        return remove(request.key, request.ifVersion, request.now);
      case 'list':
        return list(request.prefix, request.after, request.limit, request.now);
      case 'sweep':
        sweep(request.now);
        return null;
      default:
        return request satisfies never;
    }
  }

  return {
    run(requests) {
      const writes = requests.some((request) => WRITES.has(request.kind));
      counterRead = false;
      db.exec(writes ? 'BEGIN IMMEDIATE' : 'BEGIN');
      try {
        const replies = requests.map(one);
        if (counterRead) sql('UPDATE counter SET value = ?').run(counter);
        db.exec('COMMIT');
        return replies;
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK');
        throw error;
      }
    },

    changes() {
      const version = dataVersion();
      if (version === seenVersion) return [];
      seenVersion = version;
      const since = seenChange;
      seenChange = currentCounter();
      return sql('SELECT name AS log, head AS offset FROM logs WHERE changed > ?').all(since) as unknown as {
        log: string;
        offset: number;
      }[];
    },
  };
}

function toHead(log: LogRow): HeadRow {
  const { epoch, head, oldest, bytes, ended, fence } = log;
  return { epoch, offset: head, oldest, bytes, ended: ended === 1, fence };
}
