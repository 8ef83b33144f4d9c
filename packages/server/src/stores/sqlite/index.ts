import { Worker } from 'node:worker_threads';
import { type Draft, type Entry, MAX_ENTRY_DATA } from '@continuo/protocol';
import { createSqliteBus } from '../../buses/sqlite.ts';
import {
  type Appended,
  type AppendOptions,
  type Clock,
  type Logs,
  type LostPosition,
  type Page,
  type Records,
  type Store,
  StoreError,
} from '../../ports.ts';
import type {
  EntryRow,
  FromWorker,
  PackedEntries,
  ReadReply,
  RecordRow,
  Replies,
  Reply,
  Request,
  ToWorker,
} from './messages.ts';
import type { Durability } from './open.ts';

export type { Durability };

const SWEEP_MS = 60_000;
/** Requests of one transaction at most, so that a burst cannot hold the file for long. */
const BATCH_REQUESTS = 2_000;

export interface SqliteStoreOptions {
  /** The database file; its folder is made when missing. */
  readonly path: string;
  readonly clock: Clock;
  /** Default `process`. */
  readonly durability?: Durability;
  /** Bytes of the largest entry's data. Default: {@link MAX_ENTRY_DATA}. */
  readonly maxDataBytes?: number;
}

interface Waiting {
  readonly request: Request;
  readonly resolve: (reply: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Everything in one file, for any number of processes of one machine. What is asked within a tick, or while the thread
 * is at work, is one transaction. Rejects with `unavailable` when the file cannot be opened or read.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { clock, path, durability = 'process', maxDataBytes = MAX_ENTRY_DATA } = options;
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
    workerData: { path, durability },
  });
  const tell = (message: ToWorker): void => worker.postMessage(message);

  let queue: Waiting[] = [];
  let underWay: Waiting[] = [];
  let scheduled = false;
  let batches = 0;
  let gone: StoreError | null = null;
  let closing: Promise<void> | null = null;
  let onClosed = (): void => {};
  const bus = createSqliteBus({ clock, watch: (on) => tell({ kind: 'watch', on }) });

  function flush(): void {
    scheduled = false;
    if (underWay.length > 0 || queue.length === 0) return;
    underWay = queue.slice(0, BATCH_REQUESTS);
    queue = queue.slice(BATCH_REQUESTS);
    tell({ kind: 'batch', id: ++batches, requests: underWay.map((waiting) => waiting.request) });
  }

  function ask<K extends Request['kind']>(request: Extract<Request, { kind: K }>): Promise<Replies[K]> {
    if (gone) return Promise.reject(gone);
    if (closing) return Promise.reject(new StoreError('unavailable', `${path} is closed`));
    return new Promise((resolve, reject) => {
      queue.push({ request, resolve, reject });
      if (scheduled) return;
      scheduled = true;
      clock.soon(flush);
    });
  }

  function settle(replies: readonly Reply[]): void {
    const done = underWay;
    underWay = [];
    flush();
    for (const [index, waiting] of done.entries()) waiting.resolve(replies[index] as never);
  }

  function fail(error: StoreError): void {
    const lost = underWay;
    underWay = [];
    for (const waiting of lost) waiting.reject(error);
  }

  function die(error: StoreError): void {
    gone = error;
    fail(error);
    for (const waiting of queue.splice(0)) waiting.reject(error);
    onClosed();
  }

  const opened = new Promise<void>((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      switch (message.kind) {
        case 'ready':
          return resolve();
        case 'failed':
          return reject(new StoreError('unavailable', `cannot open ${path}: ${message.message}`));
        case 'batch':
          return settle(message.replies);
        case 'batch-failed':
          fail(new StoreError('unavailable', `${path}: ${message.message}`));
          return flush();
        case 'changed':
          for (const { log, offset } of message.heads) bus.wake(log, offset);
          return;
        case 'closed':
          return onClosed();
        default:
          return message satisfies never;
      }
    });
    worker.on('error', (cause) => {
      const error = new StoreError('unavailable', `the thread of ${path} died`, { cause });
      reject(error);
      die(error);
    });
  });
  await opened;

  let stopSweep = (): void => {};
  const sweepLater = (): void => {
    stopSweep = clock.schedule(clock.now() + SWEEP_MS, () => {
      ask({ kind: 'sweep', now: clock.now() }).catch(() => {}); // the next sweep does it
      sweepLater();
    });
  };
  sweepLater();

  async function close(): Promise<void> {
    stopSweep();
    while (!gone && (underWay.length > 0 || queue.length > 0))
      await new Promise<void>((next) => clock.soon(next));
    if (gone) return;
    await new Promise<void>((resolve) => {
      onClosed = resolve;
      tell({ kind: 'close' });
    });
    await worker.terminate();
  }

  return {
    name: 'sqlite',
    logs: createLogs(ask, clock, maxDataBytes),
    records: createRecords(ask, clock),
    bus,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

type Ask = <K extends Request['kind']>(request: Extract<Request, { kind: K }>) => Promise<Replies[K]>;

function createLogs(ask: Ask, clock: Clock, maxDataBytes: number): Logs {
  function row(log: string, draft: Draft): { id: string; type: string; data: string; source: string | null } {
    const data = JSON.stringify(draft.data ?? null);
    if (Buffer.byteLength(data) > maxDataBytes) {
      throw new StoreError('too_large', `${log}: ${draft.id} has more than ${maxDataBytes} bytes`);
    }
    return { id: draft.id, type: draft.type, data, source: draft.source ?? null };
  }

  return {
    async append(log, drafts, { fence, end = false }: AppendOptions = {}): Promise<Appended> {
      const reply = await ask({
        kind: 'append',
        log,
        drafts: drafts.map((draft) => row(log, draft)),
        at: clock.now(),
        end,
        run: fence?.run ?? null,
        token: fence?.token ?? 0,
        epoch: fence?.epoch ?? null,
      });
      if (!('refused' in reply)) return reply;
      const why =
        reply.refused === 'fenced'
          ? `token ${fence?.token} of epoch ${fence?.epoch ?? 'any'} may not write any more`
          : 'it has ended';
      throw new StoreError(reply.refused, `${log}: ${why}`);
    },
    async read(log, after, limit): Promise<Page | LostPosition> {
      const reply = await ask({
        kind: 'read',
        log,
        epoch: after.epoch ?? null,
        after: after.offset,
        entries: limit.entries,
        bytes: limit.bytes,
        now: clock.now(),
      });
      if (reply.reset) {
        const to = { epoch: reply.epoch, offset: reply.oldest - 1 };
        return { kind: 'reset', reset: { log, reason: reply.reset, from: after, to } };
      }
      return toPage(log, after.offset, reply);
    },
    heads: (logs) => ask({ kind: 'heads', logs, now: clock.now() }),
    find: (log, id) => ask({ kind: 'find', log, id, now: clock.now() }),
    async trim(log, before) {
      await ask({ kind: 'trim', log, before });
    },
    async keep(log, until) {
      await ask({ kind: 'keep', log, until });
    },
  };
}

function toPage(log: string, after: number, reply: ReadReply): Page {
  const { epoch, bytes, more, ended } = reply;
  const rows = 'ids' in reply.entries ? unpack(reply.entries, after) : reply.entries.map(parseData);
  const entries = rows.map((entry) => toEntry(log, epoch, entry));
  return { kind: 'page', entries, bytes, next: { epoch, offset: after + entries.length }, more, ended };
}

/** A row whose data is the value. */
type ParsedRow = Omit<EntryRow, 'data'> & { readonly data: unknown };

function parseData(row: EntryRow): ParsedRow {
  return { ...row, data: JSON.parse(row.data) };
}

const decoder = new TextDecoder();

function unpack(packed: PackedEntries, after: number): ParsedRow[] {
  const types: string[] = JSON.parse(packed.types);
  const ats: number[] = JSON.parse(packed.ats);
  const data: unknown[] = JSON.parse(decoder.decode(packed.data));
  const sources: (string | null)[] = JSON.parse(packed.sources);
  const runs: (string | null)[] = JSON.parse(packed.runs);
  const indexes: (number | null)[] = JSON.parse(packed.runIndexes);
  return (JSON.parse(packed.ids) as string[]).map((id, at) => ({
    offset: after + 1 + at, // a log has no holes
    id,
    at: ats[at] ?? 0,
    type: types[at] ?? '',
    data: data[at],
    source: sources[at] ?? null,
    run: runs[at] ?? null,
    run_index: indexes[at] ?? null,
  }));
}

function toEntry(log: string, epoch: string, row: ParsedRow): Entry {
  const { offset, id, at, type, data, source, run, run_index } = row;
  // No spreads: a page has thousands of these.
  const entry: Mutable<Entry> = { log, epoch, offset, id, at, type, data };
  if (source !== null) entry.source = source;
  if (run !== null) entry.run = run;
  if (run_index !== null) entry.runIndex = run_index;
  return entry;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function createRecords(ask: Ask, clock: Clock): Records {
  const toStored = ({
    key,
    value,
    version,
  }: RecordRow): { key: string; value: unknown; version: number } => ({
    key,
    value: JSON.parse(value),
    version,
  });
  return {
    async get(key) {
      const row = await ask({ kind: 'get', key, now: clock.now() });
      return row && toStored(row);
    },
    put: (key, value, { ifVersion, expiresAt } = {}) =>
      ask({
        kind: 'put',
        key,
        value: JSON.stringify(value),
        now: clock.now(),
        ifVersion: ifVersion ?? null,
        expiresAt: expiresAt ?? null,
      }),
    remove: (key, ifVersion) => ask({ kind: 'remove', key, ifVersion: ifVersion ?? null, now: clock.now() }),
    async list(prefix, { after = '', limit }) {
      const rows = await ask({ kind: 'list', prefix, after, limit, now: clock.now() });
      return rows.map(toStored);
    },
  };
}
