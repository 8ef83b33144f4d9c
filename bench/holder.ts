import { startChild } from './child.ts';
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
  const who = `who holds connections to "${name}"`;
  const child = startChild<HolderCommand, HolderReply>({
    name: who,
    file: new URL('./holder-process.ts', import.meta.url),
    args: [name, String(port)],
    answerMs: ANSWER_MS,
  });

  async function command(asked: HolderCommand): Promise<number> {
    const reply = await child.ask(asked);
    if ('error' in reply) throw new Error(`${who} ${reply.error}`);
    return reply.cpuUs;
  }

  return {
    open: async (count) => void (await command({ open: count })),
    close: async () => void (await command({ close: true })),
    cpuUs: () => command({}),
    stop: () => child.stop(),
  };
}
