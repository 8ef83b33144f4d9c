import { fileURLToPath } from 'node:url';
import { type ChildOptions, startChild } from './child.ts';
import type { SelfTime } from './servers/profile.ts';
import type { Memory, Question, Reply } from './servers/report.ts';
import type { Subject } from './systems.ts';

/** How long a server may take to start, to answer, or to stop, in ms. */
const ANSWER_MS = 20_000;

/** As `continuo serve` starts itself; the controls have Node's default, as their users do. */
const AS_SHIPPED = ['--max-semi-space-size=8'];
const IN_NODE = ['--conditions=continuo-source', '--expose-gc'];
/** Servers that Bun runs. */
const IN_BUN: ReadonlySet<string> = new Set(['bun', 'bun-channels']);
const BUN = fileURLToPath(new URL('../node_modules/.bin/bun', import.meta.url));

/** The server under test, in a process of its own. */
export interface ServerProcess {
  readonly name: string;
  readonly port: number;
  /** CPU time that the whole process has used so far, in microseconds. */
  cpuUs(): Promise<number>;
  /** What it holds after a forced collection. */
  memory(): Promise<Memory>;
  /** From now on it is noted, every 100 us, which function runs. */
  startProfile(): Promise<void>;
  /** How long each function has run itself since `startProfile`. */
  stopProfile(): Promise<readonly SelfTime[]>;
  /** Idempotent. Resolves when the process has ended. */
  stop(): Promise<void>;
}

function platformOf(server: string): Pick<ChildOptions, 'execPath' | 'execArgv'> {
  if (IN_BUN.has(server)) return { execPath: BUN };
  return { execArgv: server === 'continuo' ? [...IN_NODE, ...AS_SHIPPED] : IN_NODE };
}

export async function startServer({ name, server, args }: Subject): Promise<ServerProcess> {
  const child = startChild<Question, Reply>({
    name: `the server of "${name}"`,
    file: new URL(`./servers/${server}.ts`, import.meta.url),
    args,
    answerMs: ANSWER_MS,
    ...platformOf(server),
  });

  function expect<K extends Reply['kind']>(kind: K, got: Reply): Extract<Reply, { kind: K }> {
    if (got.kind !== kind)
      throw new Error(`the server of "${name}" was asked for ${kind} and said ${got.kind}`);
    return got as Extract<Reply, { kind: K }>;
  }

  try {
    const { port } = expect('listening', await child.hello());
    return {
      name,
      port,
      cpuUs: async () => expect('cpu', await child.ask('cpu')).cpuUs,
      async memory() {
        const { rssBytes, heapBytes } = expect('memory', await child.ask('memory'));
        return { rssBytes, heapBytes };
      },
      startProfile: async () => void expect('profiling', await child.ask('profiling')),
      stopProfile: async () => expect('profile', await child.ask('profile')).selfTimes,
      stop: () => child.stop(),
    };
  } catch (error) {
    await child.stop();
    throw error;
  }
}
