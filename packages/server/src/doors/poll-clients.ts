import type { PollIdentity, PollTokens } from '../auth/poll-token.ts';
import type { Principal } from '../core/access.ts';
import type { Admission, Asker, Channels, SubscribeWish } from '../core/channels.ts';
import type { Consumers } from '../core/consumers.ts';
import type { Feed } from '../core/feed.ts';
import type { Members } from '../core/members.ts';
import { keyOf, logOf } from '../core/names.ts';
import type { Presence } from '../core/seats.ts';
import type { Clock, Random, Records } from '../ports.ts';
import { sourceOf } from './dialects.ts';
import type { ArriveOptions, Position } from './mailbox-reading.ts';
import { createPollers, keyOfPoller, type PollSubscription } from './pollers.ts';
import { watchPresence } from './presence-rows.ts';

/** Clients of door 2 without a socket: who they are, what they subscribe to, whether they are there. */

export interface PollClientsOptions {
  readonly channels: Channels;
  readonly consumers: Consumers;
  readonly records: Records;
  readonly tokens: PollTokens;
  readonly clock: Clock;
  readonly random: Random;
  /** `null` where presence is off. */
  readonly members: Members | null;
  /** Somebody has changed what this client, by the key of its record, is subscribed to. */
  onChanged(key: string): void;
}

export interface PollClients {
  register(principal: Principal, clientId: string): Promise<PollIdentity>;
  /** Whose token it is. Throws `unauthorized` for one that is forged, too old, or registered no longer. */
  identify(token: string): Promise<PollIdentity>;
  /** In the order in which it subscribed. Throws `unauthorized` where it is registered no longer. */
  subscriptions(identity: PollIdentity): Promise<readonly PollSubscription[]>;
  /** Nothing published after it resolves is missed. Resolves with where the client stands. */
  subscribe(identity: PollIdentity, channel: string, wish: SubscribeWish): Promise<Position>;
  /** False: it was not subscribed. */
  unsubscribe(identity: PollIdentity, channel: string): Promise<boolean>;
  /** Its token is worth nothing from here on. Its consumers stay. */
  deregister(identity: PollIdentity): Promise<void>;
  /** A subscription, once it is allowed, of a client that keeps none: it begins at the head. */
  visit(client: Pick<PollIdentity, 'principal' | 'clientId'>, channel: string): Promise<PollSubscription>;
  /** How the others see it; `null` where presence is off. */
  presenceOf(identity: PollIdentity): Presence | null;
  /** It is on a channel: tells it who else comes and goes. */
  arrive(identity: PollIdentity, channel: string, to: ArriveOptions): Promise<Feed | null>;
}

/** Who asks for something, when it is a client. */
export function askerOf({ principal, clientId }: Pick<PollIdentity, 'principal' | 'clientId'>): Asker {
  return { principal, clientId, source: sourceOf(principal.user, clientId) };
}

export function createPollClients(options: PollClientsOptions): PollClients {
  const { channels, consumers, tokens, members, random, onChanged } = options;
  const pollers = createPollers(options);

  const presenceOf: PollClients['presenceOf'] = ({ principal, clientId }) =>
    members?.enter({ user: principal.user, clientId, kind: 'polling' }) ?? null;

  const admit = (
    { principal, clientId }: Pick<PollIdentity, 'principal' | 'clientId'>,
    channel: string,
    wish: SubscribeWish,
  ): Promise<Admission> => channels.admit(askerOf({ principal, clientId }), channel, wish);

  /** Makes the consumer, so that nothing published between the subscription and the first poll is missed. */
  async function begin(
    { principal, clientId }: PollIdentity,
    channel: string,
    { since, epoch }: Admission,
  ): Promise<Position> {
    const key = keyOf.consumer(principal.user, clientId, channel);
    const known = await consumers.committed(key);
    if (known) return known;
    const head = await channels.open(channel);
    const start = since === undefined ? undefined : { epoch: epoch ?? head.epoch, offset: since };
    const attachment = await consumers.attach({ key, log: logOf.channel(channel), head, since: start });
    await attachment.detach();
    return attachment.after;
  }

  /** Without a consumer, the subscription is what knows where to begin. */
  async function startOf(channel: string, { since, epoch }: Admission): Promise<Position> {
    const head = await channels.open(channel);
    if (since === undefined) return { epoch: head.epoch, offset: head.offset };
    return { epoch: epoch ?? head.epoch, offset: since };
  }

  return {
    async register(principal, clientId) {
      const registration = await pollers.register(principal.user, clientId);
      return { principal, clientId, registration, reader: random.id() };
    },

    async identify(token) {
      const identity = await tokens.verify(token);
      await pollers.subscriptions(identity);
      presenceOf(identity)?.seen();
      return identity;
    },

    subscriptions: pollers.subscriptions,

    async subscribe(identity, channel, wish) {
      const admitted = await admit(identity, channel, wish);
      const { delivery, echo, presence } = admitted;
      const subscribed = await pollers.subscriptions(identity);
      const known = subscribed.find((each) => each.channel === channel);
      const isSame = known?.delivery === delivery && known.echo === echo && known.presence === presence;
      // Once more without a position: nothing moves.
      const stays = isSame && (delivery || admitted.since === undefined);
      const position = delivery ? await begin(identity, channel, admitted) : await startOf(channel, admitted);
      if (!stays) {
        const start = delivery ? {} : { since: position.offset, epoch: position.epoch };
        await pollers.subscribe(identity, { channel, delivery, echo, presence, ...start });
        onChanged(keyOfPoller(identity));
      }
      if (presence) presenceOf(identity)?.join(channel);
      if (!stays || delivery) return position;
      return { epoch: known?.epoch ?? position.epoch, offset: known?.since ?? position.offset };
    },

    async unsubscribe(identity, channel) {
      const wasSubscribed = await pollers.unsubscribe(identity, channel);
      onChanged(keyOfPoller(identity));
      presenceOf(identity)?.leave(channel);
      return wasSubscribed;
    },

    async deregister(identity) {
      await pollers.deregister(identity);
      onChanged(keyOfPoller(identity));
      presenceOf(identity)?.close();
    },

    async visit({ principal, clientId }, channel) {
      const admitted = await admit({ principal, clientId }, channel, { delivery: false, echo: true });
      const start = await startOf(channel, admitted);
      const { offset: since, epoch } = start;
      return { channel, delivery: false, echo: true, presence: false, since, epoch };
    },

    presenceOf,

    async arrive(identity, channel, to) {
      if (!members) return null;
      const { principal, clientId } = identity;
      presenceOf(identity)?.join(channel);
      return watchPresence(members, { ...to, principal, clientId, batch: false }, channel);
    },
  };
}
