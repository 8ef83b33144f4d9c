import { describe, expect, it } from 'vitest';
import { createFakeClock } from './fake-clock.ts';
import { createSeededRandom } from './seeded-random.ts';

describe('a fake clock', () => {
  it('stands still until it is told to go on', async () => {
    const clock = createFakeClock(1_000);
    let ran = false;
    clock.schedule(1_001, () => {
      ran = true;
    });
    await clock.settle();
    expect([clock.now(), ran]).toEqual([1_000, false]);
  });

  it('runs what is due in the order of time, then of setting, each at its own time', async () => {
    const clock = createFakeClock(0);
    const ran: string[] = [];
    for (const [name, at] of [
      ['c', 20],
      ['a', 10],
      ['d', 20],
      ['late', 31],
      ['b', 10],
    ] as const) {
      clock.schedule(at, () => ran.push(`${name} ${clock.now()}`));
    }
    await clock.advance(30);
    expect(ran).toEqual(['a 10', 'b 10', 'c 20', 'd 20']);
    expect(clock.now()).toBe(30);
    await clock.advance(1);
    expect(ran.at(-1)).toBe('late 31');
  });

  it('runs what is past at once, and never turns back', async () => {
    const clock = createFakeClock(100);
    const ran: string[] = [];
    clock.schedule(100, () => ran.push(`now ${clock.now()}`));
    clock.schedule(5, () => ran.push(`past ${clock.now()}`));
    await clock.advance(0);
    expect(ran).toEqual(['now 100', 'past 100']);
  });

  it('runs what is set meanwhile, if it is due too', async () => {
    const clock = createFakeClock(0);
    const ran: number[] = [];
    const again = (): void => {
      ran.push(clock.now());
      clock.schedule(clock.now() + 10, again);
    };
    clock.schedule(10, again);
    await clock.advance(35);
    expect(ran).toEqual([10, 20, 30]);
    expect(clock.now()).toBe(35);
  });

  it('lets every promise go on between two timers, however deep', async () => {
    const clock = createFakeClock(0);
    const ran: string[] = [];
    clock.schedule(1, () => {
      void (async () => {
        for (let deep = 0; deep < 50; deep++) await Promise.resolve();
        ran.push(`promise ${clock.now()}`);
      })();
    });
    clock.schedule(2, () => ran.push('timer 2'));
    await clock.advance(5);
    expect(ran).toEqual(['promise 1', 'timer 2']);
  });

  it('runs what is to come soon after what is under way, before any time goes by', async () => {
    const clock = createFakeClock(0);
    const ran: string[] = [];
    clock.schedule(1, () => ran.push(`timer ${clock.now()}`));
    clock.soon(() => {
      ran.push('soon');
      clock.soon(() => ran.push(`soon after ${clock.now()}`));
      ran.push('still under way');
    });
    expect(ran).toEqual([]);
    await clock.advance(1);
    expect(ran).toEqual(['soon', 'still under way', 'soon after 0', 'timer 1']);
  });

  it('does not run what was stopped, also by what ran at the same time', async () => {
    const clock = createFakeClock(0);
    const ran: string[] = [];
    const stops: (() => void)[] = [];
    clock.schedule(10, () => {
      ran.push('first');
      for (const stop of stops) stop();
    });
    stops.push(clock.schedule(10, () => ran.push('same time')));
    stops.push(clock.schedule(11, () => ran.push('later')));
    await clock.advance(20);
    expect(ran).toEqual(['first']);
  });

  it('counts the timers that are set, whether they ran, were stopped, or were stopped twice', async () => {
    const clock = createFakeClock(0);
    const stop = clock.schedule(10, () => {});
    const ran = clock.schedule(5, () => {});
    clock.schedule(20, () => {});
    expect(clock.timers).toBe(3);
    stop();
    stop();
    expect(clock.timers).toBe(2);
    await clock.advance(5);
    expect(clock.timers).toBe(1);
    ran();
    expect(clock.timers).toBe(1);
  });

  it('steps from timer to timer, and not beyond a time', async () => {
    const clock = createFakeClock(0);
    const ran: number[] = [];
    for (const at of [10, 20, 30]) clock.schedule(at, () => ran.push(at));
    clock.schedule(5, () => ran.push(5))();
    expect([await clock.step(), clock.now()]).toEqual([true, 10]);
    expect([await clock.step(19), clock.now()]).toEqual([false, 10]);
    expect([await clock.step(20), clock.now()]).toEqual([true, 20]);
    expect([await clock.step(), clock.now()]).toEqual([true, 30]);
    expect([await clock.step(), clock.now()]).toEqual([false, 30]);
    expect(ran).toEqual([10, 20, 30]);
  });

  it('keeps the order of time among many timers, set and stopped at random (seeds 1 to 50)', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = createSeededRandom(seed);
      const clock = createFakeClock(0);
      const ran: number[] = [];
      const set = Array.from({ length: 60 }, (_, index) => {
        const at = random.int(1, 40);
        return { index, at, stop: clock.schedule(at, () => ran.push(index)) };
      });
      const kept = set.filter(({ stop }) => {
        const stopped = random.chance(0.3);
        if (stopped) stop();
        return !stopped;
      });
      await clock.advance(40);
      const expected = kept.sort((a, b) => a.at - b.at || a.index - b.index).map(({ index }) => index);
      expect(ran, `seed ${seed}`).toEqual(expected);
      expect(clock.timers, `seed ${seed}`).toBe(0);
    }
  });
});
