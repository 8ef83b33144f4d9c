import type { ErrorCode } from '@continuo/protocol';
import type { Journal } from '../core/log.ts';

/** What only the moment itself can count: plain numbers of one gateway, read when somebody asks for its metrics. */
export interface Tally {
  /** Entries stored by this gateway. */
  readonly appends: number;
  /** Errors told to clients. */
  readonly errors: ReadonlyMap<ErrorCode, number>;
  /** Messages that a consumer could not handle. */
  readonly deadLetters: number;
  /** Messages delivered again because they were not acked in time, or refused. */
  readonly redeliveries: number;
  error(code: ErrorCode): void;
  deadLetter(): void;
  redelivery(): void;
  /** The same journal, with what it stores counted. */
  around(journal: Journal): Journal;
}

export function createTally(): Tally {
  let appends = 0;
  let deadLetters = 0;
  let redeliveries = 0;
  const errors = new Map<ErrorCode, number>();
  return {
    get appends() {
      return appends;
    },
    errors,
    get deadLetters() {
      return deadLetters;
    },
    get redeliveries() {
      return redeliveries;
    },
    deadLetter() {
      deadLetters++;
    },
    redelivery() {
      redeliveries++;
    },
    error(code) {
      errors.set(code, (errors.get(code) ?? 0) + 1);
    },
    around: (journal) => ({
      async append(log, drafts, options) {
        const appended = await journal.append(log, drafts, options);
        appends += appended.stored;
        return appended;
      },
      close: journal.close,
    }),
  };
}
