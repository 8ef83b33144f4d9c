import { type ComponentRef, type TellsUser, WireError } from '@continuo/protocol';

/** Characters of the reason of a member's end. */
const REASON_CHARACTERS = 400;

/** Why a team or a workflow failed: a member or a step of it did. Its message is for the person. */
export class MemberError extends Error implements TellsUser {
  override readonly name = 'MemberError';
  readonly tellsUser = true;
}

/** Ends the whole run, however deep it is thrown: `details.code` is the code of the run's end. */
export function depthError(limit: number, { kind, id }: ComponentRef): WireError {
  const message = `Members within members may be ${limit} deep, and the ${kind} "${id}" would be one deeper. Nest less, or raise limits.depth.`;
  return new WireError('invalid', message, { details: { code: 'depth_limit', limit } });
}

/** Whether the run as a whole has come to a limit: no member's failure, and not to be mended by a leader. */
export function isLimit(error: unknown): error is WireError {
  return error instanceof WireError && codeOf(error)?.endsWith('_limit') === true;
}

/** What a person is told of an error. The rest of it is for the log. */
export function toldOf(
  error: unknown,
  { kind, id }: Pick<ComponentRef, 'kind' | 'id'>,
): { readonly reason: string; readonly code?: string } {
  const code = error instanceof WireError ? codeOf(error) : null;
  return {
    reason: tellsUser(error)
      ? error.message.slice(0, REASON_CHARACTERS)
      : `The ${kind} "${id}" failed. The server has noted why.`,
    ...(code && { code }),
  };
}

export function tellsUser(error: unknown): error is WireError | TellsUser {
  if (!(error instanceof Error) || error.message === '') return false;
  return error instanceof WireError || ('tellsUser' in error && error.tellsUser === true);
}

function codeOf({ details }: WireError): string | null {
  return typeof details.code === 'string' ? details.code : null;
}
