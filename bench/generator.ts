import { startChild } from './child.ts';
import type { Broadcaster, Load } from './crowd.ts';

/** How long a command may take, in ms. */
const ANSWER_MS = 60_000;

export type GeneratorCommand =
  | { readonly kind: 'publish'; readonly load: Load }
  | { readonly kind: 'check' }
  | { readonly kind: 'cpu' };

export type GeneratorReply =
  | { readonly messages: number; readonly cpuUs: number }
  | { readonly error: string };

/** A crowd in a process of its own, as each process has file descriptors for the subscribers of a few systems only. */
export interface Generator {
  /** As `Crowd.publish`. */
  publish(load: Load): Promise<number>;
  /** As `Crowd.check`. */
  check(): Promise<void>;
  /** CPU time that it has used so far, in microseconds. */
  cpuUs(): Promise<number>;
  /** Ends the process, and with it the connections. */
  stop(): Promise<void>;
}

/** Resolves when all have subscribed. */
export async function startGenerator({ name }: Broadcaster, port: number, size: number): Promise<Generator> {
  const who = `the generator of "${name}"`;
  const child = startChild<GeneratorCommand, GeneratorReply>({
    name: who,
    file: new URL('./generator-process.ts', import.meta.url),
    args: [name, String(port), String(size)],
    answerMs: ANSWER_MS,
  });

  function expect(reply: GeneratorReply): Exclude<GeneratorReply, { error: string }> {
    if ('error' in reply) throw new Error(`${who}: ${reply.error}`);
    return reply;
  }

  try {
    expect(await child.hello());
  } catch (error) {
    await child.stop();
    throw error;
  }
  return {
    publish: async (load) => expect(await child.ask({ kind: 'publish', load })).messages,
    check: async () => void expect(await child.ask({ kind: 'check' })),
    cpuUs: async () => expect(await child.ask({ kind: 'cpu' })).cpuUs,
    stop: () => child.stop(),
  };
}
