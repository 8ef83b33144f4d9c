import { fork } from 'node:child_process';
import type { System } from './systems.ts';

/** How long a command may take, in ms. */
const ANSWER_MS = 30_000;

export interface HolderCommand {
  readonly open?: number;
  readonly close?: boolean;
}

export type HolderReply = { readonly cpuUs: number } | { readonly error: string };

/** A load generator of its own process, as each has file descriptors for the connections of one system only. */
export interface Holder {
  /** Opens so many more connections, and joins. */
  open(count: number): Promise<void>;
  /** Closes all of them. */
  close(): Promise<void>;
  /** CPU time that it has used so far, in microseconds. */
  cpuUs(): Promise<number>;
  /** Ends the process, and with it the connections. */
  stop(): Promise<void>;
}

export function startHolder({ name }: System, port: number): Holder {
  const child = fork(new URL('./holder-process.ts', import.meta.url), [name, String(port)], {
    execArgv: ['--conditions=source'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));

  /** One command at a time. */
  function command(asked: HolderCommand): Promise<number> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`who holds connections to "${name}" ${why}`));
      const timer = setTimeout(() => fail(`did not answer within ${ANSWER_MS} ms`), ANSWER_MS);
      const onExit = (): void => fail('has ended');
      child.once('exit', onExit);
      child.once('message', (reply: HolderReply) => {
        clearTimeout(timer);
        child.off('exit', onExit);
        if ('error' in reply) fail(reply.error);
        else resolve(reply.cpuUs);
      });
      child.send(asked);
    });
  }

  return {
    open: async (count) => void (await command({ open: count })),
    close: async () => void (await command({ close: true })),
    cpuUs: () => command({}),
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
