import { type ChannelMember, WireError } from '@continuo/protocol';
import type { Members } from './core/members.ts';

/** Who is on channels, for the program that the gateway runs in. */
export interface ServerPresence {
  /**
   * Who is on a channel, or on any, on all servers. `total` counts all of them; `members` names as many as fit 400 KiB.
   * Rejects with `push_disabled` where channels or presence are off.
   */
  list(
    channel?: string | null,
  ): Promise<{ readonly members: readonly ChannelMember[]; readonly total: number }>;
}

export function createServerPresence({
  members,
  enabled,
}: {
  readonly members: Members | null;
  readonly enabled: boolean;
}): ServerPresence {
  return {
    async list(channel = null) {
      if (!enabled || !members)
        throw new WireError(
          'push_disabled',
          'Presence is switched off here. Create the gateway with push: true, and presence enabled.',
        );
      return members.list(channel, { mayRead: () => true });
    },
  };
}
