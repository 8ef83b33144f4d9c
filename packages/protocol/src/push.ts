import { z } from 'zod';
import { ClientMadeId, type ErrorFrame, RequestId } from './gateway.ts';

/** Door 2: channels, over `/ws`. Its routes are in poll.ts. */

const request = { request_id: RequestId.optional() };

export const ChannelName = z
  .string()
  .regex(/^[A-Za-z0-9._:/-]{1,255}$/, 'must be 1 to 255 of letters, digits and . _ : / -');

/** What its owner says about a thing, kept with it: at most 100 keys. */
export const Metadata = z
  .record(z.string().max(200), z.unknown())
  .refine((metadata) => Object.keys(metadata).length <= 100, 'must have at most 100 keys');
export type Metadata = z.infer<typeof Metadata>;

/** JSON that is there: `null` is a value, a missing field is not. */
const Data = z.custom<unknown>((value) => value !== undefined, 'is missing');

export const AuthFrame = z.object({
  type: z.literal('auth'),
  token: z.string().optional(),
  client_id: ClientMadeId.optional(),
  /** `presence_batch`: changes of one tick come as one frame. */
  capabilities: z.array(z.string().max(100)).max(100).optional(),
  ...request,
});
export type AuthFrame = z.infer<typeof AuthFrame>;

export const CreateChannelFrame = z.object({
  type: z.literal('channel.create'),
  channel: ChannelName,
  metadata: Metadata.optional(),
  ...request,
});
export type CreateChannelFrame = z.infer<typeof CreateChannelFrame>;

export const SubscribeFrame = z.object({
  type: z.literal('channel.subscribe'),
  channel: ChannelName,
  since: z.int().min(0).optional(),
  epoch: z.string().max(200).optional(),
  /** At least once with acks (the default), or at most once. */
  delivery: z.boolean().optional(),
  /** Whether a publisher gets its own messages. Default false. */
  echo: z.boolean().optional(),
  ...request,
});
export type SubscribeFrame = z.infer<typeof SubscribeFrame>;

export const UnsubscribeFrame = z.object({
  type: z.literal('channel.unsubscribe'),
  channel: ChannelName,
  ...request,
});
export type UnsubscribeFrame = z.infer<typeof UnsubscribeFrame>;

/** Names come in their order, at most `limit` (1,000), after `after`. */
export const ListChannelsFrame = z.object({
  type: z.literal('channel.list'),
  after: z.string().max(255).optional(),
  limit: z.int().min(1).optional(),
  ...request,
});
export type ListChannelsFrame = z.infer<typeof ListChannelsFrame>;

const page = {
  channel: ChannelName,
  /** The first message is the one after it. Default 0: the oldest that is kept. */
  since: z.int().min(0).optional(),
  epoch: z.string().max(200).optional(),
  /** Default 100, at most 1,000; fewer come where they are large. */
  limit: z.int().min(1).optional(),
};

export const HistoryFrame = z.object({ type: z.literal('channel.history'), ...page, ...request });
export type HistoryFrame = z.infer<typeof HistoryFrame>;

export const DeadLettersFrame = z.object({ type: z.literal('channel.dead_letters'), ...page, ...request });
export type DeadLettersFrame = z.infer<typeof DeadLettersFrame>;

export const RedriveFrame = z.object({
  type: z.literal('channel.redrive'),
  channel: ChannelName,
  /** Default: all dead letters that the asker may see. */
  event_ids: z.array(z.string().max(400)).max(1_000).optional(),
  ...request,
});
export type RedriveFrame = z.infer<typeof RedriveFrame>;

/** What is absent stays as it is. */
export const HeartbeatFrame = z.object({
  type: z.literal('presence.heartbeat'),
  status: z.string().min(1).max(100).optional(),
  metadata: Metadata.optional(),
  ...request,
});
export type HeartbeatFrame = z.infer<typeof HeartbeatFrame>;

export const PresenceQueryFrame = z.object({
  type: z.literal('presence.query'),
  /** `null` or absent: everybody, on whatever channel. */
  channel: ChannelName.nullish(),
  ...request,
});
export type PresenceQueryFrame = z.infer<typeof PresenceQueryFrame>;

export const PublishFrame = z.object({
  type: z.literal('channel.publish'),
  channel: ChannelName,
  data: Data,
  event_id: ClientMadeId.optional(),
  ...request,
});
export type PublishFrame = z.infer<typeof PublishFrame>;

export const AckFrame = z.object({
  type: z.literal('message_ack'),
  event_id: z.string().max(400),
  channel: ChannelName.optional(),
  ...request,
});
export type AckFrame = z.infer<typeof AckFrame>;

/** Has the message delivered again at once; uses up one retry. */
export const NackFrame = AckFrame.extend({ type: z.literal('message_nack') });
export type NackFrame = z.infer<typeof NackFrame>;

const answered = { request_id: RequestId.optional() };

export const ConnectedFrame = z.object({ type: z.literal('connected'), client_id: z.string() });
export type ConnectedFrame = z.infer<typeof ConnectedFrame>;
export const AuthenticatedFrame = z.object({
  type: z.literal('authenticated'),
  client_id: z.string(),
  subject: z.string(),
  /** How often the client should beat, in ms. Absent: every 15,000. */
  heartbeat_interval_ms: z.int().optional(),
  ...answered,
});
export type AuthenticatedFrame = z.infer<typeof AuthenticatedFrame>;
export const ChannelCreatedFrame = z.object({
  type: z.literal('channel.created'),
  channel: z.string(),
  /** False: it existed. */
  ok: z.boolean(),
  ...answered,
});
export type ChannelCreatedFrame = z.infer<typeof ChannelCreatedFrame>;
export const ChannelListFrame = z.object({
  type: z.literal('channel.list'),
  channels: z.array(z.string()),
  /** Whether there are more after the last of them. */
  more: z.boolean(),
  ...answered,
});
export type ChannelListFrame = z.infer<typeof ChannelListFrame>;
export const SubscribedFrame = z.object({
  type: z.literal('channel.subscribed'),
  channel: z.string(),
  ok: z.boolean(),
  /** Where this subscriber now stands: the next message it gets is after it. */
  cursor: z.int(),
  oldest_cursor: z.int(),
  epoch: z.string(),
  /** Whether everything after the position it had is still there. */
  recovered: z.boolean(),
  ...answered,
});
export type SubscribedFrame = z.infer<typeof SubscribedFrame>;
export const UnsubscribedFrame = z.object({
  type: z.literal('channel.unsubscribed'),
  channel: z.string(),
  ok: z.boolean(),
  ...answered,
});
export type UnsubscribedFrame = z.infer<typeof UnsubscribedFrame>;
export const PublishedFrame = z.object({
  type: z.literal('channel.published'),
  channel: z.string(),
  /** Live subscribers on this server at this moment. */
  delivered: z.int(),
  event_id: z.string(),
  sequence: z.int(),
  ...answered,
});
export type PublishedFrame = z.infer<typeof PublishedFrame>;
export const AckReceivedFrame = z.object({
  type: z.literal('ack_received'),
  event_id: z.string(),
  /** True: the ack is stored. False: nothing with that id is in flight here. */
  ok: z.boolean(),
  ...answered,
});
export type AckReceivedFrame = z.infer<typeof AckReceivedFrame>;
export const NackReceivedFrame = AckReceivedFrame.extend({ type: z.literal('nack_received') });
export type NackReceivedFrame = z.infer<typeof NackReceivedFrame>;

export const ChannelMessageFrame = z.object({
  type: z.literal('channel_message'),
  channel: z.string(),
  data: z.unknown(),
  event_id: z.string(),
  /** Unix seconds, with a fraction. */
  timestamp: z.number(),
  source: z.string().nullable(),
  target: z.null(),
  sequence: z.int(),
  attempt: z.int().min(1),
  /** "May have been seen before": set on every delivery after the first. */
  _redelivered: z.literal(true).optional(),
});
export type ChannelMessageFrame = z.infer<typeof ChannelMessageFrame>;

export const ChannelResetFrame = z.object({
  type: z.literal('channel.reset'),
  channel: z.string(),
  reason: z.enum(['epoch', 'trimmed', 'ahead']),
  from: z.int(),
  to: z.int(),
  epoch: z.string(),
});
export type ChannelResetFrame = z.infer<typeof ChannelResetFrame>;

/** A stored message, as its channel's history shows it. */
export const StoredMessage = ChannelMessageFrame.omit({ type: true, attempt: true, _redelivered: true });
export type StoredMessage = z.infer<typeof StoredMessage>;

/** A message that a consumer could not handle. */
export const DeadLetter = StoredMessage.extend({
  /** Whose consumer it was. */
  client_id: z.string(),
  /** How often it was delivered. */
  attempts: z.int(),
  /** `retries`: none is left. `expired`: its time was over before it was acked. */
  reason: z.enum(['retries', 'expired']),
  /** Unix seconds, with a fraction. */
  died_at: z.number(),
});
export type DeadLetter = z.infer<typeof DeadLetter>;

const pageAnswered = {
  channel: z.string(),
  /** `since` of the next page. */
  cursor: z.int(),
  more: z.boolean(),
  epoch: z.string(),
  oldest_cursor: z.int(),
  /** False: messages after the asked position are gone, and the page begins at the oldest. */
  recovered: z.boolean(),
  ...answered,
};
export const ChannelHistoryFrame = z.object({
  type: z.literal('channel.history'),
  messages: z.array(StoredMessage),
  ...pageAnswered,
});
export type ChannelHistoryFrame = z.infer<typeof ChannelHistoryFrame>;
export const ChannelDeadLettersFrame = z.object({
  type: z.literal('channel.dead_letters'),
  messages: z.array(DeadLetter),
  ...pageAnswered,
});
export type ChannelDeadLettersFrame = z.infer<typeof ChannelDeadLettersFrame>;
export const ChannelRedriveFrame = z.object({
  type: z.literal('channel.redrive'),
  channel: z.string(),
  /** How many are delivered again. */
  count: z.int(),
  ...answered,
});
export type ChannelRedriveFrame = z.infer<typeof ChannelRedriveFrame>;

export const HeartbeatAckFrame = z.object({
  type: z.literal('presence.heartbeat_ack'),
  ok: z.literal(true),
  ...answered,
});
export type HeartbeatAckFrame = z.infer<typeof HeartbeatAckFrame>;
/** One client, however many connections it has. */
export const Member = z.object({
  client_id: z.string(),
  status: z.string(),
  /** Unix seconds, with a fraction. */
  last_seen: z.number(),
  metadata: Metadata,
  /** Those that the asker may read. */
  channels: z.array(z.string()),
});
export type Member = z.infer<typeof Member>;
export const PresenceListFrame = z.object({
  type: z.literal('presence.list'),
  channel: z.string().nullable(),
  presence: z.array(Member),
  /** The same list again: other clients read this name. */
  clients: z.array(Member),
  /** How many there are: more than are named where the answer would be too large. */
  total: z.int(),
  ...answered,
});
export type PresenceListFrame = z.infer<typeof PresenceListFrame>;
const PresenceData = z.object({ client_id: z.string(), status: z.string(), metadata: Metadata });
export const PresenceChangeFrame = z.object({
  type: z.enum(['presence_join', 'presence_update', 'presence_leave']),
  channel: z.string(),
  data: PresenceData,
});
export type PresenceChangeFrame = z.infer<typeof PresenceChangeFrame>;
export const PresenceBatchFrame = z.object({
  type: z.literal('presence_batch'),
  channel: z.string(),
  changes: z.array(PresenceChangeFrame.omit({ channel: true })),
});
export type PresenceBatchFrame = z.infer<typeof PresenceBatchFrame>;

/** What a client reads on door 2's socket. */
export type PushServerFrame =
  | ChannelCreatedFrame
  | ChannelDeadLettersFrame
  | ChannelHistoryFrame
  | ChannelListFrame
  | ChannelRedriveFrame
  | ConnectedFrame
  | HeartbeatAckFrame
  | NackReceivedFrame
  | PresenceBatchFrame
  | PresenceChangeFrame
  | PresenceListFrame
  | AuthenticatedFrame
  | SubscribedFrame
  | UnsubscribedFrame
  | PublishedFrame
  | AckReceivedFrame
  | ChannelMessageFrame
  | ChannelResetFrame
  | ErrorFrame
  | { readonly type: 'pong' };
