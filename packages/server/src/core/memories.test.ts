import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { nth, range } from '../../test/pick.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { createMemoryBook, type MemoryBook } from './memories.ts';

interface World {
  readonly clock: FakeClock;
  readonly book: MemoryBook;
  /** The same, on another server. */
  readonly other: MemoryBook;
}

function createWorld(): World {
  const clock = createFakeClock();
  const { records } = createMemoryStore({ clock, random: createSeededRandom(1) });
  const open = (seed: number): MemoryBook =>
    createMemoryBook({ records, clock, random: createSeededRandom(seed) });
  return { clock, book: open(2), other: open(3) };
}

const textsOf = async (book: MemoryBook, owner = 'me'): Promise<string[]> =>
  (await book.list(owner)).map(({ text }) => text);

describe('what is kept about a person', () => {
  it('R-24 is there, oldest first, on every server', async () => {
    const { clock, book, other } = createWorld();
    for (const text of ['likes tea', 'has a cat', 'lives in Porto']) {
      expect(await book.add('me', text)).toEqual({
        memoryId: expect.stringMatching(/^mem_\w+$/),
        text,
        createdAt: clock.now(),
      });
      await clock.advance(1);
    }
    expect(await textsOf(other)).toEqual(['likes tea', 'has a cat', 'lives in Porto']);
    expect(await other.list('me')).toEqual(await book.list('me'));
  });

  it('R-24 is stored once under one key: the first', async () => {
    const { book, other } = createWorld();
    const first = await book.add('me', 'likes tea', 'run_1.drink');
    expect(await other.add('me', 'likes coffee', 'run_1.drink')).toEqual(first);
    expect(await textsOf(book)).toEqual(['likes tea']);
  });

  it('R-24 is stored once also when two servers store it at once', async () => {
    const { book, other } = createWorld();
    const [one, two] = await Promise.all([book.add('me', 'tea', 'k'), other.add('me', 'coffee', 'k')]);
    expect(one).toEqual(two);
    expect(await book.list('me')).toEqual([one]);
  });

  it('R-24 is forgotten one by one', async () => {
    const { book, other } = createWorld();
    const { memoryId } = await book.add('me', 'likes tea');
    await book.add('me', 'has a cat');
    expect(await other.remove('me', memoryId)).toBe(true);
    expect(await other.remove('me', memoryId)).toBe(false);
    expect(await textsOf(book)).toEqual(['has a cat']);
  });

  it.each(['mem_none', '', '\ud800', '..', 'a/b', '%2F'])('R-24 has nothing of the id %j', async (id) => {
    const { book } = createWorld();
    await book.add('me', 'likes tea');
    expect(await book.remove('me', id)).toBe(false);
    expect(await textsOf(book)).toEqual(['likes tea']);
  });

  it("L-10 is the person's alone", async () => {
    const { book } = createWorld();
    const owners = ['me', 'm', 'me/you', 'me%2Fyou', 'me%'];
    const ids: string[] = [];
    for (const owner of owners) ids.push((await book.add(owner, `of ${owner}`)).memoryId);
    for (const owner of owners) expect(await textsOf(book, owner)).toEqual([`of ${owner}`]);
    expect(await book.remove('you', nth(ids, 0))).toBe(false);
    await book.clear('me');
    expect(await textsOf(book)).toEqual([]);
    for (const owner of owners.slice(1)) expect(await textsOf(book, owner)).toEqual([`of ${owner}`]);
  });

  it('R-24 is up to 2,000 characters long, and says something', async () => {
    const { book } = createWorld();
    await book.add('me', 'x'.repeat(2_000));
    for (const text of ['', 'x'.repeat(2_001)]) {
      await expect(book.add('me', text)).rejects.toMatchObject({
        code: 'too_large',
        message: expect.stringContaining(`not ${text.length}`),
      });
    }
    expect(await book.list('me')).toHaveLength(1);
  });

  it('R-24 is up to 1,000 of it; what is known is still found, and forgetting makes room', async () => {
    const { book } = createWorld();
    for (const number of range(1, 1_000)) await book.add('me', `fact ${number}`, `k${number}`);
    await expect(book.add('me', 'one more')).rejects.toMatchObject({ code: 'inbox_full' });
    expect((await book.add('me', 'again', 'k7')).text).toBe('fact 7');
    await book.add('you', 'another person');
    await book.remove('me', 'mem_k7');
    await book.add('me', 'one more');
    expect(await book.list('me')).toHaveLength(1_000);
    await book.clear('me');
    expect(await book.list('me')).toEqual([]);
    expect(await textsOf(book, 'you')).toEqual(['another person']);
  });
});
