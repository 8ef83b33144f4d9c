import { type PushServerFrame, type RequestId, WireError } from '@continuo/protocol';
import type { Principal } from '../core/access.ts';
import type { Attachment } from '../core/attachment.ts';
import type { Feed } from '../core/feed.ts';
import type { Presence } from '../core/seats.ts';
import type { Connection } from './socket.ts';

/** One client of door 2 on one socket. */
export interface Pusher {
  readonly connection: Connection;
  /** Whether channels are switched on here. */
  readonly enabled: boolean;
  clientId: string;
  /** Whether the server made the id up: then its consumers end with the connection. */
  temporary: boolean;
  /** What it said it understands. */
  capabilities: ReadonlySet<string>;
  /** Asked for once; `null`: not yet, or refused. */
  principal: Promise<Principal> | null;
  readonly subscriptions: Map<string, Subscription>;
  /** What the others see of it; `null` until it subscribes or beats. */
  presence: Presence | null;
  /** Of each channel, what tells it who comes and goes. */
  readonly watches: Map<string, Feed>;
  /** Its socket is gone. */
  closed: boolean;
}

export interface Subscription {
  readonly feed: Feed;
  /** `null`: at most once. */
  readonly attachment: Attachment | null;
  readonly ownSource: string | null;
}

export interface Answered {
  readonly request_id?: RequestId | undefined;
}

/** Sends an answer that repeats the id of its request. */
export function answer(pusher: Pusher, { request_id }: Answered, frame: PushServerFrame): void {
  pusher.connection.send({ ...frame, ...(request_id !== undefined && { request_id }) });
}

/** Who this is. Throws `push_disabled` where channels are off, `unauthorized` without a right token. */
export async function principalOf(pusher: Pusher): Promise<Principal> {
  if (!pusher.enabled)
    throw new WireError('push_disabled', 'Channels are switched off here. Start the gateway with --push.');
  pusher.principal ??= pusher.connection.authenticate();
  try {
    return await pusher.principal;
  } catch (error) {
    pusher.principal = null;
    throw error;
  }
}
