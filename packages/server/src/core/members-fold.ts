import type { Entry, Metadata } from '@continuo/protocol';

/**
 * Who is on which channel: the fold of the lobby log. Pure, and the same on every server that read the same entries.
 */

/** How many clients that are gone keep the status they had set, and for how long, in ms. */
const PAST = { clients: 10_000, ms: 24 * 3_600_000 };

export const ONLINE = 'online';
export const OFFLINE = 'offline';

export interface ClientId {
  readonly user: string;
  readonly clientId: string;
}

/** One client through one kind of connection of one server. */
export interface Place {
  readonly server: string;
  /** Without a connection, by polling: any server may take it out of a channel. */
  readonly polling: boolean;
}

/** The data of a lobby entry: what changed of one client at one place. */
export interface LobbyChange extends ClientId, Place {
  /** The server that stored it, and its batch: of all its lower batches it has told the channels. */
  readonly by: string;
  readonly batch: number;
  readonly join: readonly string[];
  readonly leave: readonly string[];
  readonly status?: string;
  readonly metadata?: Metadata;
  /** The client is not there any more; `everywhere`: at no place of its kind. */
  readonly gone?: 'here' | 'everywhere';
}

/** What the subscribers of a channel are told: the merged view of one client changed. */
export interface Told extends ClientId {
  /** The same on every server that derived it. */
  readonly id: string;
  readonly channel: string;
  readonly type: 'join' | 'update' | 'leave';
  readonly status: string;
  readonly metadata: Metadata;
}

/** What a client said of itself. */
export interface Said {
  readonly status?: string;
  /** The status it had set before this one. */
  readonly before?: string;
  readonly metadata?: Metadata;
}

export interface Seated extends Place {
  readonly channels: Set<string>;
  /** Offset of the entry that last changed it. */
  offset: number;
}

/** One client, over all its connections and servers. */
export interface FoldedMember extends ClientId {
  said: Said;
  readonly places: Map<string, Seated>;
  /** How many places have it on a channel. */
  readonly channels: Map<string, number>;
}

/** The state as JSON. */
export interface FoldRecord {
  readonly members: readonly (ClientId & {
    readonly said: Said;
    readonly places: readonly (Place & { readonly offset: number; readonly channels: readonly string[] })[];
  })[];
  readonly past: readonly (readonly [key: string, said: Said, at: number])[];
}

export interface MembersFold {
  /** Takes one entry of the lobby; the changes of the merged view that it made, in order. */
  apply(entry: Entry): readonly Told[];
  get(client: ClientId): FoldedMember | undefined;
  /** What a client said, also one that is gone. */
  said(client: ClientId): Said;
  /** The clients on a channel; `null`: all there are. */
  on(channel: string | null): Iterable<FoldedMember>;
  /** Every server that has a place, or has told something since it was last forgotten. */
  servers(): ReadonlySet<string>;
  placesOf(server: string): readonly { readonly client: ClientId; readonly place: Seated }[];
  /** What a server changed in its last batch: whether it told the channels is not known. */
  lastOf(server: string): readonly Told[];
  forget(server: string): void;
  toRecord(): FoldRecord;
}

export const clientKeyOf = ({ user, clientId }: ClientId): string => JSON.stringify([user, clientId]);
export const placeKeyOf = ({ server, polling }: Place): string => `${server}${polling ? '.p' : ''}`;

export function createMembersFold(record?: FoldRecord): MembersFold {
  const members = new Map<string, FoldedMember>();
  const byChannel = new Map<string, Map<string, FoldedMember>>();
  /** What clients that are gone had said, the longest gone first. */
  const past = new Map<string, { readonly said: Said; readonly at: number }>();
  const batches = new Map<string, { batch: number; readonly told: Told[] }>();

  function enter(member: FoldedMember, place: Seated, channel: string): void {
    if (place.channels.has(channel)) return;
    place.channels.add(channel);
    const count = member.channels.get(channel) ?? 0;
    member.channels.set(channel, count + 1);
    if (count > 0) return;
    const there = byChannel.get(channel) ?? new Map<string, FoldedMember>();
    byChannel.set(channel, there.set(clientKeyOf(member), member));
  }

  function leave(member: FoldedMember, place: Seated, channel: string): void {
    if (!place.channels.delete(channel)) return;
    const count = member.channels.get(channel) ?? 1;
    if (count > 1) return void member.channels.set(channel, count - 1);
    member.channels.delete(channel);
    const there = byChannel.get(channel);
    there?.delete(clientKeyOf(member));
    if (there?.size === 0) byChannel.delete(channel);
  }

  function create({ user, clientId }: ClientId, said: Said): FoldedMember {
    const member: FoldedMember = { user, clientId, said, places: new Map(), channels: new Map() };
    members.set(clientKeyOf(member), member);
    return member;
  }

  function remove(member: FoldedMember, at: number): void {
    const key = clientKeyOf(member);
    members.delete(key);
    if (member.said.status !== undefined || member.said.metadata !== undefined) {
      past.delete(key);
      past.set(key, { said: member.said, at });
    }
    for (const [oldest, { at: since }] of past) {
      if (past.size <= PAST.clients && at - since <= PAST.ms) break;
      past.delete(oldest);
    }
  }

  /** Moves the places of the member as a change says. */
  function move(member: FoldedMember, change: LobbyChange, offset: number): void {
    const { server, polling, gone } = change;
    const key = placeKeyOf(change);
    const own = member.places.get(key);
    const alike = polling ? [...member.places.values()].filter((place) => place.polling) : own ? [own] : [];
    for (const place of alike) for (const channel of change.leave) leave(member, place, channel);
    if (gone) {
      for (const place of gone === 'everywhere' ? alike : own ? [own] : []) {
        for (const channel of [...place.channels]) leave(member, place, channel);
        member.places.delete(placeKeyOf(place));
      }
      return;
    }
    const place = own ?? { server, polling, channels: new Set(), offset };
    member.places.set(key, place);
    place.offset = offset;
    for (const channel of change.join) enter(member, place, channel);
  }

  function note({ by, batch }: LobbyChange, told: readonly Told[]): void {
    const known = batches.get(by);
    if (known?.batch === batch) known.told.push(...told);
    else batches.set(by, { batch, told: [...told] });
  }

  if (record) {
    for (const { user, clientId, said, places } of record.members) {
      const member = create({ user, clientId }, said);
      for (const { server, polling, offset, channels } of places) {
        const place: Seated = { server, polling, offset, channels: new Set() };
        member.places.set(placeKeyOf(place), place);
        for (const channel of channels) enter(member, place, channel);
      }
    }
    for (const [key, said, at] of record.past) past.set(key, { said, at });
  }

  const fold: MembersFold = {
    apply(entry) {
      const change = entry.data as LobbyChange;
      const key = clientKeyOf(change);
      const known = members.get(key);
      if (!known && change.gone) return [];
      const member = known ?? create(change, past.get(key)?.said ?? {});
      past.delete(key);
      const before = { channels: new Set(member.channels.keys()), said: member.said };
      move(member, change, entry.offset);
      const { status = member.said.status, metadata = member.said.metadata } = change;
      const earlier = status === member.said.status ? member.said.before : member.said.status;
      member.said = {
        ...(status !== undefined && { status }),
        ...(earlier !== undefined && { before: earlier }),
        ...(metadata !== undefined && { metadata }),
      };
      if (member.places.size === 0) remove(member, entry.at);
      const differs = !looksAlike(before.said, member.said);
      const told: Told[] = [];
      const id = `${entry.epoch}:${entry.offset}`;
      for (const channel of before.channels) {
        if (!member.channels.has(channel)) told.push(toldOf(member, channel, id, 'leave'));
        else if (differs) told.push(toldOf(member, channel, id, 'update'));
      }
      for (const channel of member.channels.keys())
        if (!before.channels.has(channel)) told.push(toldOf(member, channel, id, 'join'));
      note(change, told);
      return told;
    },

    get: (client) => members.get(clientKeyOf(client)),
    said(client) {
      const key = clientKeyOf(client);
      return members.get(key)?.said ?? past.get(key)?.said ?? {};
    },
    on: (channel) => (channel === null ? members : byChannel.get(channel))?.values() ?? [],
    servers() {
      const servers = new Set(batches.keys());
      for (const { places } of members.values())
        for (const { server } of places.values()) servers.add(server);
      return servers;
    },
    placesOf(server) {
      const found: { client: ClientId; place: Seated }[] = [];
      for (const member of members.values()) {
        for (const place of member.places.values())
          if (place.server === server) found.push({ client: member, place });
      }
      return found;
    },
    lastOf: (server) => batches.get(server)?.told ?? [],
    forget: (server) => void batches.delete(server),
    toRecord: () => ({
      members: [...members.values()].map(({ user, clientId, said, places }) => ({
        user,
        clientId,
        said,
        places: [...places.values()].map((place) => ({ ...place, channels: [...place.channels] })),
      })),
      past: [...past].map(([key, { said, at }]) => [key, said, at] as const),
    }),
  };
  return fold;
}

/** What is told of a member on a channel now. */
export function toldOf(
  member: ClientId & { readonly said: Said },
  channel: string,
  id: string,
  type: Told['type'],
): Told {
  const { user, clientId, said } = member;
  const status = type === 'leave' ? OFFLINE : (said.status ?? ONLINE);
  return { user, clientId, id, channel, type, status, metadata: said.metadata ?? {} };
}

/** Whether others see the same of it. */
export function looksAlike(one: Said, other: Said): boolean {
  return (
    (one.status ?? ONLINE) === (other.status ?? ONLINE) &&
    isSameJson(one.metadata ?? {}, other.metadata ?? {})
  );
}

export function isSameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
