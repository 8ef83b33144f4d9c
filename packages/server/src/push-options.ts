import type { ChannelOptions } from './core/channel-options.ts';
import type { ChannelHooks, OnPublish, OnSubscribe } from './core/hooks.ts';
import { nearestKey } from './nearest-key.ts';

/** Who is told who is there. */
export interface PresenceOptions {
  /** Default true. */
  readonly enabled?: boolean;
  /** How often a client is expected to say that it is there, in ms. Default 15,000. */
  readonly heartbeatIntervalMs?: number;
  /** How long after the last sign of life it counts as gone, in ms. Default 45,000. */
  readonly offlineTimeoutMs?: number;
  /** Whether subscribers are told of changes. Default true. */
  readonly broadcastChanges?: boolean;
}

/** At least once, and what becomes of what is not acked. */
export interface DeliveryOptions {
  /** False: every subscriber is at most once. Default true. */
  readonly enabled?: boolean;
  /** How long an ack may take until the message comes again, in ms. Default 30,000. */
  readonly ackTimeoutMs?: number;
  /** How often it comes again until it is a dead letter. Default 3. */
  readonly maxRetries?: number;
  /** Each wait is so many times as long as the one before. Default 2. */
  readonly retryBackoff?: number;
  /** How long a message waits for its ack, and a consumer for its client, in ms. Default 24 h. */
  readonly messageTtlMs?: number;
  /** Messages handed out and not acked, at which delivery pauses. Default 1,000. */
  readonly maxInFlight?: number;
  /** Where channels, consumers and presence are kept. Default: the gateway's store. `memory` may stand beside another. */
  readonly storeBackend?: 'memory' | 'sqlite' | 'redis';
}

/** For clients without a socket. */
export interface PollingOptions {
  /** Default true. */
  readonly enabled?: boolean;
  /** How long a poll may wait, in ms. Default 30,000. */
  readonly longPollTimeoutMs?: number;
  /** Messages of one answer. Default 100. */
  readonly maxBatchSize?: number;
}

/** Door 2. `true` stands for `{ enabled: true }`. */
export interface PushOptions {
  /** Default false: then nothing of it runs, and clients are told `push_disabled`. */
  readonly enabled?: boolean;
  readonly presence?: PresenceOptions;
  readonly delivery?: DeliveryOptions;
  readonly polling?: PollingOptions;
  /** By a channel's name, or a prefix ending in `*`: the longest that matches wins, and inherits from shorter ones. */
  readonly channels?: Readonly<Record<string, ChannelOptions>>;
  readonly onPublish?: OnPublish;
  readonly onSubscribe?: OnSubscribe;
}

/** The same with everything filled in. */
export interface PushSettings {
  readonly enabled: boolean;
  readonly presence: Required<PresenceOptions>;
  readonly delivery: Required<Omit<DeliveryOptions, 'storeBackend'>>;
  readonly polling: Required<PollingOptions>;
  readonly channels: Readonly<Record<string, ChannelOptions>>;
  readonly hooks: ChannelHooks;
  /** Where it is kept: in the gateway's store, or in a memory store of its own. */
  readonly store: 'gateway' | 'memory';
}

export const PUSH_DEFAULTS: Pick<PushSettings, 'enabled' | 'presence' | 'delivery' | 'polling'> = {
  enabled: false,
  presence: { enabled: true, heartbeatIntervalMs: 15_000, offlineTimeoutMs: 45_000, broadcastChanges: true },
  delivery: {
    enabled: true,
    ackTimeoutMs: 30_000,
    maxRetries: 3,
    retryBackoff: 2,
    messageTtlMs: 24 * 3_600_000,
    maxInFlight: 1_000,
  },
  polling: { enabled: true, longPollTimeoutMs: 30_000, maxBatchSize: 100 },
};

/** What is wrong with a value, to go on after "NAME is VALUE: it"; `null`: nothing. */
type Check = (value: unknown) => string | null;
interface Table {
  readonly [key: string]: Check | Table;
}

const YEAR_MS = 365 * 24 * 3_600_000;

const flag: Check = (value) => (typeof value === 'boolean' ? null : 'must be true or false');
const hook: Check = (value) => (typeof value === 'function' ? null : 'must be a function');

function whole(min: number, max: number): Check {
  return (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? null
      : `must be a whole number, ${max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`}`;
}

function backoff(value: unknown): string | null {
  return typeof value === 'number' && value >= 1 && value <= 100 ? null : 'must be a number, 1 to 100';
}

function backend(value: unknown): string | null {
  if (value === 'memory' || value === 'sqlite') return null;
  if (value === 'redis') return 'must be memory or sqlite: this version has no redis';
  return 'must be memory or sqlite';
}

const OPTIONS: Table = {
  enabled: flag,
  presence: {
    enabled: flag,
    heartbeatIntervalMs: whole(1, YEAR_MS),
    offlineTimeoutMs: whole(1, YEAR_MS),
    broadcastChanges: flag,
  },
  delivery: {
    enabled: flag,
    ackTimeoutMs: whole(1, YEAR_MS),
    maxRetries: whole(0, 1_000),
    retryBackoff: backoff,
    messageTtlMs: whole(1, YEAR_MS),
    maxInFlight: whole(1, 100_000),
    storeBackend: backend,
  },
  polling: { enabled: flag, longPollTimeoutMs: whole(1, 300_000), maxBatchSize: whole(1, 1_000) },
  channels: {},
  onPublish: hook,
  onSubscribe: hook,
};
const CHANNEL_OPTIONS: Table = {
  maxEntries: whole(1, Number.MAX_SAFE_INTEGER),
  maxAgeMs: whole(1_000, 100 * YEAR_MS),
  maxBytes: whole(1, Number.MAX_SAFE_INTEGER),
  delivery: flag,
  presence: flag,
};

/**
 * The `push` option with its defaults. Throws a sentence that names the option and its value. `storeName` is the
 * gateway's store; without it nobody asks whether `storeBackend` fits it.
 */
export function resolvePush(push: boolean | PushOptions | undefined, storeName?: string): PushSettings {
  const options = push === undefined || typeof push === 'boolean' ? { enabled: push ?? false } : push;
  if (!isTable(options)) throw wrong('push', options, 'must be true, false or an object');
  checkTable(options, OPTIONS, 'push');
  for (const [pattern, each] of Object.entries(options.channels ?? {})) checkPattern(pattern, each);
  const { storeBackend, ...delivery } = options.delivery ?? {};
  const presence = filled(PUSH_DEFAULTS.presence, options.presence);
  if (presence.offlineTimeoutMs <= presence.heartbeatIntervalMs) {
    const problem = `must be above heartbeatIntervalMs, which is ${presence.heartbeatIntervalMs}`;
    throw wrong('push.presence.offlineTimeoutMs', presence.offlineTimeoutMs, problem);
  }
  return {
    enabled: options.enabled ?? PUSH_DEFAULTS.enabled,
    presence,
    delivery: filled(PUSH_DEFAULTS.delivery, delivery),
    polling: filled(PUSH_DEFAULTS.polling, options.polling),
    channels: options.channels ?? {},
    hooks: { onPublish: options.onPublish, onSubscribe: options.onSubscribe },
    store: storeOf(storeBackend, storeName),
  };
}

function storeOf(backendName: string | undefined, storeName: string | undefined): PushSettings['store'] {
  if (backendName === undefined || backendName === storeName) return 'gateway';
  if (backendName === 'memory') return 'memory';
  if (storeName === undefined) return 'gateway';
  const problem = `must be memory, or left out: the gateway's store is ${storeName}; open that as ${backendName}:PATH`;
  throw wrong('push.delivery.storeBackend', backendName, problem);
}

function checkTable(value: object, table: Table, name: string): void {
  for (const [key, each] of Object.entries(value)) {
    const check = Object.hasOwn(table, key) ? table[key] : undefined;
    if (!check) {
      const near = nearestKey(key, Object.keys(table));
      const hint = near ? `did you mean "${near}"?` : `there are ${Object.keys(table).join(', ')}.`;
      throw new TypeError(`"${name}.${key}" is no key: ${hint}`);
    }
    if (each === undefined) continue;
    if (typeof check === 'function') {
      const problem = check(each);
      if (problem !== null) throw wrong(`${name}.${key}`, each, problem);
    } else if (!isTable(each)) throw wrong(`${name}.${key}`, each, 'must be an object');
    else if (check !== OPTIONS.channels) checkTable(each, check, `${name}.${key}`);
  }
}

function checkPattern(pattern: string, options: unknown): void {
  const name = `push.channels[${JSON.stringify(pattern)}]`;
  if (pattern === '' || !/^[A-Za-z0-9._:/-]{0,255}\*?$/.test(pattern)) {
    throw new TypeError(
      `"${name}" is no pattern: it must be a channel's name (letters, digits and . _ : / -), or a prefix ending in *.`,
    );
  }
  if (!isTable(options)) throw wrong(name, options, 'must be an object');
  checkTable(options, CHANNEL_OPTIONS, name);
}

/** The defaults, but for what is given: a field that says `undefined` is not. */
function filled<T extends object>(defaults: T, options: Partial<T> = {}): T {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.assign({ ...defaults }, Object.fromEntries(given));
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(name: string, value: unknown, problem: string): TypeError {
  return new TypeError(`"${name}" is ${show(value)}: it ${problem}.`);
}

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return shown.length > 80 ? `${shown.slice(0, 80)}...` : shown;
}
