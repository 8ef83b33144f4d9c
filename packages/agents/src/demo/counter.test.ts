import type { Component } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createRunWorld } from '../../test/context.ts';
import { createCounter } from './counter.ts';

interface Counting {
  readonly counter: Component;
  readonly lines: string[];
  readonly paths: Set<string>;
}

function createCounting(env: Record<string, string> = {}): Counting {
  const lines: string[] = [];
  const paths = new Set<string>();
  const counter = createCounter({
    env,
    async append(path, line) {
      paths.add(path);
      lines.push(line);
    },
  });
  return { counter, lines, paths };
}

/** The waits of its tool, not those of the watch for a stall. */
const waitsOf = (sleeps: readonly number[]): readonly number[] => sleeps.filter((ms) => ms !== 6_000);

describe('the demo agent counter', () => {
  it.each([
    ['count', 5],
    ['count to 3', 3],
    ['0', 0],
    ['count to 100000', 100],
  ])('counts for "%s" as far as it says', async (message, count) => {
    const { counter, lines, paths } = createCounting();
    const world = createRunWorld();
    const run = world.start(counter, message);
    await world.clock.advance(30_000);
    await run.done;
    expect(lines).toEqual(Array.from({ length: count }, (_, n) => `run_1.${n + 1}\n`));
    expect(run.events.at(-1)).toEqual({ type: 'text.completed', text: `Counted to ${count}.` });
    expect(run.events.filter(({ type }) => type === 'tool.completed')).toHaveLength(count);
    expect(waitsOf(world.sleeps)).toEqual(Array(count).fill(100));
    expect([...paths].every((path) => path.endsWith('continuo-counter.txt'))).toBe(true);
  });

  it('writes the file and waits the time that the environment names', async () => {
    const { counter, paths } = createCounting({
      CONTINUO_COUNTER_FILE: '/x/y.txt',
      CONTINUO_COUNTER_MS: '7',
    });
    const world = createRunWorld();
    const run = world.start(counter, '2');
    await world.clock.advance(14);
    await run.done;
    expect([...paths]).toEqual(['/x/y.txt']);
    expect(waitsOf(world.sleeps)).toEqual([7, 7]);
  });

  it('says so where the time is none', async () => {
    const { counter } = createCounting({ CONTINUO_COUNTER_MS: 'soon' });
    const run = createRunWorld().start(counter, '2');
    await run.done;
    expect(run.events.at(-1)).toMatchObject({ text: expect.stringContaining('not "soon"') });
  });

  it('R-22 runs no finished call again; one that was cut has a second line with the same id', async () => {
    const { counter, lines } = createCounting();
    const world = createRunWorld();
    const first = world.start(counter, 'count to 4');
    await world.clock.advance(250); // in the middle of the third
    first.abandon();
    expect(lines).toHaveLength(3);
    const second = world.start(counter, 'count to 4');
    await world.clock.settle();
    expect(lines).toEqual(['run_1.1\n', 'run_1.2\n', 'run_1.3\n', 'run_1.3\n']);
    await world.clock.advance(1_000);
    await second.done;
    expect(second.events.filter(({ type }) => type === 'tool.completed')).toHaveLength(4);
    expect(lines.at(-1)).toBe('run_1.4\n');
  });

  it('R-21 counts further when it is told to', async () => {
    const { counter, lines } = createCounting();
    const world = createRunWorld();
    const run = world.start(counter, 'count to 2');
    await world.clock.advance(50);
    world.steers.push({ messageId: 's1', content: 'make it 4' });
    await world.clock.advance(1_000);
    await run.done;
    expect(lines).toHaveLength(4);
    expect(run.events.at(-1)).toMatchObject({ text: 'Counted to 4.' });
  });
});
