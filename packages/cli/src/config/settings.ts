import type { Component } from '@continuo/protocol';
import {
  type Durability,
  type JwtOptions,
  type Limits,
  NO_LIMITS,
  type PushOptions,
  type StaticToken,
} from '@continuo/server';
import { UsageError } from '../fail.ts';
import { type ContinuoConfig, LOG_LEVELS, type LogLevel } from './define.ts';

/** What the command line says. */
export interface Flags {
  readonly host?: string;
  readonly port?: number;
  readonly store?: string;
  readonly token?: string;
  readonly push?: boolean;
  readonly logLevel?: string;
  readonly quiet?: boolean;
}

export interface Auth {
  readonly tokens: readonly StaticToken[];
  readonly jwt: JwtOptions | null;
}

/** Everything that a command needs to know, from wherever it came. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly store: string;
  readonly durability: Durability;
  readonly push: boolean | PushOptions;
  readonly quiet: boolean;
  readonly logLevel: LogLevel;
  readonly auth: Auth;
  readonly limits: Partial<Limits>;
  readonly allowedOrigins: readonly string[];
  readonly trustProxy: boolean;
  readonly drainMs: number;
  readonly retention: NonNullable<ContinuoConfig['retention']>;
  /** `null`: none are configured. */
  readonly agents: readonly Component[] | null;
}

export const DEFAULTS = {
  host: '127.0.0.1',
  port: 8765,
  store: 'sqlite:./.continuo/continuo.db',
  durability: 'process',
  drainMs: 10_000,
} as const;

/** Bytes of the secret that JWTs are signed with. */
const SECRET_BYTES = 32;

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SettingsSources {
  readonly flags: Flags;
  readonly environment: Environment;
  readonly config: ContinuoConfig;
}

/** The command line, then the environment, then the file, then the defaults. Throws a `UsageError` that says what is wrong. */
export function resolveSettings({ flags, environment, config }: SettingsSources): Settings {
  const { CONTINUO_HOST, CONTINUO_STORE, CONTINUO_TOKEN } = environment;
  const token = flags.token ?? given(CONTINUO_TOKEN);
  const quiet = flags.quiet ?? false;
  const settings: Settings = {
    host: flags.host ?? given(CONTINUO_HOST) ?? config.host ?? DEFAULTS.host,
    port: flags.port ?? portOf(environment) ?? config.port ?? DEFAULTS.port,
    store: flags.store ?? given(CONTINUO_STORE) ?? config.store ?? DEFAULTS.store,
    durability: config.durability ?? DEFAULTS.durability,
    push: pushOf(flags.push ?? pushSwitchOf(environment), config),
    quiet,
    // --quiet is said for this one start: it is above what the file says, and below a level that is asked for as well.
    logLevel: levelOf(flags, environment) ?? (quiet ? 'error' : (config.logLevel ?? 'info')),
    auth: {
      tokens: token === undefined ? (config.auth?.tokens ?? []) : [{ token }],
      jwt: jwtOf(environment, config.auth?.jwt ?? null),
    },
    limits: limitsOf(environment, config),
    allowedOrigins: config.allowedOrigins ?? [],
    trustProxy: config.trustProxy ?? false,
    drainMs: config.drainMs ?? DEFAULTS.drainMs,
    retention: config.retention ?? {},
    agents: config.agents ?? null,
  };
  if (settings.limits === NO_LIMITS && !isLoopback(settings.host)) {
    throw new UsageError(`Limits are off: that is for loopback only, not for ${settings.host}.`);
  }
  return settings;
}

/** An empty variable is one that is not set. */
function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function portOf({ CONTINUO_PORT }: Environment): number | undefined {
  const text = given(CONTINUO_PORT);
  if (text === undefined) return undefined;
  if (!/^\d+$/.test(text) || Number(text) > 65_535) {
    throw new UsageError(`CONTINUO_PORT is "${text}": a port is 0 to 65535.`);
  }
  return Number(text);
}

function pushSwitchOf({ CONTINUO_PUSH }: Environment): boolean | undefined {
  const text = given(CONTINUO_PUSH);
  if (text === undefined) return undefined;
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw new UsageError(`CONTINUO_PUSH is "${text}": it must be true, 1, false or 0, or not set.`);
}

/** The command line and the environment switch push on and off; everything else about it is the file's. */
function pushOf(on: boolean | undefined, { push = false }: ContinuoConfig): boolean | PushOptions {
  if (on === undefined) return push;
  return on && typeof push === 'object' ? { ...push, enabled: true } : on;
}

/** Whether channels are switched on. */
export function isPushOn({ push }: Settings): boolean {
  return typeof push === 'object' ? (push.enabled ?? false) : push;
}

function levelOf({ logLevel }: Flags, { CONTINUO_LOG }: Environment): LogLevel | undefined {
  const name = logLevel === undefined ? 'CONTINUO_LOG' : '--log-level';
  const text = logLevel ?? given(CONTINUO_LOG);
  if (text === undefined) return undefined;
  const level = LOG_LEVELS.find((each) => each === text);
  if (!level) throw new UsageError(`${name} is "${text}": it must be one of ${LOG_LEVELS.join(', ')}.`);
  return level;
}

/** A secret of the environment takes the place of the file's; issuer and audience are the file's. */
function jwtOf(environment: Environment, configured: JwtOptions | null): JwtOptions | null {
  if (given(environment.CONTINUO_JWT_SECRET) === undefined) return configured;
  const secret = jwtSecretOf(environment);
  return configured && 'secret' in configured ? { ...configured, secret } : { secret };
}

/** The secret that tokens are signed and checked with. Throws a sentence when it is missing or too short. */
export function jwtSecretOf({ CONTINUO_JWT_SECRET }: Environment): string {
  const secret = given(CONTINUO_JWT_SECRET);
  if (secret === undefined) {
    throw new UsageError(
      `CONTINUO_JWT_SECRET is not set: put the gateway's secret there, at least ${SECRET_BYTES} bytes.`,
    );
  }
  const bytes = Buffer.byteLength(secret);
  if (bytes >= SECRET_BYTES) return secret;
  throw new UsageError(
    `CONTINUO_JWT_SECRET has ${bytes} bytes: it must have at least ${SECRET_BYTES}; \`openssl rand -hex 32\` makes one.`,
  );
}

function limitsOf({ CONTINUO_LIMITS }: Environment, config: ContinuoConfig): Partial<Limits> {
  const text = given(CONTINUO_LIMITS);
  if (text === 'off') return NO_LIMITS;
  if (text !== undefined) {
    throw new UsageError(
      `CONTINUO_LIMITS is "${text}": it must be off, or not set; single limits are set in the file.`,
    );
  }
  return config.limits === 'off' ? NO_LIMITS : (config.limits ?? {});
}

/** Whether only programs of this machine reach an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
