import { type ChildProcess, fork } from 'node:child_process';

/** A server of the tests as a process of its own, which says its port when it listens. */
export interface Forked {
  readonly child: ChildProcess;
  readonly port: number;
  /** What it wrote to standard error so far. */
  readonly errors: string;
  readonly exited: Promise<void>;
}

/** Runs a script with one argument, as JSON. Rejects with what it wrote when it ends before it listens. */
export async function forkServer(
  script: string,
  options: object,
  env: NodeJS.ProcessEnv = {},
): Promise<Forked> {
  const child = fork(script, [JSON.stringify(options)], {
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
    child,
    port,
    exited,
    get errors() {
      return errors;
    },
  };
}
