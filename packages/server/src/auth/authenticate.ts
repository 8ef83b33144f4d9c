import { hash, timingSafeEqual } from 'node:crypto';
import { WireError } from '@continuo/protocol';
import { ALL_SCOPES, type Principal, type Scope } from '../core/access.ts';
import type { Clock, Report } from '../ports.ts';
import type { FetchKeys } from './jwks.ts';
import { createVerifyJwt, type JwtOptions } from './jwt.ts';

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

/** Who may connect: tokens that are configured, JWTs that somebody else signs, or both. */
export interface AuthOptions {
  readonly tokens?: readonly StaticToken[];
  readonly jwt?: JwtOptions;
}

/**
 * The one place where a credential becomes a principal. Throws `unauthorized` with what to do, and `unavailable` when
 * the keys that would judge it cannot be had.
 */
export type Authenticate = (credential: string | undefined) => Promise<Principal>;

export interface AuthenticateOptions extends AuthOptions {
  readonly clock: Clock;
  readonly report: Report;
  /** How the keys at `jwksUrl` are fetched. Default: the platform's. */
  readonly fetch?: FetchKeys;
}

const EVERYTHING: readonly string[] = ['*'];
/** Characters of a credential that is looked at. A JWT with a long list of patterns has some thousands. */
const MAX_CREDENTIAL = 16_384;

/** Whether a token is required at all. */
export function isConfigured({ tokens = [], jwt }: AuthOptions): boolean {
  return tokens.length > 0 || jwt !== undefined;
}

/** With nothing configured everybody is `local`: fit for loopback only. Throws for options that make no sense. */
export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { tokens = [], jwt, clock, report, fetch = globalThis.fetch } = options;
  if (!isConfigured(options)) {
    const local = principalOf({ token: '', subject: 'local' });
    return async () => local;
  }
  checkTokens(tokens);
  const known = tokens.map((token) => ({ digest: digestOf(token.token), principal: principalOf(token) }));
  const verify = jwt && createVerifyJwt({ jwt, clock, report, fetch });
  return async (credential) => {
    if (credential === undefined || credential === '') {
      throw new WireError(
        'unauthorized',
        'A token is required: send it as "token" in the first frame, or as "Authorization: Bearer".',
        { details: { missing: true } },
      );
    }
    if (credential.length <= MAX_CREDENTIAL) {
      const digest = digestOf(credential);
      const match = known.find((each) => timingSafeEqual(each.digest, digest));
      if (match) return match.principal;
      if (verify && isLikeJwt(credential)) return verify(credential);
    }
    throw new WireError('unauthorized', 'This token is not valid here. Ask the operator for another.');
  };
}

function checkTokens(tokens: readonly StaticToken[]): void {
  for (const [index, { token }] of tokens.entries()) {
    if (typeof token !== 'string' || token === '' || token.length > MAX_CREDENTIAL)
      throw new RangeError(`auth.tokens[${index}].token must be text of 1 to ${MAX_CREDENTIAL} characters`);
  }
}

/** Three parts: what else it is, is for the verifier to say. */
function isLikeJwt(credential: string): boolean {
  return credential.split('.', 4).length === 3;
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

/** Changes with the credentials that are good here, and tells nothing of them. */
export function fingerprintOf({ tokens = [], jwt }: AuthOptions): string {
  return digestOf(JSON.stringify([tokens, jwt])).toString('base64url');
}

/** SHA-256. */
export function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/** The token of an `Authorization: Bearer` header. */
export function bearerOf(header: string | null | undefined): string | undefined {
  const match = header ? /^Bearer +(\S+)$/i.exec(header) : null;
  return match?.[1];
}
