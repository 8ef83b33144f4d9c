/** What a client should do after an error: `never` come back, `now`, `after` a delay, or `with-new-token`. */
export type RetryRule = 'never' | 'now' | 'after' | 'with-new-token';

interface ErrorRow {
  readonly status: number;
  /** The WebSocket close code when the error ends the connection. */
  readonly close: number;
  readonly retry: RetryRule;
}

/** Every error that can appear on the wire: one table for frames, HTTP and close codes. */
export const ERRORS = {
  bad_frame: { status: 400, close: 4400, retry: 'never' },
  bad_request: { status: 400, close: 4400, retry: 'never' },
  unknown_type: { status: 400, close: 4400, retry: 'never' },
  wrong_door: { status: 400, close: 4400, retry: 'never' },
  invalid_protocol_hello: { status: 400, close: 4400, retry: 'never' },
  unauthorized: { status: 401, close: 4401, retry: 'with-new-token' },
  forbidden: { status: 403, close: 4403, retry: 'never' },
  push_disabled: { status: 403, close: 4403, retry: 'never' },
  not_found: { status: 404, close: 4404, retry: 'never' },
  agent_not_found: { status: 404, close: 4404, retry: 'never' },
  handshake_timeout: { status: 408, close: 4408, retry: 'after' },
  conflict: { status: 409, close: 4409, retry: 'never' },
  too_late: { status: 409, close: 4409, retry: 'never' },
  taken_over: { status: 409, close: 4409, retry: 'never' },
  too_large: { status: 413, close: 4400, retry: 'never' },
  invalid: { status: 422, close: 4400, retry: 'never' },
  version_unsupported: { status: 426, close: 4426, retry: 'never' },
  rate_limited: { status: 429, close: 4429, retry: 'after' },
  inbox_full: { status: 429, close: 4429, retry: 'after' },
  slow_consumer: { status: 503, close: 4508, retry: 'now' },
  draining: { status: 503, close: 4503, retry: 'after' },
  unavailable: { status: 503, close: 4503, retry: 'after' },
  internal: { status: 500, close: 4500, retry: 'after' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** An error a peer may be told about. `message` says what was wrong and what to do; `cause` is never sent. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: ErrorCode;
  /** Extra fields of the error frame or body. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Close codes outside the table: 1000 is final, everything unknown is a broken connection. */
export function retryRuleOf(closeCode: number): RetryRule {
  if (closeCode === 1000) return 'never';
  for (const row of Object.values(ERRORS)) if (row.close === closeCode) return row.retry;
  return 'now';
}
