import { type ChannelMember, type Cursor, type Metadata, type Reset, WireError } from '@continuo/protocol';
import type { Clock, Logs, Peer, Random, Records, Report } from '../ports.ts';
import type { Dialect } from './dialect.ts';
import type { Feed, Feeds } from './feed.ts';
import { createLobby } from './lobby.ts';
import type { Journal, Retention } from './log.ts';
import {
  type ClientId,
  clientKeyOf,
  type FoldedMember,
  type LobbyChange,
  ONLINE,
  type Told,
} from './members-fold.ts';
import { logOf } from './names.ts';
import { changeOf, createSeat, createSitting, heeds, type Seat, type Sitting } from './seat.ts';
import { createServers } from './servers.ts';
import { createTeller, type Pending } from './teller.ts';
import { correctionOf, missedBetween } from './told.ts';

/** How often this server looks for silent clients, and for servers that are gone, in ms. */
const SWEEP_MS = 1_000;
/** Of the clients that one answer names: it says them twice, in a frame of 1 MiB. */
const NAMED_BYTES = 400 * 1024;
/** Of one client's metadata as JSON: it is in every list. */
const METADATA_BYTES = 4 * 1024;

export interface PresenceTerms {
  /** How often a client should beat, in ms. It is told to clients; nothing here goes by it. */
  readonly heartbeatIntervalMs: number;
  /** A client that beats, or polls, is offline after this long without a word, in ms. */
  readonly offlineTimeoutMs: number;
  /** Whether the subscribers of a channel are told who comes, changes and goes. */
  readonly broadcastChanges: boolean;
}

export const PRESENCE_TERMS: PresenceTerms = {
  heartbeatIntervalMs: 15_000,
  offlineTimeoutMs: 45_000,
  broadcastChanges: true,
};

/** One connection of one client; of a poller all its requests to this server. */
export interface Presence {
  /** It is on a channel. What changes in one tick is stored together. */
  join(channel: string): void;
  leave(channel: string): void;
  /** What is absent stays. Resolves when it is stored; where nothing changes, nothing is. Rejects with `too_large`. */
  beat(said: {
    readonly status?: string | undefined;
    readonly metadata?: Metadata | undefined;
  }): Promise<void>;
  /** It gave a sign of life. */
  seen(): void;
  /** A request of it is under way until the returned function is called. */
  hold(): () => void;
  /** The connection is over; a poller is gone on all servers. Idempotent. */
  close(): void;
}

export interface WatchOptions {
  readonly peer: Peer;
  readonly dialect: Dialect;
  /** Changes of this source are not sent. */
  readonly withoutSource: string;
  /** Default: the head. */
  readonly after?: Cursor | undefined;
  onMoved?(): void;
  /** Changes are gone: show who is there now. Changes since before the call follow. */
  onReset(reset: Reset): Promise<void>;
}

export interface Members {
  /** A client is there, once it has joined a channel or beats, until `close`. A poller has one presence per server. */
  enter(client: ClientId & { readonly kind: 'connected' | 'polling' }): Presence;
  /** Who is on a channel, on all servers (`null`: on any, or none), as of this call or later. */
  list(
    channel: string | null,
    asker: { mayRead(channel: string): boolean },
  ): Promise<{ readonly members: readonly ChannelMember[]; readonly total: number }>;
  /** What becomes of a channel's clients from now on, in order, at least once; `null` where that is not told. */
  watch(channel: string, options: WatchOptions): Promise<Feed | null>;
  readonly terms: PresenceTerms;
  readonly retention: { readonly lobby: Retention; readonly presence: Retention };
  /** Everybody leaves. Idempotent. */
  close(): Promise<void>;
}

export interface MembersOptions {
  readonly logs: Logs;
  readonly records: Records;
  readonly journal: Journal;
  readonly feeds: Feeds;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
  readonly terms?: Partial<PresenceTerms> | undefined;
  /** The source of a client's own entries. */
  sourceOf(user: string, clientId: string): string;
}

const encoder = new TextEncoder();

function bytesOf(value: unknown): number {
  return encoder.encode(JSON.stringify(value)).byteLength;
}

/**
 * Who is on which channel, over all servers of the store. Every change goes to one log, the lobby, and its fold is the
 * truth; what that means for a channel goes to the log of the channel's presence. Costs nothing until it is used.
 */
export function createMembers(options: MembersOptions): Members {
  const { logs, feeds, clock, report } = options;
  const terms: PresenceTerms = { ...PRESENCE_TERMS, ...options.terms };
  const servers = createServers(options);
  const seats = new Map<string, Seat>();
  /** Seats of which the lobby may have to be told something. */
  const changed = new Set<Seat>();
  let evictions: Pending[] = [];
  let stopSweep: (() => void) | null = null;
  let sweeping: Promise<void> = Promise.resolve();
  let closing: Promise<void> | null = null;

  const lobby = createLobby({
    ...options,
    onEntry(entry, told) {
      const change = entry.data as LobbyChange;
      if (change.by === servers.me) owe(told);
      else heed(change, entry.at);
    },
    onLost(before, after) {
      owe(missedBetween(before, after, lobby.position));
      for (const seat of seats.values()) void touch(seat);
    },
  });
  const teller = createTeller({
    ...options,
    lobby,
    servers,
    take,
    sourceOf: ({ user, clientId }) => options.sourceOf(user, clientId),
  });

  function owe(told: readonly Told[]): void {
    if (terms.broadcastChanges) teller.owe(told);
  }

  function seatKeyOf(client: ClientId, polling: boolean): string {
    return `${polling ? 'p' : 'c'}${clientKeyOf(client)}`;
  }

  function seatOf(client: ClientId, polling: boolean): Seat {
    const key = seatKeyOf(client, polling);
    const seat = seats.get(key) ?? createSeat(client, polling);
    seats.set(key, seat);
    return seat;
  }

  function touch(seat: Seat): Promise<void> {
    changed.add(seat);
    start();
    const telling = teller.tell();
    telling.catch(() => {}); // it is told again later
    return telling;
  }

  function take(count: number): readonly Pending[] {
    const pending = evictions.splice(0, count);
    for (const seat of changed) {
      if (pending.length >= count) break;
      changed.delete(seat);
      const due = changeOf(seat, servers.me, lobby.fold);
      const { said, deregistered } = seat;
      const left = [...seat.left];
      seat.said = {};
      seat.left.clear();
      seat.deregistered = false;
      if (seat.connections.size === 0) seats.delete(seatKeyOf(seat, seat.polling));
      if (!due) continue;
      if (!due.whole) {
        for (const channel of left) seat.left.add(channel);
        changed.add(seat);
      }
      pending.push({
        change: due.change,
        failed() {
          const now = seatOf(seat, seat.polling); // who came back meanwhile has another one
          now.said = { ...said, ...now.said };
          now.deregistered ||= deregistered && now.connections.size === 0;
          for (const channel of left) now.left.add(channel);
          changed.add(now);
        },
      });
      if (!due.whole) break; // the rest is what the fold lacks after this
    }
    return pending;
  }

  /** A poller is gone from here for good. */
  function stand(seat: Seat, sitting: Sitting): void {
    sitting.channels.clear();
    seat.connections.delete(sitting);
  }

  /** Another server changed what was said of a client here. */
  function heed(change: LobbyChange, at: number): void {
    const seat = seats.get(seatKeyOf(change, change.polling));
    if (!seat || (change.server !== servers.me && !change.polling)) return;
    if (change.polling) {
      for (const sitting of seat.connections) {
        const since = (channel: string): number => sitting.channels.get(channel) ?? at;
        for (const channel of change.leave) if (since(channel) <= at) sitting.channels.delete(channel);
        if (change.gone === 'everywhere' && sitting.seenAt <= at) stand(seat, sitting);
      }
    }
    void touch(seat);
  }

  function start(): void {
    if (stopSweep || closing) return;
    stopSweep = clock.schedule(clock.now() + SWEEP_MS, sweep);
  }

  function sweep(): void {
    stopSweep = null;
    start();
    const before = clock.now() - terms.offlineTimeoutMs;
    for (const seat of seats.values()) {
      for (const sitting of seat.connections) {
        if (sitting.seenAt > before || sitting.holds > 0 || sitting.silent) continue;
        if (!seat.polling && !sitting.beats) continue;
        sitting.silent = true;
        if (seat.polling) seat.connections.delete(sitting);
        void touch(seat);
      }
    }
    sweeping = evict().catch((error: unknown) => report('looking for servers that are gone', error));
  }

  /** Takes out the clients of servers that are gone; what those may not have told the channels is told. */
  async function evict(): Promise<void> {
    await sweeping;
    await lobby.open();
    const others = [...lobby.fold.servers()].filter((server) => server !== servers.me);
    if (others.length === 0 || closing) return;
    const living = await servers.list(); // read after the fold: a server that is in the lobby was there before
    const { fold } = lobby;
    for (const server of others) {
      if (living.has(server)) continue;
      owe(fold.lastOf(server).filter((told) => correctionOf(told, fold, lobby.position).length === 0));
      fold.forget(server);
      for (const { client, place } of fold.placesOf(server)) {
        const { user, clientId } = client;
        const { polling } = place;
        evictions.push({
          change: { user, clientId, server, polling, join: [], leave: [], gone: 'here' },
          id: `gone:${server}:${polling ? 'p' : 'c'}:${place.offset}:${clientKeyOf(client)}`,
          failed() {}, // it is found again
        });
      }
    }
    await teller.tell().catch(() => {}); // it was reported, and is found again
    evictions = [];
  }

  function enter({ user, clientId, kind }: ClientId & { readonly kind: 'connected' | 'polling' }): Presence {
    const client: ClientId = { user, clientId };
    const polling = kind === 'polling';
    let seat = seatOf(client, polling);
    const [sitting = createSitting(clock.now())] = polling ? seat.connections : [];
    sitting.seenAt = clock.now();
    let isOver = false;
    /** Its seat, which it takes again where it was taken out meanwhile. */
    function sit(): Seat {
      seat = seatOf(client, polling);
      seat.connections.add(sitting);
      return seat;
    }
    sit();

    function seen(): void {
      sitting.seenAt = clock.now();
      if (!sitting.silent || isOver) return;
      sitting.silent = false;
      void touch(sit());
    }

    return {
      join(channel) {
        if (isOver) return;
        const isNew = !sitting.channels.has(channel);
        sitting.channels.set(channel, clock.now());
        const mine = sit();
        mine.left.delete(channel);
        if (isNew || polling) void touch(mine);
      },
      leave(channel) {
        if (isOver) return;
        sitting.channels.delete(channel);
        const mine = sit();
        if (polling) mine.left.add(channel);
        void touch(mine);
      },
      async beat({ status, metadata }) {
        if (metadata !== undefined && bytesOf(metadata) > METADATA_BYTES) {
          const problem = `"metadata" has at most ${METADATA_BYTES} bytes as JSON. Send less, or a reference to it.`;
          throw new WireError('too_large', problem);
        }
        seen();
        sitting.beats = true;
        await lobby.open();
        if (isOver) return;
        const mine = sit();
        const known = lobby.fold.said(client);
        const present = {
          ...known,
          ...(mine.said.status !== undefined && { ...mine.said, before: known.status }),
        };
        if (status === undefined) sitting.habit.plain = true;
        else if (heeds(sitting.habit, status, present) && status !== present.status)
          mine.said.status = status;
        if (metadata !== undefined) mine.said.metadata = metadata;
        if (changed.has(mine) || changeOf(mine, servers.me, lobby.fold)) await touch(mine);
      },
      seen,
      hold() {
        seen();
        sitting.holds++;
        let isHeld = true;
        return () => {
          if (isHeld) sitting.holds--;
          if (isHeld) seen();
          isHeld = false;
        };
      },
      close() {
        if (isOver) return;
        isOver = true;
        const mine = seatOf(client, polling);
        stand(mine, sitting);
        mine.deregistered = polling;
        void touch(mine);
      },
    };
  }

  function shown(member: FoldedMember, channels: readonly string[]): ChannelMember {
    const { clientId, said } = member;
    const polled = seats.get(seatKeyOf(member, true));
    const connected = [...member.places.values()].some(({ polling }) => !polling);
    const seenAt = [...(connected ? [] : (polled?.connections ?? []))].map((sitting) => sitting.seenAt);
    return {
      client_id: clientId,
      status: said.status ?? ONLINE,
      last_seen: Math.min(clock.now(), ...seenAt) / 1000,
      metadata: said.metadata ?? {},
      channels: [...channels],
    };
  }

  return {
    enter,

    async list(channel, { mayRead }) {
      start();
      await lobby.open();
      if (changed.size > 0) await teller.tell().catch(() => {}); // it was reported; the lobby is what counts
      await lobby.present();
      const members: ChannelMember[] = [];
      let [total, bytes] = [0, 0];
      for (const member of lobby.fold.on(channel)) {
        const channels = [...member.channels.keys()].filter(mayRead);
        if (channel === null && channels.length === 0 && member.channels.size > 0) continue;
        total++;
        if (bytes >= NAMED_BYTES) continue;
        const one = shown(member, channels);
        bytes += bytesOf(one);
        if (bytes < NAMED_BYTES) members.push(one);
      }
      return { members, total };
    },

    async watch(channel, { peer, dialect, withoutSource, after, onMoved, onReset }) {
      if (!terms.broadcastChanges) return null;
      const log = logOf.presence(channel);
      const headNow = async () => (await logs.heads([log]))[0] ?? (await logs.append(log, [])).head;
      const head = await headNow();
      return feeds.open({
        log,
        head,
        after: after ?? { epoch: head.epoch, offset: head.offset },
        peer,
        dialect,
        withoutSource,
        ...(onMoved && { onMoved }),
        async onReset(reset) {
          const { epoch, offset } = await headNow();
          await onReset(reset);
          return { epoch, offset };
        },
      });
    },

    terms,
    retention: {
      lobby: { maxEntries: 10_000, maxBytes: 64 * 1024 * 1024, beforeTrim: lobby.beforeTrim },
      presence: { maxEntries: 1_000, maxBytes: 8 * 1024 * 1024 },
    },

    close() {
      closing ??= (async () => {
        stopSweep?.();
        await sweeping;
        for (const seat of seats.values()) {
          seat.connections.clear();
          changed.add(seat);
        }
        if (changed.size > 0) await teller.tell().catch(() => {}); // the others take them out when this server is gone
        await servers.close();
        teller.close();
        lobby.close();
      })();
      return closing;
    },
  };
}
