import type { Component } from '@continuo/protocol';
import { createGateway, type Gateway, openStore, type Store } from '@continuo/server';
import { agentsOf } from './agents.ts';
import { type Environment, isPushOn, type Settings } from './config/settings.ts';
import { UsageError } from './fail.ts';
import { gatewayAuth } from './gateway-auth.ts';
import { createLog, type Logger } from './log.ts';

export interface ServeOptions {
  readonly settings: Settings;
  readonly environment: Environment;
  readonly version: string;
  /** What the settings came from, beside the command line and the environment. */
  readonly configFile: string | null;
}

async function open({ store, durability }: Settings): Promise<Store> {
  try {
    return await openStore(store, { durability });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      error instanceof RangeError ? reason : `${reason}. Give another file with --store sqlite:PATH.`,
    );
  }
}

interface Served {
  readonly gateway: Gateway;
  readonly agents: readonly Component[];
}

/** A gateway of the settings. What they say wrongly is a `UsageError`. */
async function create(
  { settings, environment, version }: ServeOptions,
  store: Store,
  log: Logger,
): Promise<Served> {
  const { auth, push, limits, allowedOrigins, trustProxy, drainMs, retention } = settings;
  try {
    const agents = await agentsOf(settings.agents, environment);
    const gateway = createGateway({
      agents,
      store,
      push,
      version,
      limits,
      allowedOrigins,
      trustProxy,
      drainMs,
      retention,
      ...gatewayAuth(auth),
      report: (problem, error) => log.error({ err: error }, problem),
    });
    return { gateway, agents };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Starts the gateway and returns; it runs until SIGINT or SIGTERM. */
export async function serve(options: ServeOptions): Promise<void> {
  const { settings, environment } = options;
  const { host, port, quiet, auth, logLevel, drainMs } = settings;
  const log = createLog({
    level: logLevel,
    readable: process.stderr.isTTY,
    secrets: [
      ...auth.tokens.map(({ token }) => token),
      ...(auth.jwt && 'secret' in auth.jwt ? [auth.jwt.secret] : []),
      environment.OPENAI_API_KEY ?? '',
    ],
  });
  const store = await open(settings);
  let served: Served;
  try {
    served = await create(options, store, log);
  } catch (error) {
    await store.close();
    throw error;
  }
  const { gateway, agents } = served;

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
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1); // asked twice: at once
    stopping = true;
    log.info({ signal }, `stopping: runs under way may end, at most ${drainMs / 1000} s`);
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'while stopping');
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal); // before anybody can know that it listens, and stop it

  process.stdout.write(`continuo listening on ${url}\n`);
  if (!quiet) process.stdout.write(describe(settings, agents, url));
  log.info({ url, store: settings.store, push: isPushOn(settings), config: options.configFile }, 'listening');
}

/** What a person wants to know at the start. */
function describe(settings: Settings, agents: readonly Component[], url: string): string {
  const { store, auth } = settings;
  const demos = agents.filter((agent) => agent.demo).map((agent) => agent.id);
  const real = agents.filter((agent) => !agent.demo).map((agent) => agent.id);
  const listed = [
    ...(real.length > 0 ? [real.join(', ')] : []),
    ...(demos.length > 0 ? [`${demos.join(', ')} (demos: scripts, not models)`] : []),
  ];
  const access = auth.tokens.length > 0 || auth.jwt ? 'token required' : 'no token: this machine only';
  return [
    `  store ${store}, channels ${isPushOn(settings) ? 'on' : 'off'}, ${access}`,
    `  agents: ${listed.join('; ')}`,
    `  open ${url} to see what to try first; Ctrl-C stops`,
    '',
  ].join('\n');
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
