import { randomUUID } from 'node:crypto';
import { ClientMadeId } from '@continuo/protocol';
import { ALL_SCOPES } from '@continuo/server';
import { SignJWT } from 'jose';
import { parseDuration } from './duration.ts';
import { UsageError } from './fail.ts';

export interface TokenOptions {
  readonly sub: string;
  /** Comma-separated. */
  readonly scopes: string;
  readonly agents: string;
  readonly channels: string;
  readonly ttl: string;
}

export interface TokenEnv {
  readonly secret: string;
  /** Unix ms. */
  readonly now: number;
}

/** What a token allows unless more is said: to talk, not to administer. */
export const TOKEN_DEFAULTS: Omit<TokenOptions, 'sub'> = {
  scopes: 'read,write,publish',
  agents: '*',
  channels: '*',
  ttl: '1h',
};

/** Signs a token with HS256. Its claims are sub, user_id, scopes, agents, channels, jti, iat and exp. */
export async function signToken(options: TokenOptions, { secret, now }: TokenEnv): Promise<string> {
  const { sub } = options;
  if (!ClientMadeId.safeParse(sub).success)
    throw new UsageError(`--sub is "${sub}": it must be printable text of 1 to 200 characters.`);
  const scopes = listOf('--scopes', options.scopes);
  const known: readonly string[] = ALL_SCOPES;
  const unknown = scopes.find((scope) => !known.includes(scope));
  if (unknown !== undefined)
    throw new UsageError(`--scopes has "${unknown}": there are ${ALL_SCOPES.join(', ')}.`);
  const seconds = parseDuration(options.ttl);
  if (seconds === null) throw new UsageError(`--ttl is "${options.ttl}": write it as 90s, 15m, 1h or 30d.`);
  const issuedAt = Math.floor(now / 1000);
  return new SignJWT({
    user_id: sub,
    scopes,
    agents: patternsOf('--agents', options.agents),
    channels: patternsOf('--channels', options.channels),
  })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(sub)
    .setJti(randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + seconds)
    .sign(new TextEncoder().encode(secret));
}

function listOf(name: string, text: string): readonly string[] {
  const list = text.split(',').map((each) => each.trim());
  if (list.includes('')) throw new UsageError(`${name} is "${text}": give names with a comma between them.`);
  return list;
}

/** Names, or prefixes that end in `*`. */
function patternsOf(name: string, text: string): readonly string[] {
  const patterns = listOf(name, text);
  const wrong = patterns.find((pattern) => pattern.slice(0, -1).includes('*'));
  if (wrong !== undefined) throw new UsageError(`${name} has "${wrong}": a "*" stands at the end alone.`);
  return patterns;
}
