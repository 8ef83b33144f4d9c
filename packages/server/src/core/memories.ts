import { type Memory, WireError } from '@continuo/protocol';
import type { Clock, Random, Records } from '../ports.ts';
import { keyOf } from './names.ts';

/** What is kept about one person at most. */
const MAX_MEMORIES = 1_000;
const MAX_CHARACTERS = 2_000;

/** What agents keep about people, each in the records of one owner: `memory/<owner>/<id>`. */
export interface MemoryBook {
  /** Oldest first. */
  list(owner: string): Promise<readonly Memory[]>;
  /** Stored when it resolves; the same `key` twice keeps the first. Throws `too_large`, `inbox_full`. */
  add(owner: string, text: string, key?: string): Promise<Memory>;
  /** Whether it was there. */
  remove(owner: string, memoryId: string): Promise<boolean>;
  clear(owner: string): Promise<void>;
}

export function createMemoryBook(options: {
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
}): MemoryBook {
  const { records, clock, random } = options;

  async function list(owner: string): Promise<readonly Memory[]> {
    const prefix = keyOf.memory(owner, '');
    const found = await records.list(prefix, { limit: MAX_MEMORIES });
    return found
      .map(({ value }) => value as Memory)
      .sort((a, b) => a.createdAt - b.createdAt || (a.memoryId < b.memoryId ? -1 : 1));
  }

  const remove = (owner: string, memoryId: string): Promise<boolean> =>
    memoryId.isWellFormed() ? records.remove(keyOf.memory(owner, memoryId)) : Promise.resolve(false);

  return {
    list,
    async add(owner, text, key = random.id()) {
      if (text === '' || text.length > MAX_CHARACTERS) {
        const problem = `A memory has 1 to ${MAX_CHARACTERS} characters, not ${text.length}.`;
        throw new WireError('too_large', problem);
      }
      const memory: Memory = { memoryId: `mem_${key}`, text, createdAt: clock.now() };
      const at = keyOf.memory(owner, memory.memoryId);
      const known = await records.get(at);
      if (known) return known.value as Memory;
      if ((await list(owner)).length >= MAX_MEMORIES) {
        throw new WireError('inbox_full', `${MAX_MEMORIES} memories are kept. Forget some first.`);
      }
      if ((await records.put(at, memory, { ifVersion: 0 })) !== null) return memory;
      return ((await records.get(at))?.value as Memory | undefined) ?? memory;
    },
    remove,
    async clear(owner) {
      for (const { memoryId } of await list(owner)) await remove(owner, memoryId);
    },
  };
}
