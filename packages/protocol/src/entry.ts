/** What is appended: the store adds log, epoch, offset, time and the run's index. */
export interface Draft {
  /** Idempotency key within its log: a second append with the same id stores nothing. Bears its kind: `msg:<message_id>`. */
  readonly id: string;
  readonly type: string;
  /** Any JSON value. */
  readonly data: unknown;
  /** Who made it: a client id, or `agent:<id>`. */
  readonly source?: string;
}

/** One stored entry of a log. */
export interface Entry extends Draft {
  readonly log: string;
  readonly epoch: string;
  /** 1 for the first entry of an epoch; no holes; never reused. */
  readonly offset: number;
  /** Unix milliseconds of the append. */
  readonly at: number;
  /** The run that wrote it, if one did. */
  readonly run?: string;
  /** 0-based place among the entries of that run; no holes. */
  readonly runIndex?: number;
}
