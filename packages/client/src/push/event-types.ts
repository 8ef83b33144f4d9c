import type { ChannelResetFrame, PresenceChangeFrame, PresenceListFrame } from '@continuo/protocol';
import type { PushMessage } from './message.ts';

/** What a client tells by name; a frame of any other type is told under its type. */
export interface PushEvents {
  channel_message: PushMessage;
  /** Messages between two positions are gone. Without a listener it is an error. */
  'channel.reset': ChannelResetFrame;
  presence_join: PresenceChangeFrame;
  presence_update: PresenceChangeFrame;
  presence_leave: PresenceChangeFrame;
  /** Every answer to `getPresence`, under both names. */
  'presence.list': PresenceListFrame;
  presence_list: PresenceListFrame;
}
