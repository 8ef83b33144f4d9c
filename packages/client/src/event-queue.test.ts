import { describe, expect, it, vi } from 'vitest';
import { createEventQueue } from './event-queue.ts';

async function rest<T>(queue: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

/** Runs what needs no more than promises. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('an event queue', () => {
  it('gives what was pushed, in order, and ends', async () => {
    const queue = createEventQueue<number>(10, () => {});
    for (const item of [1, 2, 3]) queue.push(item);
    queue.end();
    expect(await rest(queue)).toEqual([1, 2, 3]);
  });

  it('waits for what is not there yet', async () => {
    const queue = createEventQueue<number>(10, () => {});
    const read = rest(queue);
    await settled();
    queue.push(1);
    await settled();
    queue.push(2);
    queue.push(3);
    queue.end();
    expect(await read).toEqual([1, 2, 3]);
  });

  it('gives items that look like nothing', async () => {
    const queue = createEventQueue<unknown>(10, () => {});
    const items = [undefined, null, 0, '', false];
    for (const item of items) queue.push(item);
    queue.end();
    expect(await rest(queue)).toEqual(items);
  });

  it('throws the reason of its end once, after all that came before it', async () => {
    const queue = createEventQueue<number>(10, () => {});
    queue.push(1);
    queue.end(new Error('lost'));
    expect(await queue.next()).toEqual({ done: false, value: 1 });
    await expect(queue.next()).rejects.toThrow('lost');
    expect(await queue.next()).toEqual({ done: true, value: undefined });
  });

  it('wakes the reader that waits when it ends', async () => {
    const ended = createEventQueue<number>(10, () => {});
    const waiting = ended.next();
    ended.end();
    expect(await waiting).toEqual({ done: true, value: undefined });

    const failed = createEventQueue<number>(10, () => {});
    const failing = failed.next();
    failed.end(new Error('lost'));
    await expect(failing).rejects.toThrow('lost');
  });

  it('has one end: what comes after it is not heard', async () => {
    const queue = createEventQueue<number>(10, () => {});
    queue.end();
    queue.end(new Error('too late'));
    queue.push(1);
    expect(await queue.next()).toEqual({ done: true, value: undefined });
  });

  it('fails at its bound, and says so after the items it has', async () => {
    const onReturn = vi.fn<() => void>();
    const queue = createEventQueue<number>(3, onReturn);
    for (let item = 1; item <= 5; item++) queue.push(item);
    expect(onReturn).toHaveBeenCalledTimes(1);
    const items: number[] = [];
    const reading = (async () => {
      for await (const item of queue) items.push(item);
    })();
    await expect(reading).rejects.toThrow(/3 unread events/);
    expect(items).toEqual([1, 2, 3]);
  });

  it('has its bound for what is unread, not for all that was ever pushed', async () => {
    const queue = createEventQueue<number>(2, () => {});
    for (let item = 0; item < 10; item++) {
      queue.push(item);
      expect(await queue.next()).toEqual({ done: false, value: item });
    }
  });

  it('tells its owner when its reader leaves the loop, and forgets what is unread', async () => {
    const onReturn = vi.fn<() => void>();
    const queue = createEventQueue<number>(10, onReturn);
    queue.push(1);
    queue.push(2);
    for await (const item of queue) {
      expect(item).toBe(1);
      break;
    }
    expect(onReturn).toHaveBeenCalledTimes(1);
    expect(await queue.next()).toEqual({ done: true, value: undefined });
  });

  it('ends a read under way when its reader leaves', async () => {
    const queue = createEventQueue<number>(10, () => {});
    const waiting = queue.next();
    await queue.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  it('answers several reads at once, each with its own item, first come first', async () => {
    const queue = createEventQueue<number>(10, () => {});
    const got: unknown[] = [];
    for (let reader = 0; reader < 3; reader++) void queue.next().then(({ value }) => got.push(value));
    for (let item = 1; item <= 3; item++) queue.push(item);
    await settled();
    expect(got).toEqual([1, 2, 3]);
  });

  it('ends several reads at once', async () => {
    const queue = createEventQueue<number>(10, () => {});
    let ended = 0;
    for (let reader = 0; reader < 3; reader++) void queue.next().then(() => ended++);
    queue.end();
    await settled();
    expect(ended).toBe(3);
  });

  it('is its own iterator', () => {
    const queue = createEventQueue<number>(1, () => {});
    expect(queue[Symbol.asyncIterator]()).toBe(queue);
  });
});
