#!/usr/bin/env node
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(
    `continuo: Node ${process.versions.node} is too old: continuo needs 22.13 or newer.\n`,
  );
  process.exit(2);
}
await import('../dist/main.js');
