import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimLease, LEASE_TERMS, type Lease, releaseLease, renewLease } from './lease.ts';

const NOW = 1_000_000;
const leaseMs = 5_000;
const held: Lease = { holder: 'a', token: 3, expiresAt: NOW + 100 };

describe('a lease', () => {
  it('L-8 lasts 5,000 ms and is renewed every 1,500 ms', () => {
    expect(LEASE_TERMS).toEqual({ leaseMs: 5_000, renewMs: 1_500 });
  });

  it.each([
    ['nobody has it', null, 0, 1],
    ['it was given back', { ...held, holder: null }, 0, 4],
    ['it has lapsed', { ...held, expiresAt: NOW }, 0, 4],
    ["it is the claimant's own", { ...held, holder: 'b' }, 0, 4],
    ['its record was lost, and the log has seen tokens', null, 9, 10],
    ['the log has seen higher tokens than its record', { ...held, expiresAt: 0 }, 9, 10],
  ])('L-8 is given when %s, with a token that was never used', (_what, current, fence, token) => {
    expect(claimLease(current, { holder: 'b', now: NOW, leaseMs, fence })).toEqual({
      holder: 'b',
      token,
      expiresAt: NOW + leaseMs,
    });
  });

  it("L-8 is refused while it is another's, with the time until which it is", () => {
    expect(claimLease(held, { holder: 'b', now: NOW, leaseMs, fence: 0 })).toEqual({ busyUntil: NOW + 100 });
  });

  it.each([
    ['a moment before it lapses', NOW + 99, NOW + 99 + leaseMs],
    ['at the moment it lapses', NOW + 100, null],
    ['after it has lapsed', NOW + 101, null],
  ])('L-8 is renewed %s: until %2$s', (_when, now, expiresAt) => {
    expect(renewLease(held, now, leaseMs)).toEqual(expiresAt === null ? null : { ...held, expiresAt });
  });

  it('L-7 has a higher token with every claim, whatever happens to it in between', () => {
    const step = fc.record({
      act: fc.constantFrom('claim', 'renew', 'release', 'lose' as const),
      holder: fc.constantFrom('a', 'b', 'c'),
      ms: fc.nat(9_000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = NOW;
        let current = null as Lease | null;
        let highest = 0;
        for (const { act, holder, ms } of steps) {
          now += ms;
          if (act === 'claim') {
            const claimed = claimLease(current, { holder, now, leaseMs, fence: highest });
            if ('busyUntil' in claimed) {
              expect(current?.holder).not.toBe(holder);
              expect(claimed.busyUntil).toBeGreaterThan(now);
              continue;
            }
            expect(claimed.token).toBeGreaterThan(highest);
            highest = claimed.token;
            current = claimed;
          } else if (act === 'renew' && current?.holder === holder)
            current = renewLease(current, now, leaseMs) ?? current;
          else if (act === 'release' && current?.holder === holder) current = releaseLease(current);
          else if (act === 'lose') current = null; // the record is gone, the log's fence is not
        }
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});
