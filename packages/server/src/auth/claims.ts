import { ClientMadeId, WireError } from '@continuo/protocol';
import { ALL_SCOPES, type Principal, type Scope } from '../core/access.ts';

/** What a token may do that says nothing of it. */
const USUAL_SCOPES: readonly Scope[] = ['read', 'write', 'publish'];
const EVERYTHING: readonly string[] = ['*'];
/** The last moment that a date can say, in unix ms. */
const LAST_MS = 8.64e15;

/** How far the clocks of the two sides may differ, in seconds. */
export const CLOCK_TOLERANCE_SECONDS = 5;

export type Claims = Readonly<Record<string, unknown>>;

/** A claim's time in unix ms, within what a date can say. `exp` and `nbf` are in seconds. */
export function millisecondsOf(seconds: number): number {
  return Math.max(-LAST_MS, Math.min(LAST_MS, seconds * 1000));
}

/**
 * Who a token names whose signature and times are good. Throws `unauthorized` that names the claim which is wrong.
 * `now` in unix ms: a token that is over, but within the tolerance, lasts as long as the tolerance does.
 */
export function principalOfClaims(claims: Claims, now: number): Principal {
  const { sub, user_id: userId, jti, exp } = claims;
  const subject = ClientMadeId.safeParse(sub);
  if (!subject.success) throw wrong('sub', 'must be printable text of 1 to 200 characters');
  const user = subject.data;
  if (userId !== undefined && userId !== user && !isNumberOf(userId, user))
    throw wrong('user_id', 'must be the same as "sub"');
  if (jti !== undefined && typeof jti !== 'string') throw wrong('jti', 'must be text');
  if (typeof exp !== 'number') throw wrong('exp', 'must be a number');
  const end = millisecondsOf(exp);
  return {
    subject: user,
    user,
    scopes: scopesOf(claims),
    patterns: { agents: patternsOf(claims, 'agents'), channels: patternsOf(claims, 'channels') },
    ...(jti !== undefined && { tokenId: jti }),
    expiresAt: end > now ? end : end + CLOCK_TOLERANCE_SECONDS * 1000,
  };
}

function isNumberOf(userId: unknown, user: string): boolean {
  return typeof userId === 'number' && String(userId) === user;
}

/**
 * `scopes` is ours and says exactly what is allowed. `scope` is shared with other services: where it names nothing of
 * ours, it says nothing about us.
 */
function scopesOf({ scopes, scope }: Claims): ReadonlySet<Scope> {
  if (scopes !== undefined) {
    if (!isTextList(scopes)) throw wrong('scopes', 'must be a list of text');
    return known(scopes);
  }
  if (scope === undefined) return new Set(USUAL_SCOPES);
  if (typeof scope !== 'string') throw wrong('scope', 'must be text, with blanks between the scopes');
  const named = known(scope.split(' '));
  return named.size > 0 ? named : new Set(USUAL_SCOPES);
}

function known(names: readonly string[]): ReadonlySet<Scope> {
  return new Set(ALL_SCOPES.filter((scope) => names.includes(scope)));
}

function patternsOf(claims: Claims, claim: 'agents' | 'channels'): readonly string[] {
  const patterns = claims[claim];
  if (patterns === undefined) return EVERYTHING;
  if (!isTextList(patterns)) throw wrong(claim, 'must be a list of names, or of prefixes that end in "*"');
  return patterns;
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function wrong(claim: string, rule: string): WireError {
  return new WireError('unauthorized', `This token's "${claim}" ${rule}: ask for a new one.`);
}
