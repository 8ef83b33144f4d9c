import { createSecretKey } from 'node:crypto';
import { WireError } from '@continuo/protocol';
import {
  createLocalJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { Principal } from '../core/access.ts';
import type { Clock, Report } from '../ports.ts';
import { CLOCK_TOLERANCE_SECONDS, millisecondsOf, principalOfClaims } from './claims.ts';
import { createRemoteKeys, type FetchKeys } from './jwks.ts';
import { isLoopback } from './origin.ts';

/** JWTs that are signed with a secret both sides know: HS256. */
export interface SecretJwtOptions {
  /** At least 32 bytes. */
  readonly secret: string;
  /** `iss` and `aud` a token must have. Default: neither is looked at. */
  readonly issuer?: string;
  readonly audience?: string;
}

/** JWTs that an issuer signs with a key of its own: exactly one of `jwksUrl` and `jwks`. */
export interface KeySetJwtOptions {
  /** Where the issuer's public keys are: https, or http on loopback. */
  readonly jwksUrl?: string;
  /** The keys themselves. */
  readonly jwks?: JSONWebKeySet;
  readonly issuer: string;
  readonly audience: string;
  /** Default RS256, ES256 and EdDSA. */
  readonly algorithms?: readonly string[];
}

export type JwtOptions = SecretJwtOptions | KeySetJwtOptions;

const KEY_SET_ALGORITHMS: readonly string[] = ['RS256', 'ES256', 'EdDSA'];
/** Algorithms with a public key: a shared secret in their place would make the public key the secret. */
const PUBLIC_ALGORITHM = /^((RS|PS|ES)(256|384|512)|EdDSA|Ed25519)$/;
const MIN_SECRET_BYTES = 32;

export interface VerifyJwtOptions {
  readonly jwt: JwtOptions;
  readonly clock: Clock;
  readonly report: Report;
  readonly fetch: FetchKeys;
}

/** Throws `unauthorized` with what is wrong with a token, and `unavailable` when the keys cannot be had. */
export type VerifyJwt = (token: string) => Promise<Principal>;

type Key = Parameters<typeof jwtVerify>[1];
type GetKey = ReturnType<typeof createRemoteKeys>;

/** Throws a sentence that names the option which makes no sense. */
export function createVerifyJwt({ jwt, clock, report, fetch }: VerifyJwtOptions): VerifyJwt {
  const bySecret = isBySecret(jwt);
  const algorithms = bySecret ? ['HS256'] : algorithmsOf(jwt);
  const key = bySecret ? secretOf(jwt) : keysOf(jwt, { clock, report, fetch });
  const rules: JWTVerifyOptions = {
    algorithms,
    requiredClaims: ['sub', 'exp'],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    ...(jwt.issuer !== undefined && { issuer: text('issuer', jwt.issuer) }),
    ...(jwt.audience !== undefined && { audience: text('audience', jwt.audience) }),
  };
  return async (token) => {
    const now = clock.now();
    let claims: JWTPayload;
    try {
      claims = await claimsOf(token, key, { ...rules, currentDate: new Date(now) });
    } catch (error) {
      if (error instanceof errors.JOSEError) throw refusalOf(error, algorithms);
      throw error;
    }
    return principalOfClaims(claims, now);
  };
}

async function claimsOf(token: string, key: Key | GetKey, rules: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, key, rules)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const each of error) {
      try {
        return (await jwtVerify(token, each, rules)).payload;
      } catch (refused) {
        if (!(refused instanceof errors.JWSSignatureVerificationFailed)) throw refused;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** What a client is told of a token that does not pass. Nothing of the token but its times is said. */
function refusalOf(cause: errors.JOSEError, algorithms: readonly string[]): WireError {
  return new WireError('unauthorized', sentenceOf(cause, algorithms), { cause });
}

function sentenceOf(error: errors.JOSEError, algorithms: readonly string[]): string {
  if (error instanceof errors.JWTExpired)
    return `This token expired at ${timeOf(error.payload.exp)}: ask for a new one.`;
  if (error instanceof errors.JWTClaimValidationFailed) return sentenceOfClaim(error);
  if (error instanceof errors.JOSEAlgNotAllowed)
    return `Tokens are signed with ${algorithms.join(' or ')} here, and this one is not: ask for one that is.`;
  if (error instanceof errors.JWKSNoMatchingKey)
    return 'This token is signed with a key that is not known here: ask for a new one.';
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return 'The signature of this token does not fit: ask for a new one.';
  return 'This token is not one that can be read: ask for a new one.';
}

function sentenceOfClaim({ claim, reason, payload }: errors.JWTClaimValidationFailed): string {
  if (reason === 'missing') return `This token has no "${claim}": ask for one that has.`;
  if (reason === 'invalid') return `This token's "${claim}" must be a number: ask for a new one.`;
  if (claim === 'nbf') return `This token is not good before ${timeOf(payload.nbf)}: wait until then.`;
  if (claim === 'aud') return 'This token is for another audience ("aud"): ask for one for this server.';
  return `This token's "${claim}" is not the one that is trusted here: ask for one for this server.`;
}

function timeOf(seconds: number | undefined): string {
  return new Date(millisecondsOf(seconds ?? 0)).toISOString();
}

function isBySecret(jwt: JwtOptions): jwt is SecretJwtOptions {
  const given = ['secret', 'jwksUrl', 'jwks'].filter((name) => Object.hasOwn(jwt, name));
  if (given.length !== 1)
    throw new TypeError(`auth.jwt has exactly one of secret, jwksUrl and jwks, not ${given.length} of them`);
  return given[0] === 'secret';
}

function secretOf({ secret }: SecretJwtOptions): Key {
  const bytes = Buffer.from(text('secret', secret));
  if (bytes.byteLength < MIN_SECRET_BYTES)
    throw new RangeError(
      `auth.jwt.secret has at least ${MIN_SECRET_BYTES} bytes, not ${bytes.byteLength}: anyone could guess it`,
    );
  return createSecretKey(bytes);
}

function keysOf(jwt: KeySetJwtOptions, deps: Omit<VerifyJwtOptions, 'jwt'>): GetKey {
  // A key set signs for everybody who trusts its issuer: a token for another service is not one for this.
  text('issuer', jwt.issuer);
  text('audience', jwt.audience);
  if (jwt.jwks === undefined) return createRemoteKeys({ url: urlOf(jwt.jwksUrl), ...deps });
  try {
    return createLocalJWKSet(jwt.jwks);
  } catch (cause) {
    throw new TypeError('auth.jwt.jwks is {"keys": [...]}, a JSON Web Key Set', { cause });
  }
}

function urlOf(jwksUrl: string | undefined): string {
  const url = URL.parse(jwksUrl ?? '');
  const host = url?.hostname.replace(/^\[|\]$/g, '') ?? '';
  if (!url || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(host))))
    throw new TypeError(`auth.jwt.jwksUrl is an https URL, or an http one on loopback, not "${jwksUrl}"`);
  return url.href;
}

function algorithmsOf({ algorithms = KEY_SET_ALGORITHMS }: KeySetJwtOptions): string[] {
  const wrong = algorithms.find((algorithm) => !PUBLIC_ALGORITHM.test(algorithm));
  if (wrong !== undefined || algorithms.length === 0)
    throw new RangeError(
      `auth.jwt.algorithms are ones with a public key, such as ${KEY_SET_ALGORITHMS.join(', ')}, not "${wrong ?? ''}"`,
    );
  return [...algorithms];
}

function text(name: 'secret' | 'issuer' | 'audience', value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new TypeError(`auth.jwt.${name} must be text`);
  return value;
}
