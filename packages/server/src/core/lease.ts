/**
 * Who may drive the runs of a log. One record per log, changed only at the version that was read, so of several
 * claimants one wins. The token rises with every claim and is the fence of every append: a holder that slept through
 * its lease can store nothing.
 */
export interface Lease {
  /** `null`: nobody's. */
  readonly holder: string | null;
  readonly token: number;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

export interface LeaseTerms {
  /** How long a claim or a renewal lasts. */
  readonly leaseMs: number;
  /** How often the holder renews. */
  readonly renewMs: number;
}

export const LEASE_TERMS: LeaseTerms = { leaseMs: 5_000, renewMs: 1_500 };

/**
 * The lease to store, or the time until which it is another's. A holder may claim its own again. `fence` is the log's:
 * no token is used twice, even when the record was lost.
 */
export function claimLease(
  current: Lease | null,
  claim: { readonly holder: string; readonly now: number; readonly leaseMs: number; readonly fence: number },
): Lease | { readonly busyUntil: number } {
  const isOthers = current !== null && current.holder !== null && current.holder !== claim.holder;
  if (isOthers && current.expiresAt > claim.now) return { busyUntil: current.expiresAt };
  const token = Math.max(current?.token ?? 0, claim.fence) + 1;
  return { holder: claim.holder, token, expiresAt: claim.now + claim.leaseMs };
}

/** The lease to store, or `null` when it has lapsed: a lapsed lease is never renewed, for another may act already. */
export function renewLease(held: Lease, now: number, leaseMs: number): Lease | null {
  if (now >= held.expiresAt) return null;
  return { ...held, expiresAt: now + leaseMs };
}

export function releaseLease(held: Lease): Lease {
  return { ...held, holder: null };
}
