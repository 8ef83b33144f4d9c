import type { DeadLetter, Entry } from '@continuo/protocol';
import type { Clock, Head, Logs } from '../ports.ts';
import { foldLog } from './fold.ts';

/** What a log of dead letters says now: which of them are there, and whose they are. */

/** The data of an entry `dead`: what clients see, and where it came from. */
export interface StoredDeadLetter extends DeadLetter {
  readonly owner: string;
  /** Of the channel's log, with `sequence` the message's position. */
  readonly epoch: string;
  readonly consumer_key: string;
}

/** The data of an entry `redriven`: ids of entries `dead`. */
export interface RedrivenData {
  readonly ids: readonly string[];
}

/** One that was not redriven, without its message. */
export interface Letter {
  readonly id: string;
  /** In the log of dead letters. */
  readonly offset: number;
  readonly eventId: string;
  readonly owner: string;
  readonly consumerKey: string;
  readonly epoch: string;
  readonly sequence: number;
}

interface Fold {
  epoch: string;
  offset: number;
  /** By id, in the order of their deaths. */
  readonly letters: Map<string, Letter>;
  usedAt: number;
}

/** Letters remembered for all channels, and for how long where nobody asks, in ms. */
const MAX_LETTERS = 50_000;
const REMEMBER_MS = 60_000;

export interface DeadFold {
  /** The letters of a log up to its head, by their offsets; `null`: there is no such log. */
  of(log: string): Promise<{ readonly head: Head; readonly letters: readonly Letter[] } | null>;
}

/** Reads a log of dead letters once, and from then on what is new: one reading at a time. */
export function createDeadFold({ logs, clock }: { readonly logs: Logs; readonly clock: Clock }): DeadFold {
  /** Least recently used first. */
  const folds = new Map<string, Fold>();
  const reading = new Map<string, Promise<unknown>>();

  async function catchUp(
    log: string,
  ): Promise<{ readonly head: Head; readonly letters: readonly Letter[] } | null> {
    const [head] = await logs.heads([log]);
    if (!head) {
      folds.delete(log);
      return null;
    }
    const { epoch, oldest } = head;
    const before = folds.get(log);
    const isGood = before?.epoch === epoch && before.offset + 1 >= oldest && before.offset <= head.offset;
    const fold = isGood
      ? before
      : { epoch, offset: oldest - 1, letters: new Map<string, Letter>(), usedAt: 0 };
    const reached = await foldLog(logs, log, { epoch, offset: fold.offset }, (entry) => apply(fold, entry));
    if (!reached) {
      folds.delete(log); // it was trimmed or lost while it was read
      return catchUp(log);
    }
    fold.offset = reached.offset;
    for (const letter of fold.letters.values()) if (letter.offset < oldest) fold.letters.delete(letter.id);
    fold.usedAt = clock.now();
    folds.delete(log);
    folds.set(log, fold);
    forget(log);
    return { head, letters: [...fold.letters.values()] };
  }

  function forget(except: string): void {
    let count = 0;
    for (const { letters } of folds.values()) count += letters.size;
    for (const [log, { letters, usedAt }] of folds) {
      if (log === except) continue;
      if (count <= MAX_LETTERS && clock.now() - usedAt < REMEMBER_MS) break;
      folds.delete(log);
      count -= letters.size;
    }
  }

  return {
    async of(log) {
      const turn = (reading.get(log) ?? Promise.resolve()).then(
        () => catchUp(log),
        () => catchUp(log),
      );
      reading.set(log, turn);
      try {
        return await turn;
      } finally {
        if (reading.get(log) === turn) reading.delete(log);
      }
    },
  };
}

function apply({ letters }: Fold, { id, type, offset, data }: Entry): void {
  if (type === 'redriven') {
    for (const redriven of (data as RedrivenData).ids) letters.delete(redriven);
    return;
  }
  const { event_id: eventId, owner, consumer_key: consumerKey, epoch, sequence } = data as StoredDeadLetter;
  letters.set(id, { id, offset, eventId, owner, consumerKey, epoch, sequence });
}
