import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** Fails when `GatewayClient`, bundled and minified for browsers, is larger than its bound. Prints its size. */

const MAX_BYTES = 6 * 1024;

const { outputFiles } = await build({
  stdin: {
    contents: "export { GatewayClient } from './packages/client/src/index.ts';",
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
const bytes = gzipSync(bundle.contents, { level: 9 }).length;
console.log(`GatewayClient: ${bytes} bytes gzip, at most ${MAX_BYTES}`);
process.exit(bytes <= MAX_BYTES ? 0 : 1);
