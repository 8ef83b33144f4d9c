import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { range } from '../../test/pick.ts';
import { systemClock, systemRandom } from './clock.ts';

describe('the time of the machine', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
  afterEach(() => void vi.useRealTimers());

  it('calls once, at its time', () => {
    const calls: number[] = [];
    systemClock.schedule(systemClock.now() + 500, () => calls.push(systemClock.now()));
    vi.advanceTimersByTime(499);
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(10_000);
    expect(calls).toEqual([1_000_500]);
  });

  it('calls as soon as possible for what is past', () => {
    let calls = 0;
    systemClock.schedule(systemClock.now() - 5_000, () => calls++);
    vi.advanceTimersByTime(1);
    expect(calls).toBe(1);
  });

  it('waits also for longer than a timer of Node can', () => {
    const month = 40 * 24 * 3_600_000;
    let calls = 0;
    systemClock.schedule(systemClock.now() + month, () => calls++);
    vi.advanceTimersByTime(month - 1);
    expect(calls).toBe(0);
    vi.advanceTimersByTime(1);
    expect(calls).toBe(1);
  });

  it.each([1_000, 40 * 24 * 3_600_000])('calls nobody who was stopped, of %i ms', (ms) => {
    let calls = 0;
    const stop = systemClock.schedule(systemClock.now() + ms, () => calls++);
    vi.advanceTimersByTime(ms - 1);
    stop();
    vi.advanceTimersByTime(ms);
    expect(calls).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('the chance of the machine: ids of 22 letters and digits, of which none comes twice', () => {
  const ids = range(1, 1_000).map(() => systemRandom.id());
  for (const id of ids) expect(id).toMatch(/^[0-9A-Za-z]{22}$/);
  expect(new Set(ids).size).toBe(1_000);
  for (const letter of ['0', 'z', 'A', 'Z']) expect(ids.join('')).toContain(letter);
});
