import type { DeadLetter, Draft, Entry } from '@continuo/protocol';
import { type Clock, type Logs, type Random, type Report, StoreError } from '../ports.ts';
import { createDeadFold, type Letter, type RedrivenData, type StoredDeadLetter } from './dead-fold.ts';
import type { Journal } from './log.ts';
import { storedMessage } from './message.ts';
import { logOf } from './names.ts';
import { type ChannelPage, createFilling, emptyPage, limitOf, type PageQuery, startOf } from './page.ts';
import { createTurns } from './turns.ts';

/** How long dead letters are kept after the last one of their channel, in ms. */
const KEEP_MS = 7 * 24 * 3_600_000;
/** How often that time is moved on, in ms. */
const TOUCH_MS = 3_600_000;
/** Letters read at once, consumers asked at once, and letters of one that are marked in one entry. */
const READ_AT_ONCE = 50;
const CONSUMERS_AT_ONCE = 16;
const MARKED_AT_ONCE = 100;

/** Whose dead letters: those of one owner's consumers, or everybody's. */
export type Whose = { readonly owner: string } | { readonly all: true };

export interface Burial {
  readonly channel: string;
  readonly entry: Entry;
  readonly owner: string;
  readonly clientId: string;
  readonly consumerKey: string;
  /** How often it was delivered. */
  readonly attempts: number;
  readonly reason: DeadLetter['reason'];
  /** Unix ms of its first delivery since it was published or redriven: with it a message may die again. */
  readonly handedAt: number;
}

/** Makes a message of a consumer due again. False where the channel, or the consumer, has it no more. */
export type Reopen = (
  consumerKey: string,
  log: string,
  position: { readonly epoch: string; readonly offset: number },
) => Promise<boolean>;

export interface DeadLetters {
  /** Stored when it resolves; the same death again stores nothing. */
  bury(burial: Burial): Promise<void>;
  /** Those that were not redriven, in the order of their deaths: at most 1,000 and 512 KiB. */
  list(channel: string, query: PageQuery, whose: Whose): Promise<ChannelPage<DeadLetter>>;
  /** Has them delivered again: all, or those with these event ids. How many are; the others stay listed. */
  redrive(channel: string, eventIds: readonly string[] | undefined, whose: Whose): Promise<number>;
}

export interface DeadLettersOptions {
  readonly logs: Logs;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  readonly reopen: Reopen;
  /** Called for every message that was buried here. */
  onBuried?(): void;
}

/** What consumers could not handle: a log beside each channel's, and the fold of it. */
export function createDeadLetters(options: DeadLettersOptions): DeadLetters {
  const { logs, journal, clock, random, report, reopen, onBuried } = options;
  const inTurn = createTurns();
  const fold = createDeadFold({ logs, clock });
  const touched = new Map<string, number>();

  async function touch(log: string): Promise<void> {
    const now = clock.now();
    if (now - (touched.get(log) ?? 0) < TOUCH_MS) return;
    await logs.keep(log, now + KEEP_MS + TOUCH_MS);
    if (touched.size > 10_000) touched.clear();
    touched.set(log, now);
  }

  async function store(log: string, draft: Draft & { readonly data: StoredDeadLetter }): Promise<number> {
    try {
      return (await journal.append(log, [draft])).stored;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'too_large') throw error;
      // The message alone fits, what is said about it does not: it can be redriven all the same.
      report(`a dead letter of ${log} is kept without its data`, error);
      return (await journal.append(log, [{ ...draft, data: { ...draft.data, data: null } }])).stored;
    }
  }

  function mine(letters: readonly Letter[], whose: Whose): readonly Letter[] {
    return 'all' in whose ? letters : letters.filter(({ owner }) => owner === whose.owner);
  }

  async function read(log: string, { offset }: Letter, epoch: string): Promise<DeadLetter | null> {
    const page = await logs.read(log, { epoch, offset: offset - 1 }, { entries: 1, bytes: 1 });
    const [entry] = page.kind === 'page' ? page.entries : [];
    if (!entry) return null; // trimmed meanwhile
    const { owner: _owner, epoch: _epoch, consumer_key: _key, ...letter } = entry.data as StoredDeadLetter;
    return letter;
  }

  /** Letters of one consumer. How many are due again: each is said to be before the next hundred are asked for. */
  async function redriveSome(channel: string, letters: readonly Letter[]): Promise<number> {
    let count = 0;
    for (let from = 0; from < letters.length; from += MARKED_AT_ONCE) {
      const ids: string[] = [];
      let failure: { readonly error: unknown } | null = null;
      for (const { id, consumerKey, epoch, sequence } of letters.slice(from, from + MARKED_AT_ONCE)) {
        try {
          const position = { epoch, offset: sequence };
          if (await reopen(consumerKey, logOf.channel(channel), position)) ids.push(id);
        } catch (error) {
          failure = { error };
          break;
        }
      }
      const data: RedrivenData = { ids };
      const draft: Draft = { id: `redriven:${random.id()}`, type: 'redriven', data };
      if (ids.length > 0) await journal.append(logOf.dead(channel), [draft]);
      if (failure) throw failure.error;
      count += ids.length;
    }
    return count;
  }

  async function redrive(
    channel: string,
    eventIds: readonly string[] | undefined,
    whose: Whose,
  ): Promise<number> {
    const folded = await fold.of(logOf.dead(channel));
    if (!folded) return 0;
    const ids = eventIds && new Set(eventIds);
    const byConsumer = new Map<string, Letter[]>();
    for (const letter of mine(folded.letters, whose)) {
      if (ids && !ids.has(letter.eventId)) continue;
      const letters = byConsumer.get(letter.consumerKey) ?? [];
      byConsumer.set(letter.consumerKey, letters);
      letters.push(letter);
    }
    const consumers = [...byConsumer.values()];
    let count = 0;
    for (let from = 0; from < consumers.length; from += CONSUMERS_AT_ONCE) {
      const some = consumers.slice(from, from + CONSUMERS_AT_ONCE);
      const results = await Promise.allSettled(some.map((letters) => redriveSome(channel, letters)));
      for (const result of results) {
        if (result.status === 'rejected') throw result.reason;
        count += result.value;
      }
    }
    return count;
  }

  return {
    async bury({ channel, entry, owner, clientId, consumerKey, attempts, reason, handedAt }) {
      const log = logOf.dead(channel);
      const data: StoredDeadLetter = {
        ...storedMessage(entry, channel),
        client_id: clientId,
        attempts,
        reason,
        died_at: clock.now() / 1_000,
        owner,
        epoch: entry.epoch,
        consumer_key: consumerKey,
      };
      const id = `dead:${entry.epoch}:${entry.offset}:${handedAt}:${consumerKey}`;
      const stored = await store(log, { id, type: 'dead', data });
      if (stored > 0) onBuried?.();
      await touch(log);
    },

    async list(channel, query, whose) {
      const log = logOf.dead(channel);
      const folded = await fold.of(log);
      if (!folded) return emptyPage(query);
      const { head } = folded;
      const { after, recovered } = startOf(query, head);
      const asked = mine(folded.letters, whose).filter(({ offset }) => offset > after);
      const wanted = asked.slice(0, limitOf(query));
      const filling = createFilling<DeadLetter>();
      let cursor = after;
      let full = false;
      for (let from = 0; from < wanted.length && !full; from += READ_AT_ONCE) {
        const some = wanted.slice(from, from + READ_AT_ONCE);
        const letters = await Promise.all(some.map((letter) => read(log, letter, head.epoch)));
        for (const [index, letter] of letters.entries()) {
          full = letter !== null && !filling.add(letter);
          if (full) break;
          cursor = some[index]?.offset ?? cursor;
        }
      }
      return {
        messages: filling.items,
        cursor,
        more: full || asked.length > wanted.length,
        epoch: head.epoch,
        oldest_cursor: head.oldest,
        recovered,
      };
    },

    // One after the other: what one had delivered again, the next does not find.
    redrive: (channel, eventIds, whose) => inTurn(channel, () => redrive(channel, eventIds, whose)),
  };
}
