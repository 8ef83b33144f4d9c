import { createRequire } from 'node:module';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { type ChatOptions, chat } from './chat/chat.ts';
import { loadConfig } from './config/load.ts';
import { DEFAULTS, type Flags, jwtSecretOf, resolveSettings, type Settings } from './config/settings.ts';
import { examine } from './doctor/doctor.ts';
import { UsageError } from './fail.ts';
import { serve } from './serve.ts';
import { signToken, TOKEN_DEFAULTS, type TokenOptions } from './token.ts';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.');
  return value;
}

function token(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('A token is not empty.');
  return text;
}

interface ServerFlags extends Flags {
  readonly config?: string;
}

async function settingsOf(flags: ServerFlags): Promise<{ settings: Settings; configFile: string | null }> {
  const { config, file } = await loadConfig({ folder: process.cwd(), given: flags.config });
  return { settings: resolveSettings({ flags, environment: process.env, config }), configFile: file };
}

/** A command whose mistakes `run` says, in one sentence. */
function addCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .exitOverride()
    .configureOutput({ writeErr() {} });
}

/** Where and on what the gateway runs: `serve` uses it, `doctor` looks at it. */
function addServerOptions(command: Command): Command {
  return command
    .option('--config <file>', 'the configuration (default: continuo.config.ts, .js or .mjs of this folder)')
    .option('--host <address>', `address to listen on (CONTINUO_HOST; default: ${DEFAULTS.host})`)
    .option(
      '--port <number>',
      `port to listen on, 0 for a free one (CONTINUO_PORT; default: ${DEFAULTS.port})`,
      port,
    )
    .option('--store <store>', `memory, or sqlite:PATH (CONTINUO_STORE; default: ${DEFAULTS.store})`)
    .option('--token <token>', 'what clients must present (CONTINUO_TOKEN)', token);
}

function createProgram(): Command {
  const program = new Command('continuo').description('A real-time gateway for AI agents').version(version);
  program.exitOverride().configureOutput({ writeErr() {} });

  addServerOptions(addCommand(program, 'serve', 'start the gateway'))
    .option('--push', 'switch channels on (CONTINUO_PUSH=true)')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (CONTINUO_LOG; default: info)')
    .option('--quiet', 'say nothing but that it listens, and errors')
    .action(async (flags: ServerFlags) => {
      await serve({ ...(await settingsOf(flags)), environment: process.env, version });
    });

  addCommand(program, 'chat', 'talk to an agent in the terminal')
    .requiredOption('--agent <id>', 'agent, team or workflow to talk to')
    .option('--url <url>', `the gateway (CONTINUO_URL; default: http://${DEFAULTS.host}:${DEFAULTS.port})`)
    .option('--token <token>', 'what the gateway asks for (CONTINUO_TOKEN)', token)
    .option('--session <id>', 'go on with this session')
    .option('--wait', 'wait for a gateway that is not there yet')
    .action(async (flags: ChatOptions) => {
      const { CONTINUO_URL, CONTINUO_TOKEN } = process.env;
      await chat({
        ...(CONTINUO_URL && { url: CONTINUO_URL }),
        ...(CONTINUO_TOKEN && { token: CONTINUO_TOKEN }),
        ...flags,
      });
    });

  addCommand(program, 'token', 'print a JWT, signed with CONTINUO_JWT_SECRET (HS256)')
    .requiredOption('--sub <subject>', 'whose token it is')
    .option('--scopes <list>', 'read, write, publish, admin, impersonate', TOKEN_DEFAULTS.scopes)
    .option('--agents <patterns>', 'names, or prefixes that end in *', TOKEN_DEFAULTS.agents)
    .option('--channels <patterns>', 'names, or prefixes that end in *', TOKEN_DEFAULTS.channels)
    .option('--ttl <duration>', 'how long it is good: 90s, 15m, 1h, 30d', TOKEN_DEFAULTS.ttl)
    .action(async (flags: TokenOptions) => {
      const secret = jwtSecretOf(process.env);
      process.stdout.write(`${await signToken(flags, { secret, now: Date.now() })}\n`);
    });

  addServerOptions(
    addCommand(program, 'doctor', 'say what is wrong with this machine, and what to do'),
  ).action(async (flags: ServerFlags) => {
    const { report, healthy } = await examine({
      environment: process.env,
      settings: () => settingsOf(flags),
    });
    process.stdout.write(report);
    if (!healthy) process.exitCode = 1;
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
