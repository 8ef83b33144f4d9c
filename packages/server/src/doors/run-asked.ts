import { type Component, WireError } from '@continuo/protocol';
import type { Context } from 'hono';
import type { Principal } from '../core/access.ts';
import type { Run, Runs } from '../core/runs.ts';
import type { Head, Logs } from '../ports.ts';

/** A request to a component, by somebody who may use it. */
export interface RunAsked {
  readonly c: Context;
  readonly component: Component;
  readonly principal: Principal;
}

export const TOKEN_ENDED: WireError = new WireError(
  'unauthorized',
  'Your token has ended. Come back with a new one.',
);
export const CLOSING: WireError = new WireError(
  'draining',
  'This server is about to close. Ask again: another goes on.',
);

/** The run of the request's path. Throws `not_found`: also for one of another session than the one that is given. */
export async function findRun(
  runs: Runs,
  { c, component, principal }: RunAsked,
  sessionId: string | undefined,
): Promise<Run> {
  const run = await runs.find(principal.user, component, c.req.param('runId') ?? '');
  if (run && (sessionId === undefined || sessionId === run.sessionId)) return run;
  throw new WireError('not_found', 'Run not found');
}

/** Where a run's log stands; the record of a run may be there a moment before its log. */
export async function headOf(logs: Logs, { log }: Run): Promise<Head> {
  return (await logs.heads([log]))[0] ?? (await logs.append(log, [])).head;
}

/**
 * The offset after which to read, and the index that was asked for, -1 for none. Every entry of a run's own log is an
 * event of the run, so index i has offset i + 1.
 */
export function positionOf(
  last: number | undefined,
  head: Head,
): { readonly after: number; readonly requested: number } {
  if (last === undefined || last < 0) return { after: head.oldest - 1, requested: -1 };
  return { after: Math.min(last + 1, head.offset), requested: Math.min(last, Number.MAX_SAFE_INTEGER) };
}
