import type { Entry, Reset } from '@continuo/protocol';
import type { Principal } from '../core/access.ts';
import type { Channels } from '../core/channels.ts';
import type { AttachOptions, Consumers } from '../core/consumers.ts';
import type { Feed, Feeds } from '../core/feed.ts';
import { keyOf, logOf } from '../core/names.ts';
import type { Peer } from '../ports.ts';
import { type ChannelDialects, channelDialects, redeliver, sourceOf } from './dialects.ts';
import type { PollSubscription } from './pollers.ts';
import { resetFrame } from './push.ts';

/** What a mailbox does for one channel: its messages, with a consumer or without, and who comes and goes there. */

export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

export interface ArriveOptions {
  readonly peer: Peer;
  /** Default: from now on. */
  readonly after?: Position | undefined;
  onMoved(): void;
  onReset(): void;
  onLive(): void;
}

export interface ReadingOptions {
  readonly subscription: PollSubscription;
  readonly principal: Principal;
  readonly clientId: string;
  readonly peer: Peer;
  /** `null`: those of the peer's wire. */
  readonly dialects: ChannelDialects | null;
  /** Where its client says it is, by log, and which resets it was told: by {@link keysOf}. It is written, too. */
  readonly positions: Map<string, Position>;
  /** How many more messages may be sent now. */
  room(): number;
  isOver(): boolean;
  /** So many messages were sent, or none but another frame. `moved`: its position moved, and they do not say where to. */
  onSent(messages: number, moved: boolean): void;
  /** It may have nothing left to send. */
  onLooked(): void;
  onTakenOver(): void;
  /** Its client is on the channel: tells it who else comes and goes. `null`: that is not told. */
  arrive?(channel: string, to: ArriveOptions): Promise<Feed | null>;
}

export interface Reading {
  readonly subscription: PollSubscription;
  /** Whether its messages are in dialects of their own. */
  readonly own: boolean;
  /** Whether a consumer remembers how far it came. */
  readonly remembered: boolean;
  /** Where it is now. */
  readonly at: readonly (readonly [key: string, position: Position])[];
  /** Whether nothing more can be sent just now. */
  readonly looked: boolean;
  /** Nothing more is sent. */
  stop(): void;
  /** Stops, and stores how far it came. False when another had the consumer: what was sent does not count. */
  leave(): Promise<boolean>;
}

export interface ReadingDeps {
  readonly channels: Channels;
  readonly consumers: Consumers;
  readonly feeds: Feeds;
}

/** Of a channel, in a cursor: its log, the log of who is there, and which reset was told: answers get lost. */
export function keysOf(channel: string): {
  readonly log: string;
  readonly presence: string;
  readonly reset: string;
} {
  const log = logOf.channel(channel);
  return { log, presence: logOf.presence(channel), reset: `reset:${log}` };
}

/** `null`: it was over before it began, and whoever has the consumer keeps it. Rejects when the store does not answer. */
export async function openReading(options: ReadingOptions, deps: ReadingDeps): Promise<Reading | null> {
  const { subscription, principal, clientId, peer, dialects, positions, room: roomLeft } = options;
  const { isOver, onSent, onLooked, onTakenOver } = options;
  const { channels, consumers, feeds } = deps;
  const { channel, delivery, echo } = subscription;
  const { log, presence: presenceKey, reset: resetKey } = keysOf(channel);
  const source = sourceOf(principal.user, clientId);
  let feed: Feed | null = null;
  let watch: Feed | null = null;

  const tellReset = (reset: Reset): void => {
    peer.send(peer.wire.frame(JSON.stringify(resetFrame(channel, reset))));
    if (delivery) positions.set(resetKey, reset.to);
    onSent(0, true);
  };

  function sendAgain(entry: Entry, attempt: number): boolean {
    if (isOver() || roomLeft() <= 0 || !redeliver(peer, entry, attempt)) return false;
    onSent(1, false);
    return true;
  }

  const head = await channels.open(channel);
  if (isOver()) return null;
  const received = positions.get(log);
  const attaching: AttachOptions = {
    key: keyOf.consumer(principal.user, clientId, channel),
    log,
    head,
    received,
    seenReset: positions.get(resetKey),
    onRoom: () => feed?.resume(),
    redeliver: sendAgain,
    onLost: tellReset,
    onTakenOver,
  };
  const attachment = delivery ? await consumers.attach(attaching) : null;
  if (isOver()) {
    attachment?.abandon();
    return null;
  }

  function stop(): void {
    watch?.close();
    feed?.close();
  }
  async function leave(): Promise<boolean> {
    stop();
    return attachment ? attachment.detach() : true;
  }

  try {
    const moved = (): void => onSent(0, true);
    const to = { peer, after: positions.get(presenceKey), onMoved: moved, onReset: moved, onLive: onLooked };
    watch = subscription.presence ? ((await options.arrive?.(channel, to)) ?? null) : null;
  } catch (error) {
    await leave();
    throw error;
  }
  const room = (): number =>
    isOver() ? 0 : Math.min(attachment?.room() ?? Number.POSITIVE_INFINITY, roomLeft());
  if (attachment?.reset && !isOver()) tellReset(attachment.reset);
  const { first, again } = dialects ?? channelDialects(peer.wire);
  const since = { epoch: subscription.epoch ?? head.epoch, offset: subscription.since ?? head.offset };
  feed = feeds.open({
    log,
    head,
    after: attachment?.after ?? received ?? since,
    peer,
    dialect: first,
    ...(attachment && { replay: { until: attachment.until, dialect: again }, skip: attachment.skip }),
    ...(!echo && { withoutSource: source }),
    room,
    onMoved(sent, before, to) {
      attachment?.onMoved(sent, before, to);
      if (sent.length > 0) onSent(sent.length, dialects === null);
    },
    onReset(reset) {
      attachment?.onReset(reset);
      tellReset(reset);
      return reset.to;
    },
    onLive: onLooked,
  });
  const messages = feed;

  return {
    subscription,
    own: dialects !== null,
    remembered: delivery,
    get at() {
      const there = watch ? [[presenceKey, watch.position] as const] : [];
      return [[log, messages.position] as const, ...there];
    },
    get looked() {
      const allSent = messages.live && (watch?.live ?? true) && !attachment?.isDue();
      return allSent || room() <= 0;
    },
    stop,
    leave,
  };
}
