import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { WireError } from '@continuo/protocol';
import type { Principal, Scope } from '../core/access.ts';
import { keyOf } from '../core/names.ts';
import type { Clock, Records } from '../ports.ts';

/** Who polls, as the token says it. */
export interface PollIdentity {
  readonly principal: Principal;
  readonly clientId: string;
  /** The id of its registration: the token is good while that stands. */
  readonly registration: string;
  /** Tells one token of a client from another: who reads. */
  readonly reader: string;
}

export interface PollTokens {
  sign(identity: PollIdentity): Promise<string>;
  /**
   * Throws `unauthorized` for a token that this gateway, or one on the same store, never made. Whether its registration
   * stands is for the caller to see.
   */
  verify(token: string): Promise<PollIdentity>;
}

/**
 * Signed with a key that is kept in the store: good after a restart and on every server, as long as the credentials
 * that are good here stay the same, and the one it was given for lasts.
 */
export function createPollTokens(options: {
  readonly records: Records;
  readonly clock: Clock;
  /** Changes with the credentials that are good here. */
  readonly fingerprint: string;
}): PollTokens {
  const { records, clock, fingerprint } = options;
  let secret: Promise<Buffer> | null = null;

  async function loadSecret(): Promise<Buffer> {
    const key = keyOf.secret('poll-token');
    await records.put(key, randomBytes(32).toString('base64url'), { ifVersion: 0 });
    const stored = await records.get(key);
    return Buffer.from(String(stored?.value), 'base64url');
  }

  async function macOf(payload: string): Promise<Buffer> {
    secret ??= loadSecret();
    try {
      return createHmac('sha256', await secret)
        .update(fingerprint)
        .update('.')
        .update(payload)
        .digest();
    } catch (error) {
      secret = null;
      throw error;
    }
  }

  return {
    async sign({ principal, clientId, registration, reader }) {
      const { subject, user, scopes, patterns, expiresAt } = principal;
      const claims = {
        subject,
        user,
        scopes: [...scopes],
        patterns,
        clientId,
        registration,
        reader,
        expiresAt,
      };
      const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
      return `${payload}.${(await macOf(payload)).toString('base64url')}`;
    },

    async verify(token) {
      const [payload = '', mac = '', ...more] = token.split('.');
      const given = Buffer.from(mac, 'base64url');
      const right = await macOf(payload);
      const isExact = given.toString('base64url') === mac; // the decoder takes more than was written
      if (
        !isExact ||
        more.length > 0 ||
        given.byteLength !== right.byteLength ||
        !timingSafeEqual(given, right)
      ) {
        throw new WireError('unauthorized', 'This poll token is not valid. Register again.');
      }
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
        readonly subject: string;
        readonly user: string;
        readonly scopes: readonly Scope[];
        readonly patterns: Principal['patterns'];
        readonly clientId: string;
        readonly registration: string;
        readonly reader: string;
        readonly expiresAt?: number;
      };
      const { subject, user, scopes, patterns, clientId, registration, reader, expiresAt } = claims;
      if (expiresAt !== undefined && expiresAt <= clock.now()) {
        throw new WireError('unauthorized', 'This poll token is too old. Register again with a new token.');
      }
      const expiry = expiresAt === undefined ? {} : { expiresAt };
      const principal = { subject, user, scopes: new Set(scopes), patterns, ...expiry };
      return { principal, clientId, registration, reader };
    },
  };
}
