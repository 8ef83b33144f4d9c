import type { RunContext } from '@continuo/protocol';

/** Counts the starts of a run's steps, in one attempt, over its pauses. */
export interface Slots {
  /**
   * The index of a start, from 0 in the order in which they happen, and whether it is new; `onNew` is done before the next
   * is given. One that was begun before a pause keeps its index.
   */
  claim(
    path: string,
    onNew: (index: number) => Promise<void>,
  ): Promise<{ readonly index: number; readonly isNew: boolean }>;
}

/** Each index is stored with the path that took it: no two starts get the same, whatever the order they go on in. */
export function createSlots({
  attempt,
  continues,
  once,
}: Pick<RunContext, 'attempt' | 'continues' | 'once'>): Slots {
  const known = new Map<string, number>();
  let last: Promise<unknown> = Promise.resolve();
  let next = 0;

  async function take(path: string, onNew: (index: number) => Promise<void>): ReturnType<Slots['claim']> {
    for (let index = known.get(path); ; index = known.get(path)) {
      if (index !== undefined) return { index, isNew: false };
      let isNew = !continues;
      const slot = next++;
      const owner = await once(`slot:${attempt}:${slot}`, async () => {
        isNew = true;
        return path;
      });
      known.set(owner, slot);
      if (owner !== path) continue;
      if (isNew) await onNew(slot);
      return { index: slot, isNew };
    }
  }

  return {
    claim(path, onNew) {
      const claimed = last.then(() => take(path, onNew));
      last = claimed.catch(() => {}); // who asked is told
      return claimed;
    },
  };
}
