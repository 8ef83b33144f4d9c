import {
  type Cursor,
  type Draft,
  type Entry,
  lossOf,
  MAX_ENTRY_DATA,
  type ResetReason,
} from '@continuo/protocol';
import { createMemoryBus } from '../buses/memory.ts';
import {
  type Appended,
  type AppendOptions,
  type Clock,
  type Head,
  type Logs,
  type LostPosition,
  type Page,
  type Random,
  type Records,
  type Store,
  StoreError,
} from '../ports.ts';

/** How often logs and records past their time are swept out, in ms. */
const SWEEP_MS = 60_000;

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Bytes of the largest entry's data. Default: {@link MAX_ENTRY_DATA}. */
  readonly maxDataBytes?: number;
}

/** Everything in this process: gone with it. Several gateways of one process may share it. */
export function createMemoryStore(options: MemoryStoreOptions): Store {
  const { clock } = options;
  const logs = createMemoryLogs(options);
  const records = createMemoryRecords(clock);
  let stopSweep = (): void => {};
  const sweep = (): void => {
    logs.sweep();
    records.sweep();
    stopSweep = clock.schedule(clock.now() + SWEEP_MS, sweep);
  };
  stopSweep = clock.schedule(clock.now() + SWEEP_MS, sweep);
  return {
    name: 'memory',
    logs,
    records,
    bus: createMemoryBus(clock),
    async close() {
      stopSweep();
    },
  };
}

interface Log {
  readonly epoch: string;
  /** Kept entries, oldest first; `entries[0]` has offset `oldest`. */
  entries: Entry[];
  sizes: number[];
  oldest: number;
  readonly ids: Map<string, number>;
  readonly runs: Map<string, number>;
  bytes: number;
  ended: boolean;
  fence: number;
  keepUntil: number;
}

function headOf(log: Log): Head {
  const offset = log.oldest + log.entries.length - 1;
  return {
    epoch: log.epoch,
    offset,
    oldest: log.oldest,
    bytes: log.bytes,
    ended: log.ended,
    fence: log.fence,
  };
}

function createMemoryLogs(options: MemoryStoreOptions): Logs & { sweep(): void } {
  const { clock, random, maxDataBytes = MAX_ENTRY_DATA } = options;
  const all = new Map<string, Log>();

  function find(name: string): Log | undefined {
    const log = all.get(name);
    if (log && log.keepUntil <= clock.now()) {
      all.delete(name);
      return undefined;
    }
    return log;
  }

  function create(name: string): Log {
    const log: Log = {
      epoch: random.id(),
      entries: [],
      sizes: [],
      oldest: 1,
      ids: new Map(),
      runs: new Map(),
      bytes: 0,
      ended: false,
      fence: 0,
      keepUntil: Number.POSITIVE_INFINITY,
    };
    all.set(name, log);
    return log;
  }

  function append(name: string, drafts: readonly Draft[], { fence, end }: AppendOptions): Appended {
    const found = find(name);
    if (fence && found && fence.token < found.fence) {
      throw new StoreError('fenced', `${name}: token ${fence.token} is below ${found.fence}`);
    }
    if (fence?.epoch !== undefined && fence.epoch !== found?.epoch) {
      throw new StoreError('fenced', `${name}: epoch ${fence.epoch} is gone`);
    }
    const fresh = new Map<string, Draft>();
    for (const draft of drafts)
      if (!found?.ids.has(draft.id)) fresh.set(draft.id, fresh.get(draft.id) ?? draft);
    if (found?.ended && fresh.size > 0) throw new StoreError('ended', `${name} has ended`);
    const texts = new Map<string, string>();
    for (const { id, data } of fresh.values()) {
      const text = JSON.stringify(data ?? null);
      if (Buffer.byteLength(text) > maxDataBytes) {
        throw new StoreError('too_large', `${name}: ${id} has more than ${maxDataBytes} bytes`);
      }
      texts.set(id, text);
    }

    const log = found ?? create(name);
    if (fence) log.fence = fence.token;
    for (const { id, type, source } of fresh.values()) {
      const text = texts.get(id) ?? 'null';
      const offset = log.oldest + log.entries.length;
      let run = {};
      if (fence) {
        const runIndex = log.runs.get(fence.run) ?? 0;
        log.runs.set(fence.run, runIndex + 1);
        run = { run: fence.run, runIndex };
      }
      log.entries.push({
        log: name,
        epoch: log.epoch,
        offset,
        id,
        at: clock.now(),
        type,
        data: JSON.parse(text),
        ...(source !== undefined && { source }),
        ...run,
      });
      const size = Buffer.byteLength(text);
      log.sizes.push(size);
      log.bytes += size;
      log.ids.set(id, offset);
    }
    if (end) log.ended = true;
    return {
      offsets: drafts.map((draft) => log.ids.get(draft.id) ?? 0),
      stored: fresh.size,
      head: headOf(log),
    };
  }

  function lost(name: string, reason: ResetReason, from: Cursor, head: Head): LostPosition {
    return {
      kind: 'reset',
      reset: { log: name, reason, from, to: { epoch: head.epoch, offset: head.oldest - 1 } },
    };
  }

  return {
    async append(name, drafts, appendOptions = {}) {
      return append(name, drafts, appendOptions);
    },

    async read(name, after, limit): Promise<Page | LostPosition> {
      const log = find(name);
      const head = log ? headOf(log) : { epoch: '', offset: 0, oldest: 1, bytes: 0, ended: false, fence: 0 };
      const reason = lossOf(after, head);
      if (reason) return lost(name, reason, after, head);
      const entries: Entry[] = [];
      let bytes = 0;
      for (let index = after.offset + 1 - head.oldest; index < (log?.entries.length ?? 0); index++) {
        const entry = log?.entries[index];
        const size = log?.sizes[index] ?? 0;
        if (!entry || entries.length >= limit.entries || (entries.length > 0 && bytes + size > limit.bytes))
          break;
        entries.push(entry);
        bytes += size;
      }
      const offset = after.offset + entries.length;
      const more = offset < head.offset;
      return {
        kind: 'page',
        entries,
        bytes,
        next: { epoch: head.epoch, offset },
        more,
        ended: head.ended && !more,
      };
    },

    async heads(names) {
      return names.map((name) => {
        const log = find(name);
        return log ? headOf(log) : null;
      });
    },

    async trim(name, before) {
      const log = find(name);
      if (!log) return;
      const count = Math.min(before - log.oldest, log.entries.length);
      if (count <= 0) return;
      for (const entry of log.entries.splice(0, count)) log.ids.delete(entry.id);
      for (const size of log.sizes.splice(0, count)) log.bytes -= size;
      log.oldest += count;
    },

    async keep(name, until) {
      const log = find(name);
      if (log) log.keepUntil = until;
    },

    async find(name, id) {
      const log = find(name);
      const offset = log?.ids.get(id);
      return log && offset !== undefined ? { epoch: log.epoch, offset } : null;
    },

    sweep() {
      for (const name of all.keys()) find(name);
    },
  };
}

function createMemoryRecords(clock: Clock): Records & { sweep(): void } {
  interface Row {
    readonly text: string;
    readonly version: number;
    readonly expiresAt: number;
  }
  const rows = new Map<string, Row>();
  let versions = 0;

  function find(key: string): Row | undefined {
    const row = rows.get(key);
    if (row && row.expiresAt <= clock.now()) {
      rows.delete(key);
      return undefined;
    }
    return row;
  }

  return {
    async get(key) {
      const row = find(key);
      return row ? { key, value: JSON.parse(row.text), version: row.version } : null;
    },
    async put(key, value, { ifVersion, expiresAt = Number.POSITIVE_INFINITY } = {}) {
      if (ifVersion !== undefined && (find(key)?.version ?? 0) !== ifVersion) return null;
      versions++;
      rows.set(key, { text: JSON.stringify(value), version: versions, expiresAt });
      return versions;
    },
    async remove(key, ifVersion) {
      const row = find(key);
      if (!row || (ifVersion !== undefined && row.version !== ifVersion)) return false;
      return rows.delete(key);
    },
    async list(prefix, { after = '', limit }) {
      const keys = [...rows.keys()]
        .filter((key) => key.startsWith(prefix) && key > after && find(key))
        .sort();
      return keys.slice(0, limit).map((key) => {
        const row = rows.get(key);
        return { key, value: JSON.parse(row?.text ?? 'null'), version: row?.version ?? 0 };
      });
    },
    sweep() {
      for (const key of rows.keys()) find(key);
    },
  };
}
