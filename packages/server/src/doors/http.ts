import { decodeVectorCursor, ERRORS, type ErrorCode, type VectorCursor, WireError } from '@continuo/protocol';
import type { Context } from 'hono';
import type { ZodType } from 'zod';
import { bearerOf } from '../auth/authenticate.ts';
import { parseJson } from './json.ts';

/** What the HTTP doors share: credentials, bodies, statuses. */

export function credentialOf(c: Context): string | undefined {
  return bearerOf(c.req.header('authorization')) ?? c.req.query('token');
}

export function statusOf(code: ErrorCode): number {
  return ERRORS[code].status;
}

/** The body of a request as an object: JSON, or a form whose values are all text. Empty: `{}`. */
export async function readBody(c: Context): Promise<unknown> {
  const type = c.req.header('content-type') ?? '';
  if (type.startsWith('application/x-www-form-urlencoded') || type.startsWith('multipart/form-data')) {
    try {
      return await c.req.parseBody();
    } catch (cause) {
      throw new WireError('bad_request', 'The body is not the form that its content-type says.', { cause });
    }
  }
  const text = await c.req.text();
  if (text === '') return {};
  return parseJson(text, 'bad_request', 'The body must be JSON, or a form with the content-type of one.');
}

/** Checks a body against its schema; what does not fit is `code`, with the field that is wrong. */
export function parseBody<T>(schema: ZodType<T>, body: unknown, code: ErrorCode): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.');
  throw new WireError(code, where ? `"${where}" ${issue?.message}` : `${issue?.message}`);
}

/** The positions that a client presents; of none, none. Throws `bad_request` for text that no gateway made. */
export function positionsOf(cursor: string | undefined): VectorCursor {
  const positions = decodeVectorCursor(cursor ?? '');
  if (!positions) throw new WireError('bad_request', '"cursor" is not one that this gateway made.');
  return positions;
}
