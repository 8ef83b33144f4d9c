import { z } from 'zod';
import { ClientMadeId, type ErrorFrame, RequestId } from './gateway.ts';

/** Door 2: channels, over `/ws` and over `/api/push/poll/*`. */

const request = { request_id: RequestId.optional() };

export const ChannelName = z
  .string()
  .regex(/^[A-Za-z0-9._:/-]{1,255}$/, 'must be 1 to 255 of letters, digits and . _ : / -');

/** JSON that is there: `null` is a value, a missing field is not. */
const Data = z.custom<unknown>((value) => value !== undefined, 'is missing');

export const AuthFrame = z.object({
  type: z.literal('auth'),
  token: z.string().optional(),
  client_id: ClientMadeId.optional(),
  capabilities: z.array(z.string()).optional(),
  ...request,
});
export type AuthFrame = z.infer<typeof AuthFrame>;

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

const answered = { request_id: RequestId.optional() };

export const ConnectedFrame = z.object({ type: z.literal('connected'), client_id: z.string() });
export type ConnectedFrame = z.infer<typeof ConnectedFrame>;
export const AuthenticatedFrame = z.object({
  type: z.literal('authenticated'),
  client_id: z.string(),
  subject: z.string(),
  ...answered,
});
export type AuthenticatedFrame = z.infer<typeof AuthenticatedFrame>;
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

export const PollRegister = z.object({
  client_id: ClientMadeId.optional(),
  auth_token: z.string().optional(),
});
export const PollRegistered = z.object({ client_id: z.string(), poll_token: z.string() });
export const PollMessages = z.object({
  poll_token: z.string(),
  /** Seconds. */
  timeout: z.number().min(0).optional(),
  cursor: z.string().max(64_000).optional(),
});
export const PollBatch = z.object({
  messages: z.array(z.union([ChannelMessageFrame, ChannelResetFrame])),
  /** Seconds to wait before the next poll. */
  poll_interval_hint: z.number(),
  cursor: z.string(),
});
export const PollAck = z.object({
  poll_token: z.string(),
  event_id: z.string().max(400),
  channel: ChannelName.optional(),
});
export const PollSubscribe = z.object({ poll_token: z.string(), channel: ChannelName });

/** What a client reads on door 2's socket. */
export type PushServerFrame =
  | ConnectedFrame
  | AuthenticatedFrame
  | SubscribedFrame
  | UnsubscribedFrame
  | PublishedFrame
  | AckReceivedFrame
  | ChannelMessageFrame
  | ChannelResetFrame
  | ErrorFrame
  | { readonly type: 'pong' };
