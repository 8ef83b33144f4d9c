import type { Component } from '@continuo/protocol';
import type { AuthOptions, Durability, Limits, PushOptions, RetentionLimits } from '@continuo/server';

/** What `continuo.config.ts` says. What it leaves out has the default that the command line names. */
export interface ContinuoConfig {
  /** Agents, teams and workflows, in place of the demos. */
  readonly agents?: readonly Component[];
  /** `memory` or `sqlite:PATH`. */
  readonly store?: string;
  /** What survives in SQLite. `process` (default): a killed process; `power`: also a power cut. */
  readonly durability?: Durability;
  /** Who may connect. Without it nobody needs a token, which is for loopback only. */
  readonly auth?: AuthOptions;
  /** What one peer, and all together, may take; `off` is for load tests on loopback. */
  readonly limits?: Partial<Limits> | 'off';
  /** Channels and their polling; `true` stands for `{ enabled: true }`. */
  readonly push?: boolean | PushOptions;
  readonly host?: string;
  /** 0 for a free one. */
  readonly port?: number;
  /** Origins of web pages that may connect, beside the server's own. */
  readonly allowedOrigins?: readonly string[];
  /** Whether a proxy stands before the server: the last of `X-Forwarded-For` is then who connects. */
  readonly trustProxy?: boolean;
  /** How long runs under way may take to end when the server stops, in ms. */
  readonly drainMs?: number;
  /** What is kept of a log, where it differs from the defaults. */
  readonly retention?: {
    readonly session?: RetentionLimits;
    readonly channel?: RetentionLimits;
    readonly run?: RetentionLimits;
  };
  readonly logLevel?: LogLevel;
}

export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

/** Gives a configuration its type: `export default defineConfig({ ... })`. It is checked when `continuo` reads it. */
export function defineConfig(config: ContinuoConfig): ContinuoConfig {
  return config;
}

/** A value of the environment, for what does not belong in a file. Throws a sentence when it is missing or empty. */
export function env(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(`The environment has no ${name}: set it before continuo starts.`);
  }
  return value;
}
