import { z } from 'zod';
import { ClientMadeId } from './gateway.ts';
import {
  AckFrame,
  ChannelMessageFrame,
  ChannelName,
  ChannelResetFrame,
  HeartbeatFrame,
  PresenceBatchFrame,
  PresenceChangeFrame,
  PresenceListFrame,
  PublishFrame,
  SubscribeFrame,
} from './push.ts';

/** Door 2 without a socket: `/api/push/poll/*`, `/api/push/sse` and `/api/channels/*`. */

const poller = { poll_token: z.string().max(16_000) };

export const PollRegister = z.object({
  client_id: ClientMadeId.optional(),
  auth_token: z.string().optional(),
});
export const PollRegistered = z.object({ client_id: z.string(), poll_token: z.string() });

export const PollMessages = z.object({
  ...poller,
  /** Seconds. */
  timeout: z.number().min(0).optional(),
  /** Room for the positions of 1,000 channels with long names. */
  cursor: z.string().max(900_000).optional(),
});
export const PollBatch = z.object({
  messages: z.array(
    z.union([
      ChannelMessageFrame,
      ChannelResetFrame,
      PresenceBatchFrame,
      PresenceChangeFrame,
      /** Where changes were lost: who is there now. */
      PresenceListFrame,
    ]),
  ),
  /** Seconds to wait before the next poll. */
  poll_interval_hint: z.number(),
  cursor: z.string(),
  /** Another connection of this client has its channels now: do not poll again. */
  taken_over: z.literal(true).optional(),
});
export const PollSubscribed = z.object({
  ok: z.literal(true),
  channel: z.string(),
  /** Where this client now stands in the channel, where it asked for more than the channel. */
  cursor: z.int().optional(),
  epoch: z.string().optional(),
});

/** Of acks and nacks. */
export const PollAck = AckFrame.pick({ event_id: true, channel: true }).extend(poller);
/** `since` and `epoch` say where a consumer that is not known yet begins, or one without delivery goes on. */
export const PollSubscribe = SubscribeFrame.pick({
  channel: true,
  since: true,
  epoch: true,
  delivery: true,
  echo: true,
}).extend(poller);
export const PollUnsubscribe = z.object({ ...poller, channel: ChannelName });
export const PollPublish = PublishFrame.pick({ channel: true, data: true, event_id: true }).extend(poller);
export const PollHeartbeat = HeartbeatFrame.pick({ status: true, metadata: true }).extend(poller);
export const PollDeregister = z.object(poller);
/** Query of the route. Without a channel: everybody. */
export const PollPresenceQuery = z.object({ ...poller, channel: ChannelName.optional() });
/** Query of `/api/push/sse`. What is subscribed to at the opening, and under which id where the credential names none. */
export const PushSseQuery = z.object({
  poll_token: poller.poll_token.optional(),
  client_id: ClientMadeId.optional(),
  cursor: PollMessages.shape.cursor,
  channel: z.array(ChannelName).max(1_000),
  /** Of `channel`. Default true; a client without an id of its own cannot ack, so it has none. */
  delivery: z.enum(['true', 'false']).optional(),
});
export type PushSseQuery = z.infer<typeof PushSseQuery>;
export const ChannelPost = PublishFrame.pick({ data: true, event_id: true });
export const ChannelPosted = z.object({ event_id: z.string(), sequence: z.int() });
