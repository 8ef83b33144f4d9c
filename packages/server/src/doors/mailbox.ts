import { type VectorCursor, WireError } from '@continuo/protocol';
import { may, type Principal } from '../core/access.ts';
import type { Clock, Peer, Report } from '../ports.ts';
import type { ChannelDialects } from './dialects.ts';
import {
  keysOf,
  openReading,
  type Position,
  type Reading,
  type ReadingDeps,
  type ReadingOptions,
} from './mailbox-reading.ts';
import type { PollSubscription } from './pollers.ts';

/** All channels of one client without a socket, as one reader: for one answer, or for a stream. */

/** How often it looks at what its client is subscribed to, in ms: other servers take requests, too. */
const LOOK_MS = 5_000;

/** Why a mailbox ends that its reader did not close. `followed`: the same reader asks anew. */
export type MailboxEnd = 'taken_over' | 'followed' | 'closing' | { readonly error: unknown };

export interface MailboxOptions {
  /** One mailbox a key is live: the newest. */
  readonly key: string;
  /** Who reads: one client may read at several places. */
  readonly reader: string;
  readonly principal: Principal;
  readonly clientId: string;
  /** What its client is subscribed to now. What it throws at the opening, or as `unauthorized`, ends the mailbox. */
  subscriptions(): Promise<readonly PollSubscription[]>;
  /** How far its client has come, as it says itself. */
  readonly received: VectorCursor;
  /** Its wire makes frames as this client reads them. */
  readonly peer: Peer;
  /** How messages look to a reader of one channel, where that differs. */
  readonly alone?: ChannelDialects;
  /** How many more messages may be sent now. Default: any number. */
  room?(): number;
  /** So many messages were sent, or none but another frame. `moved`: the cursor moved, and they do not say where to. */
  onSent?(messages: number, moved: boolean): void;
  /** More of its channels have nothing left to send, or no room. */
  onLooked?(): void;
  /** It is to be closed: another has what it had, its server closes, or something is wrong. */
  onOver(why: MailboxEnd): void;
  /** Its client is on a channel that is read: tells it who else comes and goes. Default: nobody is told anything. */
  arrive?: NonNullable<ReadingOptions['arrive']>;
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

export interface MailboxDeps extends ReadingDeps {
  readonly clock: Clock;
  readonly report: Report;
}

export function createMailboxes(deps: MailboxDeps): Mailboxes {
  const live = new Map<
    string,
    {
      readonly mailbox: Mailbox;
      readonly reader: string;
      end(why: 'taken_over' | 'followed' | 'closing'): void;
    }
  >();

  return {
    open(options) {
      const { key, reader, onOver } = options;
      const before = live.get(key);
      before?.end(before.reader === reader ? 'followed' : 'taken_over');
      const mailbox = openMailbox(options, deps, () => {
        if (live.get(key)?.mailbox === mailbox) live.delete(key);
      });
      live.set(key, { mailbox, reader, end: onOver });
      return mailbox;
    },
    look: (key) => live.get(key)?.mailbox.look(),
    close() {
      for (const { end } of [...live.values()]) end('closing');
    },
  };
}

/**
 * All channels of one client without a socket, as one reader: at least once or at most once as it subscribed, in order
 * per channel. What is subscribed to or left meanwhile takes effect at the next look. What was sent counts as received
 * only when its client says so, by an ack or a cursor.
 */
function openMailbox(options: MailboxOptions, deps: MailboxDeps, onClosed: () => void): Mailbox {
  const { principal, clientId, peer, onSent, onLooked, onOver, arrive } = options;
  const { room = () => Number.POSITIVE_INFINITY } = options;
  const { clock, report } = deps;
  /** Where each channel goes on that is not being read. */
  const positions = new Map<string, Position>(options.received);
  const readings = new Map<string, Reading>();
  let over = false;
  let isOpen = false;
  let allHeld = true;

  async function read(subscription: PollSubscription, dialects: ChannelDialects | null): Promise<void> {
    const reading = await openReading(
      {
        subscription,
        principal,
        clientId,
        peer,
        dialects,
        positions,
        room,
        isOver: () => over,
        onSent: (messages, moved) => onSent?.(messages, moved),
        onLooked: () => onLooked?.(),
        onTakenOver() {
          allHeld = false;
          if (!over) onOver('taken_over');
        },
        ...(arrive && { arrive }),
      },
      deps,
    );
    if (reading) readings.set(subscription.channel, reading);
    else if (subscription.delivery) allHeld = false;
  }

  async function leave(reading: Reading): Promise<void> {
    readings.delete(reading.subscription.channel);
    reading.stop();
    for (const [key, position] of reading.at) positions.set(key, position);
    if (!(await reading.leave())) allHeld = false;
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
    const alone = wanted.size === 1 ? (options.alone ?? null) : null;
    const isWanted = ({ subscription, own }: Reading): boolean =>
      isSame(subscription, wanted.get(subscription.channel)) && (alone !== null || !own);
    await leaveAll([...readings.values()].filter((reading) => !isWanted(reading)));
    forgetOthers(wanted);
    const more = [...wanted.values()].filter(({ channel }) => !readings.has(channel));
    const begun = await Promise.allSettled(more.map((subscription) => read(subscription, alone)));
    for (const each of begun) if (each.status === 'rejected') throw each.reason;
  }

  /** Positions in channels that were left: whoever subscribes to one again begins anew. */
  function forgetOthers(wanted: ReadonlyMap<string, PollSubscription>): void {
    const keys = new Set([...wanted.keys()].flatMap((channel) => Object.values(keysOf(channel))));
    for (const key of [...positions.keys()]) if (!keys.has(key)) positions.delete(key);
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
        if (!over) onOver({ error });
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
      return new Map([...positions, ...[...readings.values()].flatMap(({ at }) => at)]);
    },
    get untracked() {
      return new Map([...readings.values()].flatMap(({ remembered, at }) => (remembered ? [] : at)));
    },
    get looked() {
      return isOpen && [...readings.values()].every(({ looked }) => looked);
    },
    look,
    async close() {
      over = true;
      onClosed();
      stopTimer();
      for (const reading of readings.values()) reading.stop();
      await running;
      await leaveAll([...readings.values()]);
      return allHeld;
    },
  };
}

function isSame(one: PollSubscription, other: PollSubscription | undefined): boolean {
  return other !== undefined && JSON.stringify(one) === JSON.stringify(other);
}
