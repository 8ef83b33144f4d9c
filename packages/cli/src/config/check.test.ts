import { echoAgent } from '@continuo/agents';
import { describe, expect, it } from 'vitest';
import { checkConfig } from './check.ts';
import { type ContinuoConfig, defineConfig, env } from './define.ts';

function problemOf(config: unknown): string {
  try {
    checkConfig(config, 'continuo.config.ts');
  } catch (error) {
    return error instanceof TypeError ? error.message.replace('continuo.config.ts: ', '') : String(error);
  }
  return 'none';
}

const SECRET = 'a secret that nobody knows, of 32 bytes or more';

describe('a configuration', () => {
  it.each<[string, ContinuoConfig]>([
    ['says nothing', {}],
    [
      'says everything',
      {
        agents: [echoAgent],
        store: 'sqlite:./data/continuo.db',
        durability: 'power',
        auth: {
          tokens: [{ token: 'one', subject: 'ann', scopes: ['read'], agents: ['echo'], channels: ['news*'] }],
          jwt: { secret: SECRET },
        },
        limits: { connections: 10, framesPerSecond: Number.POSITIVE_INFINITY },
        push: true,
        host: '127.0.0.1',
        port: 0,
        allowedOrigins: ['https://app.example', 'http://localhost:5173'],
        drainMs: 0,
        retention: { session: { maxEntries: 10 }, run: { maxBytes: 1_000 } },
        logLevel: 'debug',
      },
    ],
    ['leaves a key open', { ...{ push: true } }],
    ['has no limits', { limits: 'off' }],
    [
      'says everything about push',
      {
        push: {
          enabled: true,
          presence: { heartbeatIntervalMs: 5_000, offlineTimeoutMs: 15_000 },
          delivery: { maxRetries: 5, storeBackend: 'sqlite' },
          polling: { enabled: false },
          channels: { 'news*': { maxEntries: 10, delivery: false } },
          onPublish: ({ data }) => ({ data }),
          onSubscribe: async () => false,
        },
      },
    ],
    [
      'takes tokens of an issuer',
      { auth: { jwt: { jwksUrl: 'https://a.example/keys', issuer: 'a', audience: 'b' } } },
    ],
  ])('is good when it %s', (_what, config) => {
    expect(problemOf(defineConfig(config))).toBe('none');
  });

  it.each<[unknown, string]>([
    [{ prot: 1 }, '"prot" is no key: did you mean "port"?'],
    [{ Store: 'memory' }, '"Store" is no key: did you mean "store"?'],
    [{ limits: { conections: 1 } }, '"limits.conections" is no key: did you mean "connections"?'],
    [
      { retention: { session: { maxEntrys: 1 } } },
      '"retention.session.maxEntrys" is no key: did you mean "maxEntries"?',
    ],
    [
      { auth: { tokens: [{ token: 'a', scope: [] }] } },
      '"auth.tokens[0].scope" is no key: did you mean "scopes"?',
    ],
    [{ auth: { dance: 1 } }, '"auth.dance" is no key: there are tokens, jwt.'],
    [{ port: 70_000 }, '"port" is 70000: it must be a whole number, 0 to 65535.'],
    [{ port: '80' }, '"port" is "80": it must be a whole number, 0 to 65535.'],
    [{ drainMs: -1 }, '"drainMs" is -1: it must be a whole number, 0 to 2147483647.'],
    [{ store: 'cloud' }, '"store" is "cloud": it must be memory or sqlite:PATH.'],
    [{ push: 'yes' }, '"push" is "yes": it must be true, false or an object.'],
    [{ push: { enabeld: true } }, '"push.enabeld" is no key: did you mean "enabled"?'],
    [
      { push: { delivery: { maxRetries: -1 } } },
      '"push.delivery.maxRetries" is -1: it must be a whole number, 0 to 1000.',
    ],
    [{ durability: 'disk' }, '"durability" is "disk": it must be process or power.'],
    [{ logLevel: 'loud' }, '"logLevel" is "loud": it must be trace, debug, info, warn, error or silent.'],
    [{ limits: 'on' }, '"limits" is "on": it must be an object, or off.'],
    [{ limits: { inbox: 0 } }, '"limits.inbox" is 0: it must be a whole number, 1 or more.'],
    [{ limits: { inbox: 1.5 } }, '"limits.inbox" is 1.5: it must be a whole number, 1 or more.'],
    [
      { limits: { maxPayloadBytes: 5 } },
      '"limits.maxPayloadBytes" is 5: it must be a whole number, 1024 to 1048576.',
    ],
    [
      { limits: { maxPayloadBytes: 1_048_577 } },
      '"limits.maxPayloadBytes" is 1048577: it must be a whole number, 1024 to 1048576.',
    ],
    [
      { limits: { handshakeMs: Number.POSITIVE_INFINITY } },
      '"limits.handshakeMs" is Infinity: it must be a whole number, 1 to 600000.',
    ],
    [{ agents: [] }, '"agents" is an empty list: it must have at least one: leave it out for the demos.'],
    [{ agents: echoAgent }, '"agents" is an object: it must be a list of agents, teams and workflows.'],
    [
      { agents: [{ ...echoAgent, id: 'a b' }] },
      '"agents[0].id" is "a b": it must be letters, digits and . _ - only, at most 100.',
    ],
    [
      { agents: [{ ...echoAgent, run: undefined }] },
      '"agents[0].run" is missing: it must be a function that yields events.',
    ],
    [
      { allowedOrigins: ['app.example'] },
      '"allowedOrigins[0]" is "app.example": it must be an origin, as https://app.example.',
    ],
    [
      { retention: { run: { maxBytes: 0 } } },
      '"retention.run.maxBytes" is 0: it must be a whole number, 1 or more.',
    ],
    [{ auth: { tokens: [{}] } }, '"auth.tokens[0].token" is missing: it must be text.'],
    [
      { auth: { tokens: [{ token: 'a', scopes: ['reed'] }] } },
      '"auth.tokens[0].scopes[0]" is not good: it must be read, write, publish, admin or impersonate.',
    ],
    [{ auth: { jwt: {} } }, '"auth.jwt" is an object: it must have exactly one of secret, jwksUrl and jwks.'],
    ['nothing', 'the configuration is "nothing": it must be an object.'],
    [undefined, 'the configuration is missing: it must be an object.'],
  ])('is refused with a sentence that names the key: %j', (config, sentence) => {
    expect(problemOf(config)).toBe(sentence);
  });

  it('never shows a secret, also one that is no good', () => {
    const sentence = problemOf({ auth: { jwt: { secret: 'too short' } } });
    expect(sentence).toMatch(/^"auth\.jwt\.secret" is not good: it must have at least 32 bytes/);
    expect(sentence).not.toContain('too short');
  });
});

describe('env', () => {
  it('gives what the environment says', () => {
    expect(env('PATH')).toBe(process.env.PATH);
  });

  it('says which variable is missing', () => {
    expect(() => env('CONTINUO_TEST_NOBODY_SETS')).toThrow(
      'The environment has no CONTINUO_TEST_NOBODY_SETS: set it before continuo starts.',
    );
  });
});
