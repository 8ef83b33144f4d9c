import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** Fails when a client, bundled and minified for browsers, is larger than its bound. Prints the sizes. */

const KIB = 1024;

/** What is imported from the package, and its bound in bytes, gzip. All of it is to be 10 KiB, and is not yet. */
const BOUNDS = [
  ['{ GatewayClient }', 6 * KIB],
  ['{ RunClient }', 4 * KIB],
  ['*', 11.5 * KIB],
] as const;

async function sizeOf(imported: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export ${imported} from './packages/client/src/index.ts';`,
      resolveDir: new URL('..', import.meta.url).pathname,
    },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    conditions: ['continuo-source'],
    write: false,
  });
  const [bundle] = outputFiles;
  if (!bundle) throw new Error('esbuild made no file');
  return gzipSync(bundle.contents, { level: 9 }).length;
}

for (const [imported, maxBytes] of BOUNDS) {
  const bytes = await sizeOf(imported);
  console.log(`${imported}: ${bytes} bytes gzip, at most ${maxBytes}`);
  if (bytes > maxBytes) process.exitCode = 1;
}
