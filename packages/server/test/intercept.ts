import type { Draft } from '@continuo/protocol';
import type { Logs, Records, Store } from '../src/ports.ts';

/** One call of a store. `key`: the log, the record's key, or the logs asked for, joined by blanks. */
export interface StoreCall {
  readonly name: keyof Logs | keyof Records;
  readonly key: string;
  readonly drafts?: readonly Draft[];
  readonly value?: unknown;
}

/** Stands between the server and its store: it may count, fail, wait, or never answer. */
export type Around = <T>(call: StoreCall, go: () => Promise<T>) => Promise<T>;

export function interceptStore(store: Store, around: Around): Store {
  const { logs, records } = store;
  return {
    ...store,
    logs: {
      append: (log, drafts, options) =>
        around({ name: 'append', key: log, drafts }, () => logs.append(log, drafts, options)),
      read: (log, after, limit) => around({ name: 'read', key: log }, () => logs.read(log, after, limit)),
      heads: (names) => around({ name: 'heads', key: names.join(' ') }, () => logs.heads(names)),
      find: (log, id) => around({ name: 'find', key: log }, () => logs.find(log, id)),
      trim: (log, before) => around({ name: 'trim', key: log }, () => logs.trim(log, before)),
      keep: (log, until) => around({ name: 'keep', key: log }, () => logs.keep(log, until)),
    },
    records: {
      get: (key) => around({ name: 'get', key }, () => records.get(key)),
      put: (key, value, options) =>
        around({ name: 'put', key, value }, () => records.put(key, value, options)),
      remove: (key, ifVersion) => around({ name: 'remove', key }, () => records.remove(key, ifVersion)),
      list: (prefix, options) => around({ name: 'list', key: prefix }, () => records.list(prefix, options)),
    },
  };
}

export interface CountedStore {
  readonly store: Store;
  /** The calls of one name since the last `reset`, in order. */
  calls(name: StoreCall['name']): readonly StoreCall[];
  reset(): void;
}

export function countCalls(store: Store): CountedStore {
  let calls: StoreCall[] = [];
  return {
    store: interceptStore(store, (call, go) => {
      calls.push(call);
      return go();
    }),
    calls: (name) => calls.filter((call) => call.name === name),
    reset() {
      calls = [];
    },
  };
}
