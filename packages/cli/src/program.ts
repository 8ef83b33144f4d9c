import { createRequire } from 'node:module';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { type PublishOptions, publish } from './channels/publish.ts';
import { type TailOptions, tail } from './channels/tail.ts';
import { type ChatOptions, chat } from './chat/chat.ts';
import { loadConfig } from './config/load.ts';
import { DEFAULTS, type Flags, jwtSecretOf, resolveSettings, type Settings } from './config/settings.ts';
import { examine } from './doctor/doctor.ts';
import { UsageError } from './fail.ts';
import { type AttachRunOptions, attachRun, cancelRun, type RunOptions, startRun } from './run/run.ts';
import { serve } from './serve.ts';
import { signToken, TOKEN_DEFAULTS, type TokenOptions } from './token.ts';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.');
  return value;
}

function sequence(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('A sequence is a whole number, 0 or more.');
  return Number(text);
}

function index(text: string): number {
  if (!/^(-1|\d{1,15})$/.test(text))
    throw new InvalidArgumentError('An index is a whole number, -1 or more.');
  return Number(text);
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

/** Which gateway a command talks to. */
function addClientOptions(command: Command): Command {
  return command
    .option('--url <url>', `the gateway (CONTINUO_URL; default: http://${DEFAULTS.host}:${DEFAULTS.port})`)
    .option('--token <token>', 'what the gateway asks for (CONTINUO_TOKEN)', token);
}

function whereOf({ CONTINUO_URL, CONTINUO_TOKEN }: NodeJS.ProcessEnv): { url?: string; token?: string } {
  return {
    ...(CONTINUO_URL && { url: CONTINUO_URL }),
    ...(CONTINUO_TOKEN && { token: CONTINUO_TOKEN }),
  };
}

function addRun(program: Command): void {
  const json = ['--json', 'print the events, a line of JSON each'] as const;
  const started = addClientOptions(
    addCommand(program, 'run', 'run an agent, a team or a workflow, and watch it'),
  )
    .argument('<message>')
    .option('--agent <id>', 'what to run: an agent')
    .option('--team <id>', 'a team')
    .option('--workflow <id>', 'or a workflow')
    .option(...json)
    .enablePositionalOptions()
    .action(async (message: string, flags: RunOptions) => {
      process.exitCode = await startRun(message, { ...whereOf(process.env), ...flags });
    });
  addClientOptions(addCommand(started, 'attach', 'watch a run that goes on already, or has ended'))
    .argument('<run-id>')
    .option('--after <index>', 'begin after this event (default: -1, with the first)', index)
    .option(...json)
    .action(async (runId: string, _flags: unknown, command: Command) => {
      process.exitCode = await attachRun(runId, {
        ...whereOf(process.env),
        ...command.optsWithGlobals<AttachRunOptions>(),
      });
    });
  addClientOptions(addCommand(started, 'cancel', 'end a run'))
    .argument('<run-id>')
    .action(async (runId: string, _flags: unknown, command: Command) => {
      await cancelRun(runId, { ...whereOf(process.env), ...command.optsWithGlobals<RunOptions>() });
    });
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

  addClientOptions(addCommand(program, 'chat', 'talk to an agent in the terminal'))
    .requiredOption('--agent <id>', 'agent, team or workflow to talk to')
    .option('--session <id>', 'go on with this session')
    .option('--wait', 'wait for a gateway that is not there yet')
    .action(async (flags: ChatOptions) => {
      await chat({ ...whereOf(process.env), ...flags });
    });

  addRun(program);

  addClientOptions(addCommand(program, 'publish', 'publish a message on a channel'))
    .argument('<channel>')
    .argument('<json>', 'the message: any JSON')
    .option('--event-id <id>', 'the same id again is stored once')
    .action(async (channel: string, json: string, flags: PublishOptions) => {
      process.stdout.write(await publish(channel, json, { ...whereOf(process.env), ...flags }));
    });

  addClientOptions(addCommand(program, 'tail', 'print what is published on a channel, a line of JSON each'))
    .argument('<channel>')
    .option(
      '--since <sequence>',
      'begin after this message, 0: with the oldest (default: the next)',
      sequence,
    )
    .action(async (channel: string, flags: TailOptions) => {
      await tail(channel, { ...whereOf(process.env), ...flags });
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
