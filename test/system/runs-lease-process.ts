import { fileURLToPath } from 'node:url';
import type { LeaseTerms } from '@continuo/server';
import { type ServerProcess, startServer } from './server-process.ts';
import { forkServer } from './forked.ts';

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
  const server = await forkServer(SCRIPT, { store, lease }, env);
  const { child, port, exited } = server;
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    get errors() {
      return server.errors;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
