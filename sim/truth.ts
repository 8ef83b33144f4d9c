import { type Entry, eventOf } from '@continuo/protocol';
import type { Store } from '@continuo/server';
import { type Counters, must } from './counters.ts';

/** What was really stored, also after it was trimmed: every claim of a client is held against it. */
export interface Truth {
  readonly store: Store;
  /** Entries of one epoch of a log, by offset. */
  entries(log: string, epoch: string): ReadonlyMap<number, Entry>;
  /** Epochs of a log, oldest first. */
  epochs(log: string): readonly string[];
  logs(): readonly string[];
  /** Forgets a log at once, as a lost disk does. */
  lose(log: string): Promise<void>;
  isLost(log: string): boolean;
}

interface Lease {
  readonly holder: string | null;
}

export function createTruth(base: Store, counters: Counters): Truth {
  const all = new Map<string, Map<string, Map<number, Entry>>>();
  const offsets = new Map<string, number>();
  const lost = new Set<string>();

  function entriesOf(log: string, epoch: string): Map<number, Entry> {
    const epochs = all.get(log) ?? new Map<string, Map<number, Entry>>();
    all.set(log, epochs);
    const entries = epochs.get(epoch) ?? new Map<number, Entry>();
    epochs.set(epoch, entries);
    return entries;
  }

  /** `oldest`: the oldest entry that the log had kept when this one was stored. */
  function remember(entry: Entry, oldest: number): void {
    const entries = entriesOf(entry.log, entry.epoch);
    const known = entries.get(entry.offset);
    must(
      known === undefined || known.id === entry.id,
      `ST-1: ${entry.log} has two entries at ${entry.offset}`,
    );
    const key = `${entry.log} ${entry.epoch} ${entry.id}`;
    const first = offsets.get(key);
    must(
      first === undefined || first === entry.offset || first < oldest,
      `ST-3: ${entry.log} has ${entry.id} twice`,
    );
    offsets.set(key, entry.offset);
    entries.set(entry.offset, entry);
  }

  const { logs, records } = base;
  const store: Store = {
    ...base,
    logs: {
      ...logs,
      async append(log, drafts, options) {
        const appended = await logs.append(log, drafts, options);
        entriesOf(log, appended.head.epoch); // also of a log that was only opened
        if (appended.stored > 0) {
          const first = appended.head.offset - appended.stored;
          const page = await logs.read(log, { offset: first }, { entries: 10_000, bytes: 1 << 30 });
          if (page.kind === 'page') for (const entry of page.entries) remember(entry, appended.head.oldest);
        }
        return appended;
      },
    },
    records: {
      ...records,
      async put(key, value, options) {
        const before = key.startsWith('lease/') ? (await records.get(key))?.value : undefined;
        const version = await records.put(key, value, options);
        if (version !== null && before !== undefined) countExpiry(before as Lease, value as Lease);
        return version;
      },
    },
  };

  function countExpiry(before: Lease, after: Lease): void {
    if (before.holder !== null && after.holder !== null && before.holder !== after.holder)
      counters['lease expiries']++;
  }

  return {
    store,
    entries: (log, epoch) => all.get(log)?.get(epoch) ?? new Map(),
    epochs: (log) => [...(all.get(log)?.keys() ?? [])],
    logs: () => [...all.keys()],
    async lose(log) {
      counters['lost logs']++;
      lost.add(log);
      await logs.keep(log, 0);
    },
    isLost: (log) => lost.has(log),
  };
}

/** What must hold of the logs themselves, whoever looked at them. */
export function checkLogs(truth: Truth, counters: Counters): void {
  for (const log of truth.logs()) {
    for (const epoch of truth.epochs(log)) {
      const entries = [...truth.entries(log, epoch).values()].toSorted((a, b) => a.offset - b.offset);
      for (const [index, entry] of entries.entries()) {
        must(entry.offset === index + 1, `ST-1: ${log} has a hole before ${entry.offset}`);
      }
      if (!log.startsWith('channel:')) checkRuns(log, entries, counters);
    }
  }
}

function checkRuns(log: string, entries: readonly Entry[], counters: Counters): void {
  const ended = new Set<string>();
  const indices = new Map<string, number>();
  const attempts = new Map<string, number>();
  /** What each run has said in its attempt, of which the log has every word: its end says the whole. */
  const said = new Map<string, string>();
  for (const entry of entries) {
    const event = eventOf(entry);
    if (entry.run === undefined) continue;
    const { run } = entry;
    must(!ended.has(run), `L-6: ${log}: an entry of ${run} after its end: ${event.type}`);
    must(
      entry.runIndex === (indices.get(run) ?? -1) + 1,
      `ST-12: ${log}: run index ${entry.runIndex} of ${run}`,
    );
    indices.set(run, entry.runIndex);
    if (event.type === 'message') continue;
    must(
      event.attempt >= (attempts.get(run) ?? 1),
      `L-7: ${log}: attempt ${event.attempt} of ${run} wrote after a later one`,
    );
    attempts.set(run, event.attempt);
    if (event.type === 'run.started' || event.type === 'run.attempt') said.set(run, '');
    if (event.type === 'text.delta') said.set(run, (said.get(run) ?? '') + event.text);
    if (event.type === 'run.paused') counters['turns paused']++;
    if (event.type === 'run.attempt') counters['take-overs']++;
    if (event.type === 'approval.resolved' && event.expired) counters['approvals expired']++;
    if (event.type !== 'run.ended' || event.runId !== run) continue;
    ended.add(run);
    const whole = said.get(run) ?? '';
    must(
      event.content === whole,
      `L-1: ${log}: ${run} ended with "${event.content}" and has said "${whole}"`,
    );
    if (event.status === 'interrupted') counters['take-overs']++;
    if (event.status === 'cancelled') counters[log.startsWith('run:') ? 'runs cancelled' : 'turns aborted']++;
  }
  const created = entries.length > 0; // else its server died while it was asked for, and nobody knows it
  if (log.startsWith('run:') && created) must(ended.size === 1, `R-1: ${log} has ${ended.size} ends`);
}
