import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';

/**
 * Loaded into every thread of a server under test (`--expose-gc --import`): collects its garbage, and writes what is left
 * to a file, so that memory at rest is what is held, not what has not been collected yet.
 */

const COLLECT_MS = 2_000;

const folder = process.env.CONTINUO_SOAK_FOLDER;
if (folder !== undefined) {
  setInterval(() => {
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    writeFileSync(join(folder, `held-${threadId}`), String(heapUsed + external));
  }, COLLECT_MS).unref();
}
