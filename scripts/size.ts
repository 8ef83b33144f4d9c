import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** Fails when a client, bundled and minified for browsers, is larger than its bound. Prints the sizes. */

const KIB = 1024;

/**
 * What is imported from the package, and its bound in bytes, gzip. `PushClient` and its transports bring 5.4 KiB to
 * `GatewayClient`'s, and `RunClient` 4.5 to both.
 */
const BOUNDS = [
  ['{ GatewayClient }', 6 * KIB],
  [
    '{ GatewayClient, PushClient, PollingTransport, SseTransport, WebSocketTransport, CloseError }',
    11.5 * KIB,
  ],
  ['{ RunClient }', 6.4 * KIB],
  ['*', 15.9 * KIB],
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
