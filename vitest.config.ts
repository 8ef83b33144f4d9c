import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { conditions: ['continuo-source'] },
  ssr: { resolve: { conditions: ['continuo-source'], externalConditions: ['continuo-source'] } },
  test: {
    include: ['packages/**/*.test.ts', 'test/**/*.test.ts', 'sim/**/*.test.ts'],
    pool: 'forks',
    /** Most of the long tests wait for other processes. */
    maxWorkers: 3,
    execArgv: ['--conditions=continuo-source'],
    testTimeout: 90_000,
    maxConcurrency: 6,
  },
});
