import { createHash, timingSafeEqual } from 'node:crypto';
import { WireError } from '@continuo/protocol';
import { ALL_SCOPES, type Principal, type Scope } from '../core/access.ts';

/** A token that is configured, and whose it is. */
export interface StaticToken {
  readonly token: string;
  /** Default `operator`. */
  readonly subject?: string;
  /** Default: all. */
  readonly scopes?: readonly Scope[];
  /** Names, or prefixes ending in `*`. Default: all. */
  readonly agents?: readonly string[];
  readonly channels?: readonly string[];
}

/** The one place where a credential becomes a principal. Throws `unauthorized` with what to do. */
export type Authenticate = (credential: string | undefined) => Promise<Principal>;

const EVERYTHING: readonly string[] = ['*'];

/** Without tokens everybody is `local`: fit for loopback only. */
export function createAuthenticate(tokens: readonly StaticToken[]): Authenticate {
  if (tokens.length === 0) {
    const local = principalOf({ token: '', subject: 'local' });
    return async () => local;
  }
  const known = tokens.map((token) => ({ digest: digestOf(token.token), principal: principalOf(token) }));
  return async (credential) => {
    if (credential === undefined || credential === '') {
      throw new WireError(
        'unauthorized',
        'A token is required: send it as "token" in the first frame, or as "Authorization: Bearer".',
        { details: { missing: true } },
      );
    }
    const digest = digestOf(credential);
    const match = known.find((each) => timingSafeEqual(each.digest, digest));
    if (!match)
      throw new WireError('unauthorized', 'This token is not valid here. Ask the operator for another.');
    return match.principal;
  };
}

function principalOf(token: StaticToken): Principal {
  const subject = token.subject ?? 'operator';
  return {
    subject,
    user: subject,
    scopes: new Set(token.scopes ?? ALL_SCOPES),
    patterns: { agents: token.agents ?? EVERYTHING, channels: token.channels ?? EVERYTHING },
  };
}

/** Changes with the tokens, and tells nothing of them. */
export function fingerprintOf(tokens: readonly StaticToken[]): string {
  return digestOf(JSON.stringify(tokens)).toString('base64url');
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The token of an `Authorization: Bearer` header. */
export function bearerOf(header: string | null | undefined): string | undefined {
  const match = header ? /^Bearer +(\S+)$/i.exec(header) : null;
  return match?.[1];
}
