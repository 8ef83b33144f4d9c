import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { JwtOptions } from '@continuo/server';

/** A server with options that the command does not have, in a process of its own. */
export interface JwtServerProcess {
  readonly port: number;
  /** What it wrote to standard output and error so far. */
  readonly said: string;
  readonly isAlive: boolean;
  /** It has ended when it resolves. */
  kill(): Promise<void>;
}

const SCRIPT = fileURLToPath(new URL('./jwt-server.ts', import.meta.url));

export async function startJwtServer(options: {
  readonly jwt: JwtOptions;
  readonly handshakeMs: number;
}): Promise<JwtServerProcess> {
  const child = fork(SCRIPT, [JSON.stringify(options)], {
    execArgv: ['--conditions=continuo-source'],
    silent: true,
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await Promise.race([
    new Promise<number>((resolve) => {
      child.once('message', (message: { port: number }) => resolve(message.port));
    }),
    exited.then(() => Promise.reject(new Error(`the server ended: ${said}`))),
  ]);
  return {
    port,
    get said() {
      return said;
    },
    get isAlive() {
      return child.exitCode === null && child.signalCode === null;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
