import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { LIMITS } from '@continuo/server';
import type { Settings } from '../config/settings.ts';
import type { Finding } from './finding.ts';

/** Files that are open beside the connections: the store, the logs, the modules. */
const SPARE_FILES = 200;

export function lookAtNode(version: string, readsTypeScript: boolean): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const what = 'node';
  if (major < 22 || (major === 22 && minor < 13)) {
    return { what, found: `${version} is too old`, remedy: 'install Node 22.13 or newer' };
  }
  const note = readsTypeScript ? '' : '; reads no continuo.config.ts (22.18 does), only .js and .mjs';
  return { what, found: `${version}${note}` };
}

/** Listens where `serve` would, and stops at once. */
export async function lookAtPort({ host, port }: Settings): Promise<Finding> {
  const what = 'port';
  const server = createServer();
  const problem = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    server.once('error', resolve);
    server.listen(port, host, () => resolve(null));
  });
  if (problem === null) {
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return { what, found: `${port} of ${host} is free` };
  }
  switch (problem.code) {
    case 'EADDRINUSE':
      return {
        what,
        found: `${port} of ${host} is taken`,
        remedy: 'stop what listens there (another continuo?), or give another with --port',
      };
    case 'EACCES':
      return {
        what,
        found: `${port} of ${host} needs more rights`,
        remedy: 'give one above 1023 with --port',
      };
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return { what, found: `this machine has no address ${host}`, remedy: 'give another with --host' };
    default:
      return { what, found: problem.message, remedy: 'give another with --host and --port' };
  }
}

/** Every connection is an open file: the limit must be above the connections that the gateway takes. */
export function lookAtFiles({ limits }: Settings, available: number | null = openFilesLimit()): Finding {
  const what = 'files';
  const { connections = LIMITS.connections } = limits;
  if (available === null) return { what, found: 'the limit of open files is not told here' };
  if (available === Number.POSITIVE_INFINITY) return { what, found: 'any number of open files' };
  const needed = connections === Number.POSITIVE_INFINITY ? SPARE_FILES : connections + SPARE_FILES;
  if (available >= needed)
    return { what, found: `${available} open files, enough for ${connections} connections` };
  return {
    what,
    found: `${available} open files are too few for ${connections} connections`,
    remedy: `raise the limit (ulimit -n ${needed}), or set limits.connections to ${Math.max(1, available - SPARE_FILES)}`,
  };
}

/** How many files this process may open; Node has raised its soft limit to the hard one. */
function openFilesLimit(): number | null {
  try {
    const text =
      process.platform === 'linux'
        ? /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
        : execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
    if (text === 'unlimited') return Number.POSITIVE_INFINITY;
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
  } catch {
    return null; // Windows has no such limit
  }
}
