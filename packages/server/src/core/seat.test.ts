import { describe, expect, it } from 'vitest';
import type { Said } from './members-fold.ts';
import { createSitting, heeds } from './seat.ts';

/** The status after some beats of one connection; `null`: one without a status. */
function after(beats: readonly (string | null)[], said: { status?: string; before?: string } = {}): string {
  const { habit } = createSitting(0);
  let now: Said = said;
  for (const status of beats) {
    if (status === null) habit.plain = true;
    else if (heeds(habit, status, now) && status !== now.status)
      now = { status, ...(now.status !== undefined && { before: now.status }) };
  }
  return now.status ?? 'online';
}

describe('a status in a beat', () => {
  it.each<[string, readonly (string | null)[], string]>([
    ['is taken', ['busy'], 'busy'],
    ['is taken where nothing was beaten before it', ['away', 'online'], 'online'],
    ['is not undone by the one that was beaten before', ['online', 'online', 'busy', 'online'], 'busy'],
    ['is not undone later either', ['online', 'busy', 'online', 'away', 'online', 'online'], 'away'],
    ['is not undone after it was set twice', ['online', 'busy', 'online', 'busy', 'busy', 'online'], 'busy'],
    [
      'that is repeated is what the client beats now',
      ['online', 'online', 'busy', 'busy', 'online'],
      'online',
    ],
    ['is always meant by a client that beats without one', ['online', 'busy', null, 'online'], 'online'],
  ])('P-23 %s', (_what, beats, status) => {
    expect(after(beats)).toBe(status);
  });

  it('P-23 is not undone by the first beat after a reconnect', () => {
    expect(after(['online', 'online'], { status: 'busy', before: 'online' })).toBe('busy');
  });
});
