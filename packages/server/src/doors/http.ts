import { decodeVectorCursor, ERRORS, type ErrorCode, type VectorCursor, WireError } from '@continuo/protocol';
import type { Context } from 'hono';
import type { ZodType, z } from 'zod';
import { bearerOf } from '../auth/authenticate.ts';
import { formReaderOf } from './form.ts';
import { parseJson } from './json.ts';

type Issue = z.core.$ZodIssue;

/** What the HTTP doors share: credentials, bodies, statuses. */

export function credentialOf(c: Context): string | undefined {
  return bearerOf(c.req.header('authorization')) ?? c.req.query('token');
}

export function statusOf(code: ErrorCode): number {
  return ERRORS[code].status;
}

/** The body of a request as an object: JSON, or a form whose values are all text, at most 1,000. Empty: `{}`. */
export async function readBody(c: Context): Promise<unknown> {
  const readForm = formReaderOf(c.req.header('content-type') ?? '');
  if (readForm) return readForm(await c.req.arrayBuffer().catch(breaksOff));
  const text = await c.req.text().catch(breaksOff);
  if (text === '') return {};
  return parseJson(text, 'bad_request', 'The body must be JSON, or a form with the content-type of one.');
}

/** Who sent it has gone. */
function breaksOff(cause: unknown): never {
  throw new WireError('bad_request', 'The body breaks off before its end.', { cause });
}

/** Checks a body against its schema; what does not fit is `code`, with the field that is wrong. */
export function parseBody<T>(schema: ZodType<T>, body: unknown, code: ErrorCode): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  const issue = first && mostTelling(first);
  const where = issue?.path.join('.');
  throw new WireError(code, where ? `"${where}" ${issue?.message}` : `${issue?.message}`);
}

/** Of what fits none of several forms: what is wrong in the form that it comes closest to. */
function mostTelling(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const tried = issue.errors
    .flat()
    .map((each) => mostTelling({ ...each, path: [...issue.path, ...each.path] }));
  const deepest = tried.toSorted((a, b) => b.path.length - a.path.length)[0];
  if (deepest && deepest.path.length > issue.path.length) return deepest;
  return tried.find(({ code }) => code !== 'invalid_type' && code !== 'invalid_union') ?? issue;
}

/** The positions that a client presents; of none, none. Throws `bad_request` for text that no gateway made. */
export function positionsOf(cursor: string | undefined): VectorCursor {
  const positions = decodeVectorCursor(cursor ?? '');
  if (!positions) throw new WireError('bad_request', '"cursor" is not one that this gateway made.');
  return positions;
}
