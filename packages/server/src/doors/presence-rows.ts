import {
  type ChannelMember,
  HeartbeatFrame,
  type PresenceListFrame,
  PresenceQueryFrame,
  type Reset,
  WireError,
} from '@continuo/protocol';
import { demand, may, type Principal } from '../core/access.ts';
import type { Feed } from '../core/feed.ts';
import type { Members } from '../core/members.ts';
import type { Presence } from '../core/seats.ts';
import type { Peer } from '../ports.ts';
import { presenceDialects, sourceOf } from './dialects.ts';
import { answer, type Pusher, principalOf } from './pusher.ts';
import type { Row } from './socket.ts';

/** Who is on channels, as door 2 says it: on a socket, and for whatever else has a peer. */

/** The members, where presence is on. Throws `push_disabled`. */
export function membersOf(members: Members | null): Members {
  if (members) return members;
  throw new WireError(
    'push_disabled',
    'Presence is switched off here. Set push.presence.enabled to have it.',
  );
}

export function createPresenceRows(members: Members | null): Readonly<Record<string, Row<Pusher>>> {
  async function heartbeat(pusher: Pusher, frame: HeartbeatFrame): Promise<void> {
    const principal = await principalOf(pusher);
    const { status, metadata } = frame;
    const there = membersOf(members);
    demandPresence(principal);
    if (pusher.closed) return;
    await presenceOf(pusher, principal, there).beat({ status, metadata });
    answer(pusher, frame, { type: 'presence.heartbeat_ack', ok: true });
  }

  async function query(pusher: Pusher, frame: PresenceQueryFrame): Promise<void> {
    const principal = await principalOf(pusher);
    const list = await listPresence(membersOf(members), principal, frame.channel ?? null);
    answer(pusher, frame, list);
  }

  return {
    'presence.heartbeat': { schema: HeartbeatFrame, handle: heartbeat },
    'presence.query': { schema: PresenceQueryFrame, handle: query },
  };
}

/** Who may neither read nor publish has nothing to be seen at. Throws `forbidden`. */
export function demandPresence({ scopes }: Principal): void {
  if (scopes.has('read') || scopes.has('publish')) return;
  throw new WireError('forbidden', 'This token allows neither read nor publish on any channel.');
}

/** The rows of a door whose every frame is a sign of life. */
export function withSigns(
  rows: Readonly<Record<string, Row<Pusher>>>,
): Readonly<Record<string, Row<Pusher>>> {
  const signed = Object.entries(rows).map(([type, row]): [string, Row<Pusher>] => {
    const handle: Row<Pusher>['handle'] = (pusher, frame, request) => {
      pusher.presence?.seen();
      return row.handle(pusher, frame, request);
    };
    return [type, { ...row, handle }];
  });
  return Object.fromEntries(signed);
}

function presenceOf(pusher: Pusher, { user }: Principal, members: Members): Presence {
  pusher.presence ??= members.enter({ user, clientId: pusher.clientId, kind: 'connected' });
  return pusher.presence;
}

/** Who is on a channel, as far as the asker may know; `null`: on any. Throws `forbidden`. */
export async function listPresence(
  members: Members,
  principal: Principal,
  channel: string | null,
): Promise<PresenceListFrame> {
  if (channel !== null) demand(principal, 'read', 'channels', channel);
  else if (!principal.scopes.has('read'))
    throw new WireError('forbidden', 'This token does not allow read on any channel.');
  const listed = await members.list(channel, {
    mayRead: (name) => may(principal, 'read', 'channels', name),
  });
  const there: ChannelMember[] = [...listed.members];
  return { type: 'presence.list', channel, presence: there, clients: there, total: listed.total };
}

/**
 * Tells a peer what becomes of a channel's other clients: in order, at least once. Where changes are gone for it, it
 * gets a `presence.list` and goes on from there. `null` where changes are not told.
 */
export function watchPresence(
  members: Members,
  to: {
    readonly peer: Peer;
    readonly principal: Principal;
    readonly clientId: string;
    readonly batch: boolean;
    /** Default: from now on. */
    readonly after?: { readonly epoch: string; readonly offset: number } | undefined;
    /** Entries were handed to the peer. */
    onMoved?(): void;
    /** All there is was sent. */
    onLive?(): void;
    onReset?(reset: Reset): void;
  },
  channel: string,
): Promise<Feed | null> {
  const { peer, principal, clientId, batch, after, onMoved, onLive } = to;
  const dialects = presenceDialects(peer.wire);
  return members.watch(channel, {
    peer,
    dialect: batch ? dialects.batch : dialects.single,
    withoutSource: sourceOf(principal.user, clientId),
    after,
    ...(onMoved && { onMoved }),
    ...(onLive && { onLive }),
    async onReset(reset) {
      const list = await listPresence(members, principal, channel);
      peer.send(peer.wire.frame(JSON.stringify(list)));
      to.onReset?.(reset);
    },
  });
}

/** A subscriber is on a channel: the others see it, and it sees them come and go. Rejects when the store does not answer. */
export async function arrive(
  pusher: Pusher,
  principal: Principal,
  { members, channel }: { readonly members: Members | null; readonly channel: string },
): Promise<void> {
  if (!members || pusher.closed) return;
  const { connection, clientId, capabilities } = pusher;
  const batch = capabilities.has('presence_batch');
  const to = { peer: connection.peer, principal, clientId, batch };
  const feed = pusher.watches.has(channel) ? null : await watchPresence(members, to, channel);
  if (pusher.closed || pusher.watches.has(channel)) feed?.close();
  else if (feed) pusher.watches.set(channel, feed);
  if (!pusher.closed) presenceOf(pusher, principal, members).join(channel);
}

/** It is not on the channel any more. */
export function depart(pusher: Pusher, channel: string): void {
  pusher.presence?.leave(channel);
  pusher.watches.get(channel)?.close();
  pusher.watches.delete(channel);
}

/** Its connection is over, or is another client's from now on. */
export function departAll(pusher: Pusher): void {
  for (const feed of pusher.watches.values()) feed.close();
  pusher.watches.clear();
  pusher.presence?.close();
  pusher.presence = null;
}
