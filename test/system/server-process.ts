import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The shipped command, in a process of its own. */
export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  readonly url: string;
  /** What it wrote to standard output and to standard error so far. */
  readonly output: string;
  readonly errors: string;
  /** SIGKILL, and the process is gone when it resolves. */
  kill(): Promise<void>;
  /** SIGTERM, and resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface ServerProcessOptions {
  /** `sqlite:PATH` or `memory`. */
  readonly store: string;
  /** 0 for a free one. */
  readonly port?: number;
  readonly args?: readonly string[];
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const COMMAND = fileURLToPath(new URL('../../packages/cli/bin/continuo.js', import.meta.url));

export async function startServer(options: ServerProcessOptions): Promise<ServerProcess> {
  const { store, port = 0, args = [], nodeArgs = [], env = {} } = options;
  const child = spawn(
    process.execPath,
    [...nodeArgs, COMMAND, 'serve', '--push', '--quiet', '--store', store, '--port', String(port), ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env, NODE_OPTIONS: '' } },
  );
  let output = '';
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const exited = exitOf(child);
  const listening = new Promise<string>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const url = /listening on (\S+)/.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
  const url = await Promise.race([
    listening,
    exited.then((code) => Promise.reject(new Error(`the server ended with ${code}: ${errors}`))),
  ]);
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    get output() {
      return output;
    },
    get errors() {
      return errors;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}
