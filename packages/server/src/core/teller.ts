import type { Draft } from '@continuo/protocol';
import type { Clock, Logs, Report } from '../ports.ts';
import type { Lobby } from './lobby.ts';
import type { Journal } from './log.ts';
import { clientKeyOf, type LobbyChange, type Told } from './members-fold.ts';
import { logOf } from './names.ts';
import type { Servers } from './servers.ts';
import { correctionOf } from './told.ts';

/** Changes in one append. */
const BATCH = 500;
/** How long a teller that failed waits until it tries again, in ms. */
const RETRY_MS = 500;
/** How long a channel's changes are kept after the last of them, and how often that time is moved on, in ms. */
const KEEP_MS = 24 * 3_600_000;
const TOUCH_MS = 3_600_000;

/** A change to be told. */
export interface Pending {
  readonly change: Omit<LobbyChange, 'by' | 'batch'>;
  /** Where several servers may tell it: the same on each. */
  readonly id?: string;
  /** It was not stored, as far as is known. */
  failed(): void;
}

export interface Teller {
  /** Resolves when all that was pending at the call is in the lobby and the channels know of it. */
  tell(): Promise<void>;
  /** Resolves when what is being told is stored, or could not be. */
  settled(): Promise<void>;
  /** What the lobby says and the channels have not been told, as far as is known. */
  owe(told: readonly Told[]): void;
  /** No more is tried again. */
  close(): void;
}

export interface TellerOptions {
  readonly logs: Logs;
  readonly lobby: Lobby;
  readonly journal: Journal;
  readonly servers: Servers;
  readonly clock: Clock;
  readonly report: Report;
  /** At most `count` changes that wait. */
  take(count: number): readonly Pending[];
  sourceOf(told: Told): string;
}

/**
 * Stores what changed here: all of one tick in one append to the lobby, then what the merged view became in the logs of
 * the channels. One round at a time, so that a change is computed from all those before it.
 */
export function createTeller(options: TellerOptions): Teller {
  const { logs, lobby, journal, servers, clock, report, take, sourceOf } = options;
  const touched = new Map<string, number>();
  let owed: Told[] = [];
  let batch = 0;
  let count = 0;
  let newest: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | null = null;
  let stopRetry = (): void => {};
  let closed = false;

  async function round(): Promise<void> {
    await servers.announce();
    await lobby.open();
    for (;;) {
      await payOff();
      const pending = take(BATCH);
      if (pending.length === 0) return;
      batch++;
      await store(pending);
    }
  }

  async function store(pending: readonly Pending[]): Promise<void> {
    const by = servers.me;
    const drafts = pending.map(({ change, id = `${by}:${++count}` }): Draft => {
      return { id, type: 'presence', data: { ...change, by, batch } };
    });
    try {
      const { offsets, head } = await journal.append(logOf.lobby(), drafts);
      await lobby.upTo({ epoch: head.epoch, offset: Math.max(...offsets) });
    } catch (error) {
      for (const { failed } of pending) failed();
      throw error;
    }
  }

  async function payOff(): Promise<void> {
    while (owed.length > 0) {
      const paid = owed;
      const stored = await toldTo(paid);
      owed = owed.slice(paid.length);
      owe(await contradicted(stored));
    }
  }

  function owe(told: readonly Told[]): void {
    owed = [...owed, ...told];
  }

  /** The changes that were not stored before. */
  async function toldTo(all: readonly Told[]): Promise<readonly Told[]> {
    const byChannel = Map.groupBy(all, ({ channel }) => channel);
    const stored = await Promise.all(
      [...byChannel].map(async ([channel, told]) => {
        const log = logOf.presence(channel);
        const drafts = told.map((each): Draft => {
          const { id, type, clientId, status, metadata } = each;
          return { id, type, data: { client_id: clientId, status, metadata }, source: sourceOf(each) };
        });
        const appended = await journal.append(log, drafts);
        await touch(log);
        return appended.stored > 0 ? told : [];
      }),
    );
    return stored.flat();
  }

  /**
   * Servers write to a channel's log in any order, the lobby has one: whoever wrote looks at the lobby again, and where
   * its last word on a client is not true any more it says what is. So the last word of all is true.
   */
  async function contradicted(told: readonly Told[]): Promise<readonly Told[]> {
    if (told.length === 0) return [];
    await lobby.present();
    const { fold, position } = lobby;
    const last = new Map(told.map((each) => [`${each.channel} ${clientKeyOf(each)}`, each]));
    return [...last.values()].flatMap((each) => correctionOf(each, fold, position));
  }

  async function touch(log: string): Promise<void> {
    const now = clock.now();
    if (now - (touched.get(log) ?? 0) < TOUCH_MS) return;
    if (touched.size > 10_000) touched.clear();
    touched.set(log, now);
    await logs.keep(log, now + KEEP_MS + TOUCH_MS);
  }

  function tell(): Promise<void> {
    if (next) return next;
    stopRetry();
    const telling = newest.then(
      () =>
        new Promise<void>((resolve, reject) => {
          clock.soon(() => {
            next = null; // what comes from here on waits for the next round
            round().then(resolve, reject);
          });
        }),
    );
    next = telling;
    newest = telling.catch((error: unknown) => {
      report('telling who is on channels', error);
      if (!closed) stopRetry = clock.schedule(clock.now() + RETRY_MS, () => void tell().catch(() => {}));
    });
    return telling;
  }

  return {
    tell,
    async settled() {
      await (next?.catch(() => {}) ?? newest);
    },
    owe,
    close() {
      closed = true;
      stopRetry();
    },
  };
}
