import { demoAgents } from '@continuo/agents';
import { createGateway, openStore, type Store } from '@continuo/server';
import { UsageError } from './fail.ts';

export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly store: string;
  readonly token?: string;
  readonly push: boolean;
  readonly quiet: boolean;
  readonly version: string;
}

async function open(name: string): Promise<Store> {
  try {
    return await openStore(name);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      error instanceof RangeError ? reason : `${reason}. Give another file with --store sqlite:PATH.`,
    );
  }
}

/** Starts the gateway and returns; it runs until SIGINT or SIGTERM. */
export async function serve(options: ServeOptions): Promise<void> {
  const { host, port, token, push, quiet, version } = options;
  const store = await open(options.store);
  const gateway = createGateway({
    agents: demoAgents,
    store,
    push,
    version,
    ...(token !== undefined && { tokens: [{ token }] }),
    report(problem, error) {
      process.stderr.write(
        `continuo: ${problem}: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`,
      );
    },
  });

  async function stop(): Promise<void> {
    await gateway.close();
    await store.close();
  }

  process.stdout.on('error', () => {}); // whoever read along has gone; the gateway goes on

  let url: string;
  try {
    ({ url } = await gateway.listen({ host, port }));
  } catch (error) {
    await stop();
    throw new UsageError(listenProblem(error, host, port));
  }
  process.stdout.write(`continuo listening on ${url}\n`);
  if (!quiet) {
    process.stdout.write(
      `  store ${options.store}, channels ${push ? 'on' : 'off'}, ${token ? 'token required' : 'no token: this machine only'}\n`,
    );
    process.stdout.write(
      `  agents: ${demoAgents.map((agent) => agent.id).join(', ')} (demos: scripts, not models)\n`,
    );
    process.stdout.write(`  open ${url} to see what to try first; Ctrl-C stops\n`);
  }

  let stopping = false;
  const onSignal = (): void => {
    if (stopping) process.exit(1); // asked twice: at once
    stopping = true;
    if (!quiet) process.stdout.write('stopping: runs under way may end, at most 10 s\n');
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`continuo: while stopping: ${error}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

function listenProblem(error: unknown, host: string, port: number): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE')
    return `Port ${port} of ${host} is taken: stop what listens there, or give another with --port.`;
  if (code === 'EACCES') return `Port ${port} of ${host} needs more rights: give one above 1023 with --port.`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `This machine has no address ${host}: give another with --host.`;
  return message;
}
