import { NO_LIMITS } from '@continuo/server';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../fail.ts';
import type { ContinuoConfig } from './define.ts';
import {
  DEFAULTS,
  type Environment,
  type Flags,
  isPushOn,
  jwtSecretOf,
  resolveSettings,
  type Settings,
} from './settings.ts';

interface Sources {
  readonly flags?: Flags;
  readonly environment?: Environment;
  readonly config?: ContinuoConfig;
}

function resolve({ flags = {}, environment = {}, config = {} }: Sources): Settings {
  return resolveSettings({ flags, environment, config });
}

function problemOf(sources: Sources): string {
  try {
    resolve(sources);
  } catch (error) {
    return error instanceof UsageError ? error.message : String(error);
  }
  return 'none';
}

const SECRET = '0123456789abcdef0123456789abcdef';
const OTHER = 'fedcba9876543210fedcba9876543210';

describe('settings', () => {
  it('have defaults: this machine, a file in this folder, nobody needs a token', () => {
    expect(resolve({})).toEqual({
      ...DEFAULTS,
      push: false,
      quiet: false,
      logLevel: 'info',
      auth: { tokens: [], jwt: null },
      limits: {},
      allowedOrigins: [],
      trustProxy: false,
      retention: {},
      agents: null,
    });
  });

  const flags = { host: '127.0.0.1', port: 1, store: 'memory', token: 'flag', push: true, logLevel: 'warn' };
  const environment = {
    CONTINUO_HOST: '127.0.0.2',
    CONTINUO_PORT: '2',
    CONTINUO_STORE: 'sqlite:env.db',
    CONTINUO_TOKEN: 'environment',
    CONTINUO_PUSH: 'false',
    CONTINUO_LOG: 'error',
  };
  const config: ContinuoConfig = {
    host: '127.0.0.3',
    port: 3,
    store: 'sqlite:file.db',
    auth: { tokens: [{ token: 'file', subject: 'ann' }] },
    push: true,
    logLevel: 'debug',
  };
  const shown = ({ host, port, store, auth, push, logLevel }: Settings): unknown => [
    host,
    port,
    store,
    auth.tokens,
    push,
    logLevel,
  ];

  it('are what the command line says, before the environment, before the file', () => {
    expect(shown(resolve({ flags, environment, config }))).toEqual([
      '127.0.0.1',
      1,
      'memory',
      [{ token: 'flag' }],
      true,
      'warn',
    ]);
    expect(shown(resolve({ environment, config }))).toEqual([
      '127.0.0.2',
      2,
      'sqlite:env.db',
      [{ token: 'environment' }],
      false,
      'error',
    ]);
    expect(shown(resolve({ config }))).toEqual([
      '127.0.0.3',
      3,
      'sqlite:file.db',
      [{ token: 'file', subject: 'ann' }],
      true,
      'debug',
    ]);
  });

  it('take an empty variable for one that is not set', () => {
    const empty = Object.fromEntries(Object.keys(environment).map((name) => [name, '']));
    expect(
      resolve({ environment: { ...empty, CONTINUO_JWT_SECRET: '', CONTINUO_LIMITS: '' }, config }),
    ).toEqual(resolve({ config }));
  });

  it.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])('take CONTINUO_PUSH=%s', (text, push) => {
    expect(resolve({ environment: { CONTINUO_PUSH: text }, config: { push: !push } }).push).toBe(push);
  });

  it.each([
    ['switched on by the command line', { push: true }, {}, true],
    ['switched on by the environment', {}, { CONTINUO_PUSH: '1' }, true],
    ['switched off by the environment', {}, { CONTINUO_PUSH: '0' }, false],
    ['left off', {}, {}, false],
  ])("take the file's options of push, %s", (_how, given, variables, on) => {
    const push = { polling: { maxBatchSize: 7 } };
    const settings = resolve({ flags: given, environment: variables, config: { push } });
    expect(isPushOn(settings)).toBe(on);
    if (on) expect(settings.push).toEqual({ ...push, enabled: true });
  });

  it('--quiet hides all but errors, unless a level is asked for', () => {
    expect(resolve({ flags: { quiet: true }, config }).logLevel).toBe('error');
    expect(resolve({ flags: { quiet: true, logLevel: 'debug' } }).logLevel).toBe('debug');
    expect(resolve({ flags: { quiet: true }, environment: { CONTINUO_LOG: 'warn' } }).logLevel).toBe('warn');
  });

  it('take a secret of the environment in place of the file, and keep its issuer', () => {
    const jwt = { secret: OTHER, issuer: 'us' };
    const environment = { CONTINUO_JWT_SECRET: SECRET };
    expect(resolve({ environment }).auth.jwt).toEqual({ secret: SECRET });
    expect(resolve({ environment, config: { auth: { jwt } } }).auth.jwt).toEqual({
      secret: SECRET,
      issuer: 'us',
    });
    expect(resolve({ config: { auth: { jwt } } }).auth.jwt).toEqual(jwt);
  });

  it('have no limits on loopback alone', () => {
    const environment = { CONTINUO_LIMITS: 'off' };
    expect(resolve({ environment, config: { limits: { inbox: 3 } } }).limits).toBe(NO_LIMITS);
    expect(resolve({ config: { limits: 'off' } }).limits).toBe(NO_LIMITS);
    const sentence = 'Limits are off: that is for loopback only, not for 0.0.0.0.';
    expect(problemOf({ environment, flags: { host: '0.0.0.0' } })).toBe(sentence);
    expect(problemOf({ config: { limits: 'off', host: '0.0.0.0' } })).toBe(sentence);
  });

  it.each<[Environment, string]>([
    [{ CONTINUO_PORT: 'x' }, 'CONTINUO_PORT is "x": a port is 0 to 65535.'],
    [{ CONTINUO_PORT: '65536' }, 'CONTINUO_PORT is "65536": a port is 0 to 65535.'],
    [
      { CONTINUO_LOG: 'loud' },
      'CONTINUO_LOG is "loud": it must be one of trace, debug, info, warn, error, silent.',
    ],
    [{ CONTINUO_PUSH: 'maybe' }, 'CONTINUO_PUSH is "maybe": it must be true, 1, false or 0, or not set.'],
    [{ CONTINUO_PUSH: 'TRUE' }, 'CONTINUO_PUSH is "TRUE": it must be true, 1, false or 0, or not set.'],
    [
      { CONTINUO_LIMITS: '3' },
      'CONTINUO_LIMITS is "3": it must be off, or not set; single limits are set in the file.',
    ],
    [
      { CONTINUO_JWT_SECRET: 'x'.repeat(31) },
      'CONTINUO_JWT_SECRET has 31 bytes: it must have at least 32; `openssl rand -hex 32` makes one.',
    ],
  ])('refuse %j', (environment, sentence) => {
    expect(problemOf({ environment })).toBe(sentence);
  });

  it('refuse a level of the command line', () => {
    expect(problemOf({ flags: { logLevel: 'loud' } })).toMatch(/^--log-level is "loud"/);
  });
});

describe('the secret of JWTs', () => {
  it('is counted in bytes', () => {
    expect(jwtSecretOf({ CONTINUO_JWT_SECRET: 'ü'.repeat(16) })).toHaveLength(16);
  });

  it('is asked for where it is missing', () => {
    expect(() => jwtSecretOf({})).toThrow('CONTINUO_JWT_SECRET is not set');
  });
});
