import type { ErrorCode, WireError } from '@continuo/protocol';
import type { Hono } from 'hono';
import type { Report } from '../ports.ts';
import { statusOf } from './http.ts';
import { toWireError } from './socket.ts';

export interface RunErrorOptions {
  readonly report: Report;
  /** Called for every error that a client is told. */
  readonly onError?: (code: ErrorCode) => void;
}

/** Makes everything that these routes throw the `{"detail"}` of door 4; a conflict tells with what, too. */
export function answerErrors(routes: Hono, { report, onError }: RunErrorOptions): void {
  routes.onError((error, c) => {
    const wireError = toWireError(error, report);
    onError?.(wireError.code);
    return c.json(bodyOf(wireError), statusOf(wireError.code) as 400);
  });
}

function bodyOf({ code, message, details }: WireError): object {
  return code === 'conflict' ? { ...details, detail: message } : { detail: message };
}
