import type { SeededRandom } from '@continuo/testing';

/**
 * What happens to a message at a handler. `throws`: at first. `hangs`: its handler is done long after its time.
 * `poison`: its handler always throws. `stuck`: its handler is never done.
 */
export type Fate = 'handled' | 'throws' | 'hangs' | 'poison' | 'stuck';

export interface Letter {
  readonly id: string;
  readonly data: { readonly n: number; readonly fate: Fate };
}

/** In a thousand messages. */
const SHARES: readonly (readonly [Fate, number])[] = [
  ['throws', 30],
  ['poison', 10],
  ['stuck', 3],
];
/** Handlers hang at the beginning. */
const HANGING = 5;

/** What is published on each channel, from a seed. */
export function lettersOf(options: {
  readonly random: SeededRandom;
  readonly channels: number;
  readonly messages: number;
}): ReadonlyMap<string, readonly Letter[]> {
  const { random, channels, messages } = options;
  function fateOf(n: number): Fate {
    if (n <= HANGING) return 'hangs';
    let drawn = random.int(1, 1_000);
    for (const [fate, share] of SHARES) {
      drawn -= share;
      if (drawn <= 0) return fate;
    }
    return 'handled';
  }
  return new Map(
    Array.from({ length: channels }, (_, index) => {
      const channel = `orders.${index}`;
      const letters = Array.from({ length: Math.floor(messages / channels) }, (__, at): Letter => {
        const n = at + 1;
        return { id: `${channel}-${n}`, data: { n, fate: fateOf(n) } };
      });
      return [channel, letters];
    }),
  );
}

/** Whether a message's handler always fails: then, and only then, it becomes a dead letter. */
export function isDoomed({ data }: Letter): boolean {
  return data.fate === 'poison' || data.fate === 'stuck';
}
