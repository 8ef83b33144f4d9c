import { setTimeout as delay } from 'node:timers/promises';
import type { SelfTime } from './profile.ts';

/** The server's end of the line to the bench: says where it listens, and what it costs when it is asked. */

export interface Memory {
  readonly rssBytes: number;
  /** JavaScript objects, and what they hold outside of the heap. */
  readonly heapBytes: number;
}

export type Question = 'cpu' | 'memory' | 'profiling' | 'profile';

export type Reply =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'cpu'; readonly cpuUs: number }
  | ({ readonly kind: 'memory' } & Memory)
  | { readonly kind: 'profiling' }
  | { readonly kind: 'profile'; readonly selfTimes: readonly SelfTime[] };

/** Freed pages go back to the system a little later, from another thread. Milliseconds. */
const RELEASE_MS = 200;

async function memory(): Promise<Memory> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.(); // the first round runs finalizers, whose objects the next one frees
    await delay(RELEASE_MS);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rssBytes: rss, heapBytes: heapUsed + external };
}

async function replyTo(question: Question): Promise<Reply> {
  switch (question) {
    case 'cpu': {
      const { user, system } = process.cpuUsage();
      return { kind: question, cpuUs: user + system };
    }
    case 'memory':
      return { kind: question, ...(await memory()) };
    case 'profiling': {
      const { startProfile } = await import('./profile.ts'); // Bun has no such profiler
      await startProfile();
      return { kind: question };
    }
    case 'profile': {
      const { stopProfile } = await import('./profile.ts');
      return { kind: question, selfTimes: await stopProfile() };
    }
    default:
      return question satisfies never;
  }
}

/** Call it once, when the server listens. The process ends with the bench. */
export function reportToBench(port: number): void {
  process.on('message', (question: Question) => {
    replyTo(question).then(
      (reply) => process.send?.(reply),
      (error: unknown) => console.error(error),
    );
  });
  process.on('disconnect', () => process.exit(0));
  const hello: Reply = { kind: 'listening', port };
  process.send?.(hello);
}
