#!/usr/bin/env node
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(
    `continuo: Node ${process.versions.node} is too old: continuo needs 22.13 or newer.\n`,
  );
  process.exit(2);
}

// A server mostly moves data through: with a small young generation it holds half the memory and needs no more CPU
// (bench/README.md). V8 takes its size at the start only, so the process starts over as itself where that can be done.
const YOUNG = '--max-semi-space-size';
const isServer = process.argv[2] === 'serve' && process.platform !== 'win32';
const isSet = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((text) => text.includes(YOUNG));
if (isServer && !isSet && typeof process.execve === 'function') {
  const args = [process.execPath, `${YOUNG}=8`, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, args, process.env);
}

await import('../dist/main.js');
