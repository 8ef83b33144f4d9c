import type { Member, Metadata } from '@continuo/protocol';
import type { PollIdentity, PollTokens } from '../auth/poll-token.ts';
import { demand, type Principal } from '../core/access.ts';
import type { Channels } from '../core/channels.ts';
import type { Consumers } from '../core/consumers.ts';
import { keyOf, logOf } from '../core/names.ts';
import type { Clock, Random, Records } from '../ports.ts';
import { sourceOf } from './dialects.ts';
import { createPollers, keyOfPoller, type PollSubscription } from './pollers.ts';

/** Clients of door 2 without a socket: who they are, what they subscribe to, whether they are there. */

/** Who is there without a socket: a client is online as long as it asks for something now and then. */
export interface PollPresence {
  enter(who: {
    readonly user: string;
    readonly clientId: string;
    readonly source: string;
    readonly kind: 'polling';
  }): PollMember;
  /** Those on a channel, or on any; with the channels that the asker may read. */
  list(channel: string | null, asker: Principal): Promise<readonly Member[]>;
}

export interface PollMember {
  join(channel: string): void;
  leave(channel: string): void;
  /** What is absent stays as it is. */
  beat(change: { readonly status?: string | undefined; readonly metadata?: Metadata | undefined }): void;
  /** It has asked for something. */
  seen(): void;
  close(): void;
}

export const NO_PRESENCE: PollPresence = {
  enter: () => ({ join() {}, leave() {}, beat() {}, seen() {}, close() {} }),
  list: async () => [],
};

export interface SubscribeWish {
  readonly channel: string;
  readonly since?: number | undefined;
  readonly epoch?: string | undefined;
  readonly delivery?: boolean | undefined;
  readonly echo?: boolean | undefined;
}

export interface PollClientsOptions {
  readonly channels: Channels;
  readonly consumers: Consumers;
  readonly records: Records;
  readonly tokens: PollTokens;
  readonly clock: Clock;
  readonly random: Random;
  readonly presence: PollPresence;
  /** Somebody has changed what this client, by the key of its record, is subscribed to. */
  onChanged(key: string): void;
}

export interface PollClients {
  register(principal: Principal, clientId: string): Promise<PollIdentity>;
  /** Whose token it is. Throws `unauthorized` for one that is forged, too old, or registered no longer. */
  identify(token: string): Promise<PollIdentity>;
  /** In the order in which it subscribed. Throws `unauthorized` where it is registered no longer. */
  subscriptions(identity: PollIdentity): Promise<readonly PollSubscription[]>;
  /** Nothing published after it resolves is missed. */
  subscribe(identity: PollIdentity, wish: SubscribeWish): Promise<void>;
  /** False: it was not subscribed. */
  unsubscribe(identity: PollIdentity, channel: string): Promise<boolean>;
  /** Its token is worth nothing from here on. Its consumers stay. */
  deregister(identity: PollIdentity): Promise<void>;
  /** A subscription, once it is allowed, of a client that keeps none: it begins at the head. */
  visit(principal: Principal, channel: string): Promise<PollSubscription>;
  memberOf(identity: Pick<PollIdentity, 'principal' | 'clientId'>): PollMember;
}

export function createPollClients(options: PollClientsOptions): PollClients {
  const { channels, consumers, records, tokens, presence, onChanged } = options;
  const pollers = createPollers(options);

  const memberOf: PollClients['memberOf'] = ({ principal, clientId }) =>
    presence.enter({
      user: principal.user,
      clientId,
      source: sourceOf(principal.user, clientId),
      kind: 'polling',
    });

  async function admit(principal: Principal, { channel }: SubscribeWish): Promise<void> {
    demand(principal, 'read', 'channels', channel);
  }

  /** Makes the consumer, so that nothing published between the subscription and the first poll is missed. */
  async function begin({ principal, clientId }: PollIdentity, wish: SubscribeWish): Promise<void> {
    const { channel, since, epoch } = wish;
    const key = keyOf.consumer(principal.user, clientId, channel);
    if (await records.get(key)) return;
    const head = await channels.open(channel);
    const start = since === undefined ? undefined : { epoch: epoch ?? head.epoch, offset: since };
    const attachment = await consumers.attach({ key, log: logOf.channel(channel), head, since: start });
    await attachment.detach();
  }

  /** Without a consumer, the subscription is what knows where to begin. */
  async function startOf({
    channel,
    since,
    epoch,
  }: SubscribeWish): Promise<{ since: number; epoch: string }> {
    const head = await channels.open(channel);
    return { since: since ?? head.offset, epoch: (since === undefined ? undefined : epoch) ?? head.epoch };
  }

  return {
    async register(principal, clientId) {
      return { principal, clientId, registration: await pollers.register(principal.user, clientId) };
    },

    async identify(token) {
      const identity = await tokens.verify(token);
      await pollers.subscriptions(identity);
      memberOf(identity).seen();
      return identity;
    },

    async subscriptions(identity) {
      const subscribed = await pollers.subscriptions(identity);
      memberOf(identity).seen();
      return subscribed;
    },

    async subscribe(identity, wish) {
      const { channel, delivery = true, echo = false } = wish;
      await admit(identity.principal, wish);
      const known = (await pollers.subscriptions(identity)).find((each) => each.channel === channel);
      const isSame = known?.delivery === delivery && known.echo === echo;
      if (delivery) await begin(identity, wish);
      // Once more without a position: nothing moves.
      if (!isSame || (!delivery && wish.since !== undefined)) {
        const start = delivery ? {} : await startOf(wish);
        await pollers.subscribe(identity, { channel, delivery, echo, ...start });
        onChanged(keyOfPoller(identity));
      }
      memberOf(identity).join(channel);
    },

    async unsubscribe(identity, channel) {
      const wasSubscribed = await pollers.unsubscribe(identity, channel);
      onChanged(keyOfPoller(identity));
      memberOf(identity).leave(channel);
      return wasSubscribed;
    },

    async deregister(identity) {
      await pollers.deregister(identity);
      onChanged(keyOfPoller(identity));
      memberOf(identity).close();
    },

    async visit(principal, channel) {
      await admit(principal, { channel });
      return { channel, delivery: false, echo: true, ...(await startOf({ channel })) };
    },

    memberOf,
  };
}
