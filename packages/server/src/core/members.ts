import type { ChannelMember, Cursor, Reset } from '@continuo/protocol';
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
import { createSeats, type Presence } from './seats.ts';
import { createServers } from './servers.ts';
import { createTeller, type Pending } from './teller.ts';
import { correctionOf, missedBetween } from './told.ts';

/** How often this server looks for silent clients, and for servers that are gone, in ms. */
const SWEEP_MS = 1_000;
/** Of the clients that one answer names: it says them twice, in a frame of 1 MiB. */
const NAMED_BYTES = 400 * 1024;
/** Of the channels of one of them. */
const NAMED_CHANNELS = 100;
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

export interface WatchOptions {
  readonly peer: Peer;
  readonly dialect: Dialect;
  /** Changes of this source are not sent. */
  readonly withoutSource: string;
  /** Default: the head. */
  readonly after?: Cursor | undefined;
  onMoved?(): void;
  /** Called once, when all there is was sent. */
  onLive?(): void;
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
  let evictions: Pending[] = [];
  let stopSweep: (() => void) | null = null;
  let evicting: Promise<void> | null = null;
  let hasLooked = false;
  let closing: Promise<void> | null = null;

  const lobby = createLobby({
    ...options,
    onEntry(entry, told) {
      const change = entry.data as LobbyChange;
      if (change.by === servers.me) owe(told);
      else seats.heed(change, entry.at);
    },
    onLost(before, after) {
      owe(missedBetween(before, after, lobby.position));
      seats.retell();
    },
  });
  const teller = createTeller({
    ...options,
    lobby,
    servers,
    take(count) {
      const first = evictions.splice(0, count);
      return [...first, ...seats.take(count - first.length)];
    },
    sourceOf: ({ user, clientId }) => options.sourceOf(user, clientId),
  });

  const seats = createSeats({
    clock,
    lobby: () => lobby,
    me: () => servers.me,
    tell() {
      start();
      return teller.tell();
    },
  });

  function owe(told: readonly Told[]): void {
    if (terms.broadcastChanges) teller.owe(told);
  }

  function start(): void {
    if (stopSweep || closing) return;
    stopSweep = clock.schedule(clock.now() + SWEEP_MS, sweep);
  }

  function sweep(): void {
    stopSweep = null;
    start();
    seats.sweep(clock.now() - terms.offlineTimeoutMs);
    void look();
  }

  function look(): Promise<void> {
    evicting ??= evict()
      .catch((error: unknown) => report('looking for servers that are gone', error))
      .finally(() => {
        evicting = null;
      });
    return evicting;
  }

  /** Takes out the clients of servers that are gone; what those may not have told the channels is told. */
  async function evict(): Promise<void> {
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

  function shown(member: FoldedMember, channels: readonly string[]): ChannelMember {
    const { clientId, said } = member;
    const connected = [...member.places.values()].some(({ polling }) => !polling);
    const polledAt = connected ? null : seats.polledAt(member);
    return {
      client_id: clientId,
      status: said.status ?? ONLINE,
      last_seen: (polledAt ?? clock.now()) / 1000,
      metadata: said.metadata ?? {},
      channels: [...channels],
    };
  }

  return {
    enter(client) {
      start();
      return seats.enter(client);
    },

    async list(channel, { mayRead }) {
      start();
      await lobby.open();
      if (!hasLooked) await look(); // servers may have died while nobody looked
      hasLooked = true;
      await teller.settled();
      await lobby.present();
      const members: ChannelMember[] = [];
      let [total, bytes] = [0, 0];
      for (const member of lobby.fold.on(channel)) {
        const channels = [...member.channels.keys()].filter(mayRead);
        if (channel === null && channels.length === 0 && member.channels.size > 0) continue;
        total++;
        const one = shown(member, channels.slice(0, NAMED_CHANNELS));
        const size = bytesOf(one);
        if (bytes + size > NAMED_BYTES) continue;
        bytes += size;
        members.push(one);
      }
      return { members, total };
    },

    async watch(channel, { peer, dialect, withoutSource, after, onMoved, onLive, onReset }) {
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
        ...(onLive && { onLive }),
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
        await evicting;
        seats.clear();
        await teller.settled(); // what is not stored then, the others find when this server is gone
        await servers.close();
        teller.close();
        lobby.close();
      })();
      return closing;
    },
  };
}
