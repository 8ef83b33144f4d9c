import { fork } from 'node:child_process';
import type { Memory, Reply } from './servers/report.ts';
import type { Subject } from './systems.ts';

/** How long a server may take to start, to answer, or to stop, in ms. */
const ANSWER_MS = 20_000;

/** As `continuo serve` starts itself; the controls have Node's default, as their users do. */
const AS_SHIPPED = ['--max-semi-space-size=8'];

/** The server under test, in a process of its own. */
export interface ServerProcess {
  readonly port: number;
  /** CPU time that the whole process has used so far, in microseconds. */
  cpuUs(): Promise<number>;
  /** What it holds after a forced collection. */
  memory(): Promise<Memory>;
  /** Idempotent. Resolves when the process has ended. */
  stop(): Promise<void>;
}

export async function startServer({ name, server, args }: Subject): Promise<ServerProcess> {
  const child = fork(new URL(`./servers/${server}.ts`, import.meta.url), args, {
    execArgv: ['--conditions=continuo-source', '--expose-gc', ...(server === 'continuo' ? AS_SHIPPED : [])],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));

  /** The server answers one question at a time, and is asked one at a time. */
  function reply(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`the server of "${name}" ${why}`));
      const timer = setTimeout(() => fail(`did not answer within ${ANSWER_MS} ms`), ANSWER_MS);
      const onExit = (): void => fail('has ended');
      child.once('exit', onExit);
      child.once('message', (message: Reply) => {
        clearTimeout(timer);
        child.off('exit', onExit);
        resolve(message);
      });
    });
  }

  async function ask<K extends Reply['kind']>(kind: K): Promise<Extract<Reply, { kind: K }>> {
    const answer = reply();
    if (kind !== 'listening') child.send(kind);
    const got = await answer;
    if (got.kind !== kind)
      throw new Error(`the server of "${name}" was asked for ${kind} and said ${got.kind}`);
    return got as Extract<Reply, { kind: K }>;
  }

  async function stop(): Promise<void> {
    const timer = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS);
    if (child.connected) child.disconnect();
    await exited;
    clearTimeout(timer);
  }

  const { port } = await ask('listening');
  return {
    port,
    cpuUs: async () => (await ask('cpu')).cpuUs,
    async memory() {
      const { rssBytes, heapBytes } = await ask('memory');
      return { rssBytes, heapBytes };
    },
    stop,
  };
}
