import type { ChannelMessageFrame } from '@continuo/protocol';

/** A message of a channel. */
export interface PushMessage {
  readonly channel: string;
  readonly data: unknown;
  /** The same however often it is delivered. */
  readonly eventId: string;
  /** Its number within the channel. */
  readonly sequence: number;
  /** The client that published it; `null` where it was a server. */
  readonly source: string | null;
  /** Unix seconds, with a fraction. */
  readonly timestamp: number;
  /** 1 at the first delivery. */
  readonly attempt: number;
  /** It may have been delivered before. */
  readonly redelivered: boolean;
}

/** What it returns is waited for: then the message is acked, or nacked when it throws. */
export type MessageHandler = (message: PushMessage) => unknown;

export function messageOf(frame: ChannelMessageFrame): PushMessage {
  const { channel, data, event_id: eventId, sequence, source, timestamp, attempt, _redelivered } = frame;
  return {
    channel,
    data,
    eventId,
    sequence,
    source,
    timestamp,
    attempt,
    redelivered: _redelivered === true,
  };
}
