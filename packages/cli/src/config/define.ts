import type { Component } from '@continuo/protocol';
import type { Durability, Limits, RetentionLimits, StaticToken } from '@continuo/server';
import type { JSONWebKeySet } from 'jose';

/** JWTs that are signed with a secret both sides know: HS256. */
export interface SecretJwtConfig {
  /** At least 32 bytes: `env('CONTINUO_JWT_SECRET')`, never written down here. */
  readonly secret: string;
  /** `iss` and `aud` a token must have. */
  readonly issuer?: string;
  readonly audience?: string;
}

/** JWTs that an issuer signs with a key of its own: one of `jwksUrl` and `jwks`. */
export interface KeySetJwtConfig {
  readonly jwksUrl?: string;
  readonly jwks?: JSONWebKeySet;
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms?: readonly string[];
}

/** How bearer tokens that others signed are checked. */
export type JwtConfig = SecretJwtConfig | KeySetJwtConfig;

/** What `continuo.config.ts` says. What it leaves out has the default that the command line names. */
export interface ContinuoConfig {
  /** Agents, teams and workflows, in place of the demos. */
  readonly agents?: readonly Component[];
  /** `memory` or `sqlite:PATH`. */
  readonly store?: string;
  /** What survives in SQLite. `process` (default): a killed process; `power`: also a power cut. */
  readonly durability?: Durability;
  /** Who may connect. Without it nobody needs a token, which is for loopback only. */
  readonly auth?: { readonly tokens?: readonly StaticToken[]; readonly jwt?: JwtConfig };
  /** What one peer, and all together, may take; `off` is for load tests on loopback. */
  readonly limits?: Partial<Limits> | 'off';
  /** Channels and their polling. */
  readonly push?: boolean;
  readonly host?: string;
  /** 0 for a free one. */
  readonly port?: number;
  /** Origins of web pages that may connect, beside the server's own. */
  readonly allowedOrigins?: readonly string[];
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
