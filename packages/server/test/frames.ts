import {
  AbortedFrame,
  AcceptedFrame,
  AckReceivedFrame,
  ApprovalResolvedFrame,
  AuthenticatedFrame,
  ChannelCreatedFrame,
  ChannelDeadLettersFrame,
  ChannelHistoryFrame,
  ChannelListFrame,
  ChannelMessageFrame,
  ChannelRedriveFrame,
  ChannelResetFrame,
  ConnectedFrame,
  ERRORS,
  ErrorFrame,
  EventFrame,
  GoawayFrame,
  HeartbeatAckFrame,
  HelloErrorFrame,
  HelloOkFrame,
  JoinedFrame,
  LeftFrame,
  MAX_PAYLOAD,
  NackReceivedFrame,
  NoActiveTurnFrame,
  PongFrame,
  PresenceBatchFrame,
  PresenceChangeFrame,
  PresenceListFrame,
  PublishedFrame,
  ReplayFrame,
  SnapshotFrame,
  SubscribedFrame,
  UnsubscribedFrame,
} from '@continuo/protocol';
import type { z } from 'zod';

/** What a server may say on each path. A frame that is not here, or does not fit its schema, fails the test. */

const EVERYWHERE = { error: ErrorFrame, pong: PongFrame, goaway: GoawayFrame };

const GATEWAY = {
  ...EVERYWHERE,
  joined: JoinedFrame,
  hello_ok: HelloOkFrame,
  hello_error: HelloErrorFrame,
  event: EventFrame,
  replay: ReplayFrame,
  snapshot: SnapshotFrame,
  response: AcceptedFrame,
  approval_resolved: ApprovalResolvedFrame,
  aborted: AbortedFrame,
  no_active_turn: NoActiveTurnFrame,
  left: LeftFrame,
};

const PUSH = {
  ...EVERYWHERE,
  connected: ConnectedFrame,
  authenticated: AuthenticatedFrame,
  'channel.subscribed': SubscribedFrame,
  'channel.unsubscribed': UnsubscribedFrame,
  'channel.published': PublishedFrame,
  ack_received: AckReceivedFrame,
  channel_message: ChannelMessageFrame,
  'channel.reset': ChannelResetFrame,
  nack_received: NackReceivedFrame,
  'channel.created': ChannelCreatedFrame,
  'channel.list': ChannelListFrame,
  'channel.history': ChannelHistoryFrame,
  'channel.dead_letters': ChannelDeadLettersFrame,
  'channel.redrive': ChannelRedriveFrame,
  'presence.heartbeat_ack': HeartbeatAckFrame,
  'presence.list': PresenceListFrame,
  presence_join: PresenceChangeFrame,
  presence_update: PresenceChangeFrame,
  presence_leave: PresenceChangeFrame,
  presence_batch: PresenceBatchFrame,
};

const DOORS = { '/': GATEWAY, '/ws': PUSH };

type Schemas = typeof GATEWAY & typeof PUSH;
export type SocketPath = keyof typeof DOORS;
export type FrameType = keyof Schemas;
export type FrameOf<T extends FrameType> = z.infer<Schemas[T]>;
export type ServerFrame = { [T in FrameType]: FrameOf<T> }[FrameType];

/** The frame, checked against the schema of its type. */
export function parseServerFrame(path: SocketPath, text: string): ServerFrame {
  if (Buffer.byteLength(text) > MAX_PAYLOAD) {
    throw new Error(
      `the server sent a frame of ${Buffer.byteLength(text)} bytes, more than its policy says: ${text.slice(0, 100)}`,
    );
  }
  const { type } = JSON.parse(text) as { type: string };
  const schema = Object.entries(DOORS[path]).find(([name]) => name === type)?.[1];
  if (!schema) throw new Error(`the server said "${type}" on ${path}: ${text.slice(0, 200)}`);
  const frame: ServerFrame = schema.parse(JSON.parse(text));
  if (frame.type === 'error' && !(frame.code in ERRORS))
    throw new Error(`the code "${frame.code}" is not in the table`);
  return frame;
}

/** Of all frames, those of one type. */
export function framesOf<T extends FrameType>(frames: readonly ServerFrame[], type: T): FrameOf<T>[] {
  return frames.filter((frame) => frame.type === type) as FrameOf<T>[];
}
