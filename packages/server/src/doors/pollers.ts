import { WireError } from '@continuo/protocol';
import type { PollIdentity } from '../auth/poll-token.ts';
import { keyOf } from '../core/names.ts';
import type { Clock, Random, Records } from '../ports.ts';

/** What a poller is between two requests: a record, so that any server may answer the next one. */

/** How long it is kept after its last request, in ms. */
const KEEP_MS = 24 * 3_600_000;
/** How often its time is moved on, in ms. */
const TOUCH_MS = 3_600_000;
const MAX_CHANNELS = 1_000;

export interface PollSubscription {
  readonly channel: string;
  /** At least once with acks, or at most once. */
  readonly delivery: boolean;
  readonly echo: boolean;
  /** Whether the others on the channel are told of it, and it of them. */
  readonly presence: boolean;
  /** Without delivery: where it begins while no cursor says more. */
  readonly since?: number;
  readonly epoch?: string;
}

interface PollerRecord {
  /** Its tokens bear this id: they end with the record. */
  readonly registration: string;
  readonly channels: readonly PollSubscription[];
  /** Of a request in the last hour, in unix ms. */
  readonly at: number;
}

export interface Pollers {
  /** The registration of a client: the one it has, else a new one. */
  register(user: string, clientId: string): Promise<string>;
  /** What it subscribed to, in the order in which it did. Throws `unauthorized` where its registration is over. */
  subscriptions(identity: PollIdentity): Promise<readonly PollSubscription[]>;
  /** Adds to its channels, or replaces. Throws `too_large` above 1,000 of them. */
  subscribe(identity: PollIdentity, subscription: PollSubscription): Promise<void>;
  /** False: it was not subscribed. */
  unsubscribe(identity: PollIdentity, channel: string): Promise<boolean>;
  /** From here on its tokens are worth nothing, on every server. */
  deregister(identity: PollIdentity): Promise<void>;
}

export function createPollers(options: {
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
}): Pollers {
  const { records, clock, random } = options;

  async function load(key: string): Promise<{ record: PollerRecord; version: number } | null> {
    const stored = await records.get(key);
    return stored && { record: stored.value as PollerRecord, version: stored.version };
  }

  /** False: another was faster. */
  async function put(key: string, record: Omit<PollerRecord, 'at'>, ifVersion: number): Promise<boolean> {
    const at = clock.now();
    const kept = { ifVersion, expiresAt: at + KEEP_MS + TOUCH_MS };
    return (await records.put(key, { ...record, at }, kept)) !== null;
  }

  async function find(identity: PollIdentity): Promise<{ record: PollerRecord; version: number }> {
    const known = await load(keyOfPoller(identity));
    if (known?.record.registration === identity.registration) return known;
    throw new WireError('unauthorized', 'This poll token is registered no longer. Register again.');
  }

  /** Changes its channels; `null`: nothing to change. */
  async function change(
    identity: PollIdentity,
    changed: (channels: readonly PollSubscription[]) => readonly PollSubscription[] | null,
  ): Promise<boolean> {
    for (;;) {
      const { record, version } = await find(identity);
      const channels = changed(record.channels);
      if (channels === null) return false;
      if (await put(keyOfPoller(identity), { ...record, channels }, version)) return true;
    }
  }

  return {
    async register(user, clientId) {
      const key = keyOf.poll(user, clientId);
      for (;;) {
        const known = await load(key);
        const record = known?.record ?? { registration: random.id(), channels: [] };
        if (await put(key, record, known?.version ?? 0)) return record.registration;
      }
    },

    async subscriptions(identity) {
      const { record, version } = await find(identity);
      // Whoever was faster has moved the time on, too.
      if (clock.now() - record.at >= TOUCH_MS) await put(keyOfPoller(identity), record, version);
      return record.channels;
    },

    async subscribe(identity, subscription) {
      const { channel } = subscription;
      await change(identity, (channels) => {
        const known = channels.findIndex((each) => each.channel === channel);
        if (known >= 0) return channels.with(known, subscription);
        if (channels.length >= MAX_CHANNELS)
          throw new WireError('too_large', `A client that polls has at most ${MAX_CHANNELS} channels.`);
        return [...channels, subscription];
      });
    },

    unsubscribe: (identity, channel) =>
      change(identity, (channels) => {
        const others = channels.filter((each) => each.channel !== channel);
        return others.length < channels.length ? others : null;
      }),

    async deregister(identity) {
      for (;;) {
        const { version } = await find(identity);
        if (await records.remove(keyOfPoller(identity), version)) return;
      }
    },
  };
}

export function keyOfPoller({ principal, clientId }: PollIdentity): string {
  return keyOf.poll(principal.user, clientId);
}
