import { type Entry, type Reset, type VectorCursor, WireError } from '@continuo/protocol';
import { may, type Principal } from '../core/access.ts';
import type { Attachment } from '../core/attachment.ts';
import type { Channels } from '../core/channels.ts';
import type { AttachOptions, Consumers } from '../core/consumers.ts';
import { type Feed, type Feeds, WATERMARK_BYTES } from '../core/feed.ts';
import { keyOf, logOf } from '../core/names.ts';
import type { Clock, Peer, Report } from '../ports.ts';
import { type ChannelDialects, channelText, sourceOf } from './dialects.ts';
import type { PollSubscription } from './pollers.ts';
import { resetFrame } from './push.ts';

/** How often it looks at what its client is subscribed to, in ms: other servers take requests, too. */
const LOOK_MS = 5_000;

/** How messages look to one kind of reader. */
export interface MailboxForm {
  /** Of a reader of one channel, and of several. */
  readonly alone: ChannelDialects;
  readonly among: ChannelDialects;
  /** Any other frame, given as JSON. */
  frame(json: string): Uint8Array;
}

export interface MailboxOptions {
  /** One mailbox a key is live: the newest. */
  readonly key: string;
  readonly principal: Principal;
  readonly clientId: string;
  /** What its client is subscribed to now. What it throws at the opening, or as `unauthorized`, ends the mailbox. */
  subscriptions(): Promise<readonly PollSubscription[]>;
  /** How far its client has come, as it says itself. */
  readonly received: VectorCursor;
  readonly peer: Peer;
  readonly form: MailboxForm;
  /** How many more messages may be sent now. Default: any number. */
  room?(): number;
  /** So many messages were sent, or none but a reset. `moved`: the cursor moved, and they do not say where to. */
  onSent?(messages: number, moved: boolean): void;
  /** More of its channels have nothing left to send, or no room. */
  onLooked?(): void;
  /** It is to be closed: another has what it had, its server closes, or something is wrong. */
  onOver(error?: unknown): void;
}

export interface Mailbox {
  /** What was sent up to now, until it is closed: one position a channel, and which resets were told. */
  readonly cursor: VectorCursor;
  /** The part of it that no consumer remembers. */
  readonly untracked: VectorCursor;
  /** Whether every channel was looked at, and nothing more can be sent of any. */
  readonly looked: boolean;
  /** Its client subscribed, unsubscribed or deregistered. */
  look(): void;
  /** Stores how far it came. False when another had one of its consumers: what it sent does not count. Idempotent. */
  close(): Promise<boolean>;
}

export interface Mailboxes {
  /** Opens one, and ends the one that is open under its key. */
  open(options: MailboxOptions): Mailbox;
  look(key: string): void;
  /** Ends all. */
  close(): void;
}

export interface MailboxDeps {
  readonly channels: Channels;
  readonly consumers: Consumers;
  readonly feeds: Feeds;
  readonly clock: Clock;
  readonly report: Report;
}

/** What is read for one subscription. */
interface Reading {
  readonly log: string;
  readonly subscription: PollSubscription;
  readonly alone: boolean;
  readonly feed: Feed;
  readonly attachment: Attachment | null;
  room(): number;
}

export function createMailboxes(deps: MailboxDeps): Mailboxes {
  const live = new Map<string, { readonly mailbox: Mailbox; end(): void }>();

  return {
    open(options) {
      const { key, onOver } = options;
      live.get(key)?.end();
      const mailbox = openMailbox(options, deps, () => {
        if (live.get(key)?.mailbox === mailbox) live.delete(key);
      });
      live.set(key, { mailbox, end: () => onOver() });
      return mailbox;
    },
    look: (key) => live.get(key)?.mailbox.look(),
    close() {
      for (const { end } of [...live.values()]) end();
    },
  };
}

/**
 * All channels of one client without a socket, as one reader: at least once or at most once as it subscribed, in order
 * per channel. What is subscribed to or left meanwhile takes effect at the next look. What was sent counts as received
 * only when its client says so, by an ack or a cursor.
 */
function openMailbox(options: MailboxOptions, deps: MailboxDeps, onClosed: () => void): Mailbox {
  const { principal, clientId, peer, form, onSent, onLooked, onOver } = options;
  const { room: roomLeft = () => Number.POSITIVE_INFINITY } = options;
  const { channels, consumers, feeds, clock, report } = deps;
  /** Where each channel goes on that is not being read. */
  const from = new Map(options.received);
  const readings = new Map<string, Reading>();
  const source = sourceOf(principal.user, clientId);
  let over = false;
  let isOpen = false;
  let allHeld = true;

  function redeliver(entry: Entry, attempt: number): boolean {
    if (over || roomLeft() <= 0 || peer.bufferedBytes >= WATERMARK_BYTES) return false;
    peer.send(form.frame(channelText(entry, attempt)));
    onSent?.(1, false);
    return true;
  }

  async function read(subscription: PollSubscription, alone: boolean): Promise<void> {
    const { channel, delivery, echo } = subscription;
    const log = logOf.channel(channel);
    const head = await channels.open(channel);
    if (over) return; // nothing is taken from whoever has the consumer now
    const received = from.get(log);
    const tellReset = (reset: Reset): void => {
      peer.send(form.frame(JSON.stringify(resetFrame(channel, reset))));
      if (delivery) from.set(resetKeyOf(log), reset.to);
      onSent?.(0, true);
    };
    const attaching: AttachOptions = {
      key: keyOf.consumer(principal.user, clientId, channel),
      log,
      head,
      received,
      seenReset: from.get(resetKeyOf(log)),
      onRoom: () => readings.get(channel)?.feed.resume(),
      redeliver,
      onLost: tellReset,
      onTakenOver() {
        allHeld = false;
        if (!over) onOver();
      },
    };
    const attachment = delivery ? await consumers.attach(attaching) : null;
    if (over) {
      attachment?.abandon();
      allHeld = false;
      return;
    }
    const since = { epoch: subscription.epoch ?? head.epoch, offset: subscription.since ?? head.offset };
    const room = (): number =>
      over ? 0 : Math.min(attachment?.room() ?? Number.POSITIVE_INFINITY, roomLeft());
    if (attachment?.reset) tellReset(attachment.reset);
    const { first, again } = alone ? form.alone : form.among;
    const feed = feeds.open({
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
        if (sent.length > 0) onSent?.(sent.length, !alone);
      },
      onReset(reset) {
        attachment?.onReset(reset);
        tellReset(reset);
        return reset.to;
      },
      onLive: () => onLooked?.(),
    });
    readings.set(channel, { log, subscription, alone, feed, attachment, room });
  }

  async function leave({ log, subscription, feed, attachment }: Reading): Promise<void> {
    readings.delete(subscription.channel);
    feed.close();
    from.set(log, feed.position);
    if (attachment && !(await attachment.detach())) allHeld = false;
  }

  async function leaveAll(left: readonly Reading[]): Promise<void> {
    const done = await Promise.allSettled(left.map(leave));
    for (const each of done) if (each.status === 'rejected') throw each.reason;
  }

  /** Reads what is subscribed to, and nothing else. */
  async function follow(): Promise<void> {
    const subscribed = await options.subscriptions();
    if (over) return;
    // One client may have several tokens: this one reads what it allows.
    const wanted = new Map(
      subscribed
        .filter(({ channel }) => may(principal, 'read', 'channels', channel))
        .map((subscription) => [subscription.channel, subscription]),
    );
    const alone = wanted.size === 1;
    const isWanted = (reading: Reading): boolean =>
      isSame(reading.subscription, wanted.get(reading.subscription.channel)) && (alone || !reading.alone);
    await leaveAll([...readings.values()].filter((reading) => !isWanted(reading)));
    forgetOthers(wanted);
    const more = [...wanted.values()].filter(({ channel }) => !readings.has(channel));
    const begun = await Promise.allSettled(more.map((subscription) => read(subscription, alone)));
    for (const each of begun) if (each.status === 'rejected') throw each.reason;
  }

  /** Positions in channels that were left: whoever subscribes to one again begins anew. */
  function forgetOthers(wanted: ReadonlyMap<string, PollSubscription>): void {
    const logs = new Set([...wanted.keys()].flatMap((channel) => keysOf(logOf.channel(channel))));
    for (const key of [...from.keys()]) if (!logs.has(key)) from.delete(key);
  }

  let again = false;
  let running: Promise<void> | null = null;
  let stopTimer = (): void => {};

  function look(): void {
    again = true;
    if (over) return;
    running ??= followAll().finally(() => {
      running = null;
    });
  }

  async function followAll(): Promise<void> {
    stopTimer();
    try {
      while (again && !over) {
        again = false;
        await follow();
      }
      isOpen = true;
    } catch (error) {
      if (!isOpen || (error instanceof WireError && error.code === 'unauthorized')) {
        if (!over) onOver(error);
        return;
      }
      report(`looking at what ${clientId} is subscribed to`, error);
    }
    if (over) return;
    onLooked?.();
    stopTimer = clock.schedule(clock.now() + LOOK_MS, look);
  }

  look();
  return {
    get cursor() {
      const at = new Map(from);
      for (const { log, feed } of readings.values()) at.set(log, feed.position);
      return at;
    },
    get untracked() {
      const at = new Map<string, { readonly epoch: string; readonly offset: number }>();
      for (const { log, feed, attachment } of readings.values()) if (!attachment) at.set(log, feed.position);
      return at;
    },
    get looked() {
      return isOpen && [...readings.values()].every(isLookedAt);
    },
    look,
    async close() {
      over = true;
      onClosed();
      stopTimer();
      for (const { feed } of readings.values()) feed.close();
      await running;
      await leaveAll([...readings.values()]);
      return allHeld;
    },
  };
}

/** Where a cursor says which reset of a log its owner was told of: answers get lost, and a reset must not. */
function resetKeyOf(log: string): string {
  return `reset:${log}`;
}

function keysOf(log: string): readonly string[] {
  return [log, resetKeyOf(log)];
}

function isLookedAt({ feed, attachment, room }: Reading): boolean {
  return (feed.live && !attachment?.isDue()) || room() <= 0;
}

function isSame(one: PollSubscription, other: PollSubscription | undefined): boolean {
  return other !== undefined && JSON.stringify(one) === JSON.stringify(other);
}
