import { createRequire } from 'node:module';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { UsageError } from './fail.ts';
import { type ServeOptions, serve } from './serve.ts';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.');
  return value;
}

/** What the environment says where the command line says nothing. */
function environment(): Partial<ServeOptions> {
  const { CONTINUO_HOST, CONTINUO_PORT, CONTINUO_STORE, CONTINUO_TOKEN, CONTINUO_PUSH } = process.env;
  try {
    return {
      ...(CONTINUO_HOST && { host: CONTINUO_HOST }),
      ...(CONTINUO_PORT && { port: port(CONTINUO_PORT) }),
      ...(CONTINUO_STORE && { store: CONTINUO_STORE }),
      ...(CONTINUO_TOKEN && { token: CONTINUO_TOKEN }),
      ...(CONTINUO_PUSH && { push: CONTINUO_PUSH === 'true' || CONTINUO_PUSH === '1' }),
    };
  } catch {
    throw new UsageError(`CONTINUO_PORT is "${CONTINUO_PORT}": a port is 0 to 65535.`);
  }
}

function token(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('A token is not empty.');
  return text;
}

function createProgram(): Command {
  const program = new Command('continuo').description('A real-time gateway for AI agents').version(version);
  program.exitOverride().configureOutput({ writeErr() {} }); // `run` says it, in one sentence
  program
    .command('serve')
    .description('start the gateway')
    .option('--host <address>', 'address to listen on (CONTINUO_HOST)', '127.0.0.1')
    .option('--port <number>', 'port to listen on, 0 for a free one (CONTINUO_PORT)', port, 8765)
    .option('--store <store>', 'memory, or sqlite:PATH (CONTINUO_STORE)', 'sqlite:./.continuo/continuo.db')
    .option('--token <token>', 'what clients must present (CONTINUO_TOKEN)', token)
    .option('--push', 'switch channels on (CONTINUO_PUSH=true)', false)
    .option('--quiet', 'say nothing but that it listens, and errors', false)
    .exitOverride()
    .configureOutput({ writeErr() {} })
    .action(async (_options: unknown, command: Command) => {
      const given = command.opts<ServeOptions>();
      const fromEnvironment = Object.entries(environment()).filter(
        ([name]) => command.getOptionValueSource(name) !== 'cli',
      );
      await serve({ ...given, ...Object.fromEntries(fromEnvironment), version });
    });
  return program;
}

/** Runs a command line. Its own mistakes end the process with 2, anything else that throws with 1. */
export async function run(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  try {
    if (argv.length <= 2) program.help();
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    if (error instanceof CommanderError || error instanceof UsageError) {
      process.stderr.write(`continuo: ${error.message.replace(/^error: /, '').replaceAll('\n', ' ')}\n`);
      process.exitCode = 2;
      return;
    }
    throw error;
  }
}
