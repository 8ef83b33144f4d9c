import { describe, expect, it } from 'vitest';
import { PUSH_DEFAULTS, type PushOptions, resolvePush } from './push-options.ts';

describe('the options of push', () => {
  it('have the defaults of the guide, and are off', () => {
    const off = {
      enabled: false,
      presence: {
        enabled: true,
        heartbeatIntervalMs: 15_000,
        offlineTimeoutMs: 45_000,
        broadcastChanges: true,
      },
      delivery: {
        enabled: true,
        ackTimeoutMs: 30_000,
        maxRetries: 3,
        retryBackoff: 2,
        messageTtlMs: 86_400_000,
        maxInFlight: 1_000,
      },
      polling: { enabled: true, longPollTimeoutMs: 30_000, maxBatchSize: 100 },
      channels: {},
      hooks: {},
      store: 'gateway',
    };
    for (const push of [undefined, false, {}, { enabled: false }]) expect(resolvePush(push)).toEqual(off);
    for (const push of [true, { enabled: true }])
      expect(resolvePush(push)).toEqual({ ...off, enabled: true });
  });

  it('are what they say, the rest as it is by default', () => {
    const onPublish = (): undefined => undefined;
    const options: PushOptions = {
      enabled: true,
      presence: { offlineTimeoutMs: 60_000, broadcastChanges: false },
      delivery: { maxRetries: 0, retryBackoff: 1.5 },
      polling: { enabled: false },
      channels: { 'news*': { maxEntries: 5 }, '*': { delivery: false } },
      onPublish,
    };
    expect(resolvePush(options)).toEqual({
      enabled: true,
      presence: { ...PUSH_DEFAULTS.presence, ...options.presence },
      delivery: { ...PUSH_DEFAULTS.delivery, ...options.delivery },
      polling: { ...PUSH_DEFAULTS.polling, ...options.polling },
      channels: options.channels,
      hooks: { onPublish },
      store: 'gateway',
    });
  });

  it('that say undefined are not given', () => {
    const options: unknown = { presence: { enabled: undefined }, delivery: undefined, onPublish: undefined };
    expect(resolvePush(options as PushOptions)).toEqual(resolvePush({}));
  });

  it.each<[unknown, string]>([
    ['yes', '"push" is "yes": it must be true, false or an object.'],
    [null, '"push" is null: it must be true, false or an object.'],
    [[], '"push" is an empty list: it must be true, false or an object.'],
    [{ enable: true }, '"push.enable" is no key: did you mean "enabled"?'],
    [
      { redis: {} },
      '"push.redis" is no key: there are enabled, presence, delivery, polling, channels, onPublish, onSubscribe.',
    ],
    [{ enabled: 1 }, '"push.enabled" is 1: it must be true or false.'],
    [{ presence: true }, '"push.presence" is true: it must be an object.'],
    [
      { presence: { heartbeatInterval: 15 } },
      '"push.presence.heartbeatInterval" is no key: did you mean "heartbeatIntervalMs"?',
    ],
    [
      { presence: { heartbeatIntervalMs: 0 } },
      '"push.presence.heartbeatIntervalMs" is 0: it must be a whole number, 1 to 31536000000.',
    ],
    [
      { presence: { offlineTimeoutMs: 15_000 } },
      '"push.presence.offlineTimeoutMs" is 15000: it must be above heartbeatIntervalMs, which is 15000.',
    ],
    [
      { presence: { heartbeatIntervalMs: 60_000 } },
      '"push.presence.offlineTimeoutMs" is 45000: it must be above heartbeatIntervalMs, which is 60000.',
    ],
    [
      { delivery: { ackTimeoutMs: '30s' } },
      '"push.delivery.ackTimeoutMs" is "30s": it must be a whole number, 1 to 31536000000.',
    ],
    [
      { delivery: { maxRetries: 1.5 } },
      '"push.delivery.maxRetries" is 1.5: it must be a whole number, 0 to 1000.',
    ],
    [
      { delivery: { retryBackoff: 0.5 } },
      '"push.delivery.retryBackoff" is 0.5: it must be a number, 1 to 100.',
    ],
    [
      { delivery: { retryBackoff: Number.NaN } },
      '"push.delivery.retryBackoff" is NaN: it must be a number, 1 to 100.',
    ],
    [
      { delivery: { maxInFlight: 0 } },
      '"push.delivery.maxInFlight" is 0: it must be a whole number, 1 to 100000.',
    ],
    [
      { delivery: { storeBackend: 'redis' } },
      '"push.delivery.storeBackend" is "redis": it must be memory or sqlite: this version has no redis.',
    ],
    [
      { delivery: { storeBackend: 'cloud' } },
      '"push.delivery.storeBackend" is "cloud": it must be memory or sqlite.',
    ],
    [
      { polling: { longPollTimeoutMs: 1_000_000 } },
      '"push.polling.longPollTimeoutMs" is 1000000: it must be a whole number, 1 to 300000.',
    ],
    [
      { polling: { maxBatchSize: 0 } },
      '"push.polling.maxBatchSize" is 0: it must be a whole number, 1 to 1000.',
    ],
    [{ onPublish: 'no' }, '"push.onPublish" is "no": it must be a function.'],
    [{ onSubscribe: {} }, '"push.onSubscribe" is an object: it must be a function.'],
    [{ channels: [] }, '"push.channels" is an empty list: it must be an object.'],
    [{ channels: { news: true } }, '"push.channels["news"]" is true: it must be an object.'],
    [
      { channels: { news: { maxEntrys: 1 } } },
      '"push.channels["news"].maxEntrys" is no key: did you mean "maxEntries"?',
    ],
    [
      { channels: { news: { maxEntries: 0 } } },
      '"push.channels["news"].maxEntries" is 0: it must be a whole number, 1 or more.',
    ],
    [
      { channels: { news: { maxAgeMs: 10 } } },
      '"push.channels["news"].maxAgeMs" is 10: it must be a whole number, 1000 to 3153600000000.',
    ],
    [
      { channels: { 'a*b': {} } },
      '"push.channels["a*b"]" is no pattern: it must be a channel\'s name (letters, digits and . _ : / -), or a prefix ending in *.',
    ],
  ])('are refused with a sentence that names option and value: %j', (push, sentence) => {
    expect(() => resolvePush(push as PushOptions)).toThrow(new TypeError(sentence));
  });
});

describe('the store of push', () => {
  it.each([
    [undefined, 'sqlite', 'gateway'],
    ['sqlite', 'sqlite', 'gateway'],
    ['memory', 'memory', 'gateway'],
    ['memory', 'sqlite', 'memory'],
    ['sqlite', undefined, 'gateway'],
  ] as const)('%s beside a gateway on %s is the %s one', (storeBackend, storeName, store) => {
    const delivery = storeBackend && { storeBackend };
    expect(resolvePush({ ...(delivery && { delivery }) }, storeName).store).toBe(store);
  });

  it('is refused where it would have to be opened, with what to do', () => {
    expect(() => resolvePush({ delivery: { storeBackend: 'sqlite' } }, 'memory')).toThrow(
      '"push.delivery.storeBackend" is "sqlite": it must be memory, or left out: ' +
        "the gateway's store is memory; open that as sqlite:PATH.",
    );
  });
});
