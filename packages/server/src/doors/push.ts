import {
  AckFrame,
  AuthFrame,
  type ChannelResetFrame,
  lossOf,
  NackFrame,
  PingFrame,
  PongFrame,
  PublishFrame,
  type Reset,
  SubscribeFrame,
  UnsubscribeFrame,
  WireError,
} from '@continuo/protocol';
import type { Attachment } from '../core/attachment.ts';
import type { Channels } from '../core/channels.ts';
import type { Consumers } from '../core/consumers.ts';
import type { DeadLetters } from '../core/dead-letters.ts';
import type { Feeds } from '../core/feed.ts';
import { type Members, PRESENCE_TERMS } from '../core/members.ts';
import { keyOf, logOf } from '../core/names.ts';
import type { Tails } from '../core/tail.ts';
import type { Random, Report } from '../ports.ts';
import { createChannelRows } from './channel-rows.ts';
import { channelDialects, redeliver, sourceOf } from './dialects.ts';
import { arrive, createPresenceRows, depart, departAll, withSigns } from './presence-rows.ts';
import { type Answered, answer, type Pusher, principalOf } from './pusher.ts';
import type { Row, SocketProtocol } from './socket.ts';

/** Door 2, on `/ws`: channels. A channel is a log, a subscription a feed, at-least-once an attached consumer. */

export interface PushDoorOptions {
  readonly channels: Channels;
  readonly consumers: Consumers;
  readonly feeds: Feeds;
  readonly tails: Tails;
  readonly deadLetters: DeadLetters;
  /** `null` where presence is off. */
  readonly members: Members | null;
  readonly random: Random;
  readonly report: Report;
  readonly enabled: boolean;
}

/** Channels of one connection. */
const MAX_CHANNELS = 1_000;

export function createPushDoor(options: PushDoorOptions): SocketProtocol<Pusher> {
  const { channels, consumers, feeds, tails, deadLetters, members, random, report, enabled } = options;

  async function drop(pusher: Pusher, channel: string): Promise<void> {
    const subscription = pusher.subscriptions.get(channel);
    pusher.subscriptions.delete(channel);
    subscription?.feed.close();
    await subscription?.attachment?.detach();
  }

  async function dropAll(pusher: Pusher): Promise<void> {
    const dropped = [...pusher.subscriptions.keys()].map((channel) =>
      drop(pusher, channel).catch((error: unknown) => report(`leaving ${channel}`, error)),
    );
    departAll(pusher);
    await Promise.all(dropped);
  }

  async function authenticate(pusher: Pusher, frame: AuthFrame): Promise<void> {
    const principal = await pusher.connection.authenticate(frame.token);
    const { heartbeatIntervalMs } = members?.terms ?? PRESENCE_TERMS;
    void dropAll(pusher);
    pusher.principal = Promise.resolve(principal);
    pusher.capabilities = new Set(frame.capabilities);
    if (frame.client_id !== undefined) {
      pusher.clientId = frame.client_id;
      pusher.temporary = false;
    }
    const { subject } = principal;
    answer(pusher, frame, {
      type: 'authenticated',
      client_id: pusher.clientId,
      subject,
      // Clients beat every 15 s by themselves.
      ...(heartbeatIntervalMs !== PRESENCE_TERMS.heartbeatIntervalMs && {
        heartbeat_interval_ms: heartbeatIntervalMs,
      }),
    });
  }

  async function subscribe(pusher: Pusher, frame: SubscribeFrame): Promise<void> {
    const { channel } = frame;
    const principal = await principalOf(pusher);
    const { connection, clientId, temporary } = pusher;
    if (!pusher.subscriptions.has(channel) && pusher.subscriptions.size >= MAX_CHANNELS)
      throw new WireError('too_large', `A connection has at most ${MAX_CHANNELS} channels. Leave one first.`);
    const asker = { principal, clientId, source: sourceOf(principal.user, clientId) };
    const { delivery, echo, since, epoch, presence } = await channels.admit(asker, channel, frame);
    await drop(pusher, channel);
    const log = logOf.channel(channel);
    const head = await channels.open(channel);
    if (presence) await arrive(pusher, principal, { members, channel });
    if (pusher.closed) return; // nothing is taken from whoever has the consumer now
    const start = since === undefined ? undefined : { epoch: epoch ?? head.epoch, offset: since };
    const attachment = delivery
      ? await consumers
          .attach({
            key: keyOf.consumer(principal.user, clientId, channel),
            log,
            head,
            since: start,
            temporary,
            onRoom: () => pusher.subscriptions.get(channel)?.feed.resume(),
            onTakenOver: () => connection.close('taken_over'),
            redeliver: (entry, attempt) => redeliver(connection.peer, entry, attempt),
            onLost: (reset) => connection.send(resetFrame(channel, reset)),
          })
          .catch((error: unknown) => {
            depart(pusher, channel); // nobody is there who could not subscribe
            throw error;
          })
      : null;
    if (pusher.closed) return attachment?.abandon();
    const after = attachment?.after ?? start ?? { epoch: head.epoch, offset: head.offset };
    // The pair is a position: where it was lost, the reset that follows names the epoch to go on in.
    answer(pusher, frame, {
      type: 'channel.subscribed',
      channel,
      ok: true,
      cursor: after.offset,
      oldest_cursor: head.oldest,
      epoch: after.epoch,
      recovered: lossOf(after, head) === null && !attachment?.reset,
    });
    if (attachment?.reset) connection.send(resetFrame(channel, attachment.reset));
    const { first, again } = channelDialects(connection.peer.wire);
    const ownSource = echo ? null : sourceOf(principal.user, clientId);
    const feed = feeds.open({
      log,
      head,
      after,
      peer: connection.peer,
      dialect: first,
      ...(ownSource !== null && { withoutSource: ownSource }),
      ...(attachment && {
        replay: { until: attachment.until, dialect: again },
        skip: attachment.skip,
        room: attachment.room,
        onMoved: attachment.onMoved,
      }),
      onReset(reset) {
        attachment?.onReset(reset);
        connection.send(resetFrame(channel, reset));
        return reset.to;
      },
    });
    pusher.subscriptions.set(channel, { feed, attachment, ownSource });
  }

  async function publish(pusher: Pusher, frame: PublishFrame): Promise<void> {
    const { channel, data, event_id: eventId } = frame;
    const principal = await principalOf(pusher);
    const { clientId } = pusher;
    const source = sourceOf(principal.user, clientId);
    const published = await channels.accept({ principal, clientId, source }, channel, { data, eventId });
    const own = pusher.subscriptions.get(channel)?.ownSource === source ? 1 : 0;
    answer(pusher, frame, {
      type: 'channel.published',
      channel,
      delivered: tails.watchers(logOf.channel(channel)) - own,
      event_id: published.eventId,
      sequence: published.sequence,
    });
  }

  async function acknowledge(pusher: Pusher, frame: AckFrame): Promise<void> {
    const ok = await settle(pusher, frame, 'ack');
    answer(pusher, frame, { type: 'ack_received', event_id: frame.event_id, ok });
  }

  async function refuse(pusher: Pusher, frame: NackFrame): Promise<void> {
    const ok = await settle(pusher, frame, 'nack');
    answer(pusher, frame, { type: 'nack_received', event_id: frame.event_id, ok });
  }

  /** Where it was delivered: here, or before, on whatever connection this client had. */
  async function settle(
    pusher: Pusher,
    { event_id: eventId, channel }: Pick<AckFrame, 'event_id' | 'channel'>,
    what: 'ack' | 'nack',
  ): Promise<boolean> {
    const { user } = await principalOf(pusher);
    if (channel === undefined) return (await inFlight(pusher, eventId)?.[what](eventId)) ?? false;
    const subscription = pusher.subscriptions.get(channel);
    if (subscription) return (await subscription.attachment?.[what](eventId)) ?? false;
    return consumers[what](keyOf.consumer(user, pusher.clientId, channel), logOf.channel(channel), eventId);
  }

  /** Of several channels that have a message with this id in flight, the one where it has been the longest. */
  function inFlight(pusher: Pusher, eventId: string): Attachment | null {
    let oldest: { readonly attachment: Attachment; readonly since: number } | null = null;
    for (const { attachment } of pusher.subscriptions.values()) {
      const since = attachment?.inFlightSince(eventId) ?? null;
      if (attachment && since !== null && (!oldest || since < oldest.since)) oldest = { attachment, since };
    }
    return oldest?.attachment ?? null;
  }

  async function unsubscribe(pusher: Pusher, frame: { channel: string } & Answered): Promise<void> {
    const { channel } = frame;
    await principalOf(pusher);
    const ok = pusher.subscriptions.has(channel);
    depart(pusher, channel);
    await drop(pusher, channel);
    answer(pusher, frame, { type: 'channel.unsubscribed', channel, ok });
  }

  const rows: Readonly<Record<string, Row<Pusher>>> = {
    auth: { schema: AuthFrame, inTurn: true, handle: authenticate },
    'channel.subscribe': { schema: SubscribeFrame, inTurn: true, handle: subscribe },
    'channel.unsubscribe': { schema: UnsubscribeFrame, inTurn: true, handle: unsubscribe },
    'channel.publish': { schema: PublishFrame, handle: publish },
    message_ack: { schema: AckFrame, handle: acknowledge },
    message_nack: { schema: NackFrame, handle: refuse },
    ping: {
      schema: PingFrame,
      handle: (pusher, _frame, request) => pusher.connection.send({ type: 'pong', ...request }),
    },
    pong: { schema: PongFrame, handle() {} },
    ...createPresenceRows(members),
    ...createChannelRows({ channels, deadLetters }),
  };

  return {
    path: '/ws',
    rows: withSigns(rows),
    open(connection) {
      const clientId = `cli_${random.id()}`;
      connection.send({ type: 'connected', client_id: clientId });
      connection.authenticate().catch(() => {}); // the frame that needs it is told why
      return {
        connection,
        clientId,
        temporary: true,
        capabilities: new Set(),
        enabled,
        principal: null,
        subscriptions: new Map(),
        presence: null,
        watches: new Map(),
        closed: false,
      };
    },
    closed(pusher) {
      pusher.closed = true;
      return dropAll(pusher);
    },
  };
}

export function resetFrame(channel: string, { reason, from, to }: Reset): ChannelResetFrame {
  return { type: 'channel.reset', channel, reason, from: from.offset, to: to.offset, epoch: to.epoch };
}
