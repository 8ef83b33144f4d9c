import { getEventListeners } from 'node:events';
import { createFakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { createFuse } from './fuse.ts';

function open(outer?: AbortSignal) {
  const clock = createFakeClock(0);
  let over = 0;
  const timer = (ms: number, run: () => void) => clock.schedule(clock.now() + ms, run);
  const fuse = createFuse({ timer }, outer, () => {
    over++;
  });
  return { clock, fuse, over: () => over };
}

describe('what ends a request', () => {
  it('is its time, counted from when it was last given one', async () => {
    const { clock, fuse, over } = open();
    fuse.arm(100);
    await clock.advance(60);
    fuse.arm(100);
    await clock.advance(99);
    expect([fuse.signal.aborted, over()]).toEqual([false, 0]);
    await clock.advance(1);
    expect(fuse.signal.reason).toMatchObject({ name: 'TimeoutError' });
    expect(over()).toBe(1);
  });

  it('is not its time where that was stopped', async () => {
    const { clock, fuse } = open();
    fuse.arm(100);
    fuse.stop();
    await clock.advance(1_000);
    expect(fuse.signal.aborted).toBe(false);
  });

  it('is who no longer wants it, and nothing is left behind', () => {
    const outer = new AbortController();
    const { fuse, over } = open(outer.signal);
    const other = open(outer.signal).fuse;
    other.end();
    expect(getEventListeners(outer.signal, 'abort')).toHaveLength(1);
    outer.abort(new Error('enough'));
    expect([fuse.signal.reason, over()]).toMatchObject([{ message: 'enough' }, 0]);
    fuse.end();
    expect(getEventListeners(outer.signal, 'abort')).toHaveLength(0);
  });
});
