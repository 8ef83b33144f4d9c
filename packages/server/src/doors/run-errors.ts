import type { ErrorCode } from '@continuo/protocol';
import type { Hono } from 'hono';
import type { Report } from '../ports.ts';
import { statusOf } from './http.ts';
import { toWireError } from './socket.ts';

export interface RunErrorOptions {
  readonly report: Report;
  /** Called for every error that a client is told. */
  readonly onError?: (code: ErrorCode) => void;
}

/** Makes everything that these routes throw the `{"detail", "code"}` of door 4, with what an error has beside it. */
export function answerErrors(routes: Hono, { report, onError }: RunErrorOptions): void {
  routes.onError((error, c) => {
    const { code, message, details } = toWireError(error, report);
    onError?.(code);
    return c.json({ detail: message, ...details, code }, statusOf(code) as 400);
  });
}
