import { HANDSHAKE_MS, MAX_PAYLOAD } from '@continuo/protocol';

/** What a peer may take of this server. */
export interface Limits {
  /** Sockets at once, of everybody. The next upgrade gets 503. */
  readonly connections: number;
  /** Sockets at once of one address. The next upgrade gets 429. */
  readonly connectionsPerAddress: number;
  /** For a request's headers, and for a socket's first frame, in ms. */
  readonly handshakeMs: number;
  /** Bytes of a frame or body that is read: at most 1 MiB. */
  readonly maxPayloadBytes: number;
  /** Frames of one socket that are taken in a second; the rest waits, unread. */
  readonly framesPerSecond: number;
  /** Messages of a session that may wait for their turn. */
  readonly inbox: number;
}

export const LIMITS: Limits = {
  connections: 15_000,
  connectionsPerAddress: 2_000,
  handshakeMs: HANDSHAKE_MS,
  maxPayloadBytes: MAX_PAYLOAD,
  framesPerSecond: 1_000,
  inbox: 32,
};

/** For load tests on loopback. */
export const NO_LIMITS: Limits = {
  ...LIMITS,
  connections: Number.POSITIVE_INFINITY,
  connectionsPerAddress: Number.POSITIVE_INFINITY,
  framesPerSecond: Number.POSITIVE_INFINITY,
};

/** Throws a sentence that names the limit which makes no sense. */
export function checkLimits(limits: Limits): Limits {
  for (const [name, value] of Object.entries(limits)) {
    const isWhole = Number.isInteger(value) || value === Number.POSITIVE_INFINITY;
    if (!isWhole || value < 1)
      throw new RangeError(`limits.${name} must be a whole number above 0, not ${value}`);
  }
  const { maxPayloadBytes, handshakeMs } = limits;
  if (maxPayloadBytes < 1_024 || maxPayloadBytes > MAX_PAYLOAD)
    throw new RangeError(`limits.maxPayloadBytes must be 1024 to ${MAX_PAYLOAD}, not ${maxPayloadBytes}`);
  if (handshakeMs > 600_000)
    throw new RangeError(`limits.handshakeMs must be at most 600000, not ${handshakeMs}`);
  return limits;
}
