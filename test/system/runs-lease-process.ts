import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LeaseTerms } from '@continuo/server';
import { type ServerProcess, startServer } from './server-process.ts';

/** A server that can be killed, and frozen. */
export interface LeaseServer {
  readonly url: string;
  /** What it wrote to standard error so far. */
  readonly errors: string;
  /** SIGSTOP: it does nothing, and does not know it. */
  freeze(): void;
  thaw(): void;
  /** SIGKILL, and the process is gone when it resolves. */
  kill(): Promise<void>;
}

export interface LeaseServerOptions {
  /** `sqlite:PATH` */
  readonly store: string;
  readonly env: Readonly<Record<string, string>>;
  /** `null`: the shipped command, with the leases it has. */
  readonly lease: LeaseTerms | null;
}

const SCRIPT = fileURLToPath(new URL('./runs-lease-server.ts', import.meta.url));

export async function startLeaseServer({ store, env, lease }: LeaseServerOptions): Promise<LeaseServer> {
  const server = await (lease === null ? startServer({ store, env }) : startScript({ store, env, lease }));
  return {
    url: server.url,
    get errors() {
      return server.errors;
    },
    freeze: () => void process.kill(server.pid, 'SIGSTOP'),
    thaw: () => void process.kill(server.pid, 'SIGCONT'),
    kill: () => server.kill(),
  };
}

type Started = Pick<ServerProcess, 'url' | 'pid' | 'errors' | 'kill'>;

async function startScript({
  store,
  env,
  lease,
}: LeaseServerOptions & { lease: LeaseTerms }): Promise<Started> {
  const child = fork(SCRIPT, [JSON.stringify({ store, lease })], {
    execArgv: ['--conditions=continuo-source'],
    silent: true,
    env: { ...process.env, ...env, NODE_OPTIONS: '' },
  });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await Promise.race([
    new Promise<number>((resolve) => {
      child.once('message', (message: { port: number }) => resolve(message.port));
    }),
    exited.then(() => Promise.reject(new Error(`the server ended: ${errors}`))),
  ]);
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    get errors() {
      return errors;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
