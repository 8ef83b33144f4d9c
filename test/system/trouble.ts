import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '@continuo/testing';
import type { HttpProxy } from './http-proxy.ts';

/** Consumers go through so many proxies: what one does, it does to its consumers. */
export const PROXIES = 4;

/** What is done to connections and to a server, for as long as `isOver` is not aborted. */
export interface Trouble {
  readonly cuts: number;
  readonly stopped: Promise<void>;
}

/** Cuts every now and then some connections, from a seed. */
export function makeTrouble(
  proxies: readonly HttpProxy[],
  random: SeededRandom,
  isOver: AbortSignal,
): Trouble {
  let cuts = 0;
  async function run(): Promise<void> {
    while (!isOver.aborted) {
      await sleep(random.int(100, 500));
      if (isOver.aborted) return;
      cuts += random.pick(proxies)?.cut(() => random.chance(0.2)) ?? 0;
    }
  }
  return {
    get cuts() {
      return cuts;
    },
    stopped: run(),
  };
}

/** Lets no WebSocket through a proxy for some time, and cuts those that are open. Then the next proxy has its turn. */
export async function refuseInTurn(
  proxies: readonly HttpProxy[],
  random: SeededRandom,
  isOver: AbortSignal,
): Promise<void> {
  const ways = [403, 'swallow', 502, 404] as const;
  for (let turn = 0; !isOver.aborted; turn++) {
    const proxy = proxies[turn % proxies.length];
    proxy?.behave({ upgrades: ways[turn % ways.length] ?? 502 });
    proxy?.cut();
    await sleep(random.int(1_500, 3_000));
    proxy?.behave({ upgrades: 'pass' });
  }
}
