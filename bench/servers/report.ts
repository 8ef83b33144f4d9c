import { setTimeout as delay } from 'node:timers/promises';

/** The server's end of the line to the bench: says where it listens, and what it costs when it is asked. */

export interface Memory {
  readonly rssBytes: number;
  /** JavaScript objects, and what they hold outside of the heap. */
  readonly heapBytes: number;
}

export type Reply =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'cpu'; readonly cpuUs: number }
  | ({ readonly kind: 'memory' } & Memory);

/** Freed pages go back to the system a little later, from another thread. Milliseconds. */
const RELEASE_MS = 200;

function tell(reply: Reply): void {
  process.send?.(reply);
}

async function tellMemory(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.(); // the first round runs finalizers, whose objects the next one frees
    await delay(RELEASE_MS);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  tell({ kind: 'memory', rssBytes: rss, heapBytes: heapUsed + external });
}

/** Call it once, when the server listens. The process ends with the bench. */
export function reportToBench(port: number): void {
  process.on('message', (asked) => {
    if (asked === 'cpu') {
      const { user, system } = process.cpuUsage();
      tell({ kind: 'cpu', cpuUs: user + system });
    } else if (asked === 'memory') {
      tellMemory().catch((error: unknown) => console.error(error));
    }
  });
  process.on('disconnect', () => process.exit(0));
  tell({ kind: 'listening', port });
}
