/** What the store and its worker thread say to each other. Data travels as JSON text. */

export interface DraftRow {
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly source: string | null;
}

export interface EntryRow extends DraftRow {
  readonly offset: number;
  readonly at: number;
  readonly run: string | null;
  readonly run_index: number | null;
}

export interface HeadRow {
  readonly epoch: string;
  readonly offset: number;
  readonly oldest: number;
  readonly bytes: number;
  readonly ended: boolean;
  readonly fence: number;
}

export type Request =
  | {
      readonly kind: 'append';
      readonly log: string;
      readonly drafts: readonly DraftRow[];
      readonly at: number;
      readonly run: string | null;
      readonly token: number;
      /** The only epoch it may write to; `null`: any. */
      readonly epoch: string | null;
      readonly end: boolean;
    }
  | {
      readonly kind: 'read';
      readonly log: string;
      readonly epoch: string | null;
      readonly after: number;
      readonly entries: number;
      readonly bytes: number;
      readonly now: number;
    }
  | { readonly kind: 'heads'; readonly logs: readonly string[]; readonly now: number }
  | { readonly kind: 'find'; readonly log: string; readonly id: string; readonly now: number }
  | { readonly kind: 'trim'; readonly log: string; readonly before: number }
  | { readonly kind: 'keep'; readonly log: string; readonly until: number }
  | { readonly kind: 'get'; readonly key: string; readonly now: number }
  | {
      readonly kind: 'put';
      readonly key: string;
      readonly value: string;
      readonly ifVersion: number | null;
      readonly expiresAt: number | null;
      readonly now: number;
    }
  | { readonly kind: 'remove'; readonly key: string; readonly ifVersion: number | null; readonly now: number }
  | {
      readonly kind: 'list';
      readonly prefix: string;
      readonly after: string;
      readonly limit: number;
      readonly now: number;
    }
  | { readonly kind: 'sweep'; readonly now: number };

/**
 * Entries that follow each other, by column, each the text of a JSON array: many cost a third of what their rows do. That
 * of the data is long: its bytes change hands, as a string would be copied twice.
 */
export interface PackedEntries {
  readonly ids: string;
  readonly ats: string;
  readonly types: string;
  readonly data: Uint8Array<ArrayBuffer>;
  readonly sources: string;
  readonly runs: string;
  readonly runIndexes: string;
}

export interface ReadReply {
  readonly epoch: string;
  readonly reset: 'epoch' | 'trimmed' | 'ahead' | null;
  readonly oldest: number;
  /** Few entries as rows, many packed. */
  readonly entries: readonly EntryRow[] | PackedEntries;
  readonly bytes: number;
  readonly more: boolean;
  readonly ended: boolean;
}

export interface RecordRow {
  readonly key: string;
  readonly value: string;
  readonly version: number;
}

export interface Replies {
  append:
    | { readonly offsets: readonly number[]; readonly stored: number; readonly head: HeadRow }
    | { readonly refused: 'fenced' | 'ended' };
  read: ReadReply;
  heads: readonly (HeadRow | null)[];
  find: { readonly epoch: string; readonly offset: number } | null;
  trim: null;
  keep: null;
  get: RecordRow | null;
  put: number | null;
  remove: boolean;
  list: readonly RecordRow[];
  sweep: null;
}

export type Reply = Replies[keyof Replies];

/** Several requests, done in their order in one transaction. */
export interface Batch {
  readonly kind: 'batch';
  readonly id: number;
  readonly requests: readonly Request[];
}

export type ToWorker = Batch | { readonly kind: 'watch'; readonly on: boolean } | { readonly kind: 'close' };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'batch'; readonly id: number; readonly replies: readonly Reply[] }
  | { readonly kind: 'batch-failed'; readonly id: number; readonly message: string }
  | { readonly kind: 'changed'; readonly heads: readonly { readonly log: string; readonly offset: number }[] }
  | { readonly kind: 'closed' };
