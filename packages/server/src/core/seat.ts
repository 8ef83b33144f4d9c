import type { Metadata } from '@continuo/protocol';
import {
  type ClientId,
  isSameJson,
  type LobbyChange,
  type MembersFold,
  type Place,
  placeKeyOf,
  type Said,
} from './members-fold.ts';

/** Names of channels in one entry; what is more goes with the next one. */
const NAMES = 1_000;

/** One client at this server, through one kind of connection: what the lobby should say of it. */
export interface Seat extends ClientId {
  readonly polling: boolean;
  readonly connections: Set<Sitting>;
  /** What it said and the lobby does not know yet. */
  said: { status?: string; metadata?: Metadata };
  /** Channels that a poller left, on whatever server it had joined them. */
  readonly left: Set<string>;
  /** A poller has said that it goes, on all servers. */
  deregistered: boolean;
}

/** One connection of a seat; a poller has one that outlives its requests. */
export interface Sitting {
  /** When each was joined, unix ms. */
  readonly channels: Map<string, number>;
  /** Whether it ever beat: then it is expected to go on. */
  beats: boolean;
  /** It was expected and did not come. */
  silent: boolean;
  /** Its newest frame or request, unix ms. */
  seenAt: number;
  /** Requests under way. */
  holds: number;
  readonly habit: Habit;
}

/** How a connection beats, as far as it shows. */
export interface Habit {
  /** It beat without a status: whatever it says is meant. */
  plain: boolean;
  /** It repeated the present status. */
  repeats: boolean;
  /** The status it beats by itself, as far as known. */
  automatic: string | null;
}

export function createSeat({ user, clientId }: ClientId, polling: boolean): Seat {
  return { user, clientId, polling, connections: new Set(), said: {}, left: new Set(), deregistered: false };
}

export function createSitting(now: number): Sitting {
  const habit = { plain: false, repeats: false, automatic: null };
  return { channels: new Map(), beats: false, silent: false, seenAt: now, holds: 0, habit };
}

/**
 * Whether a beat's status is meant. A client that sends one with every beat repeats its own by itself: that does not
 * undo the one which was set since.
 */
export function heeds(habit: Habit, status: string, said: Said): boolean {
  if (habit.plain) return true;
  if (status === said.status) {
    habit.repeats = true;
    return true;
  }
  if (status === habit.automatic) return false;
  if (status === said.before && !habit.repeats) {
    habit.automatic = status;
    return false;
  }
  habit.repeats = false;
  return true;
}

/** The channels on which it is; `null`: it is not there. */
function wantedOf({ connections }: Seat): ReadonlySet<string> | null {
  let isThere = false;
  const wanted = new Set<string>();
  for (const { silent, beats, channels } of connections) {
    if (silent) continue;
    isThere ||= beats || channels.size > 0;
    for (const channel of channels.keys()) wanted.add(channel);
  }
  return isThere ? wanted : null;
}

/** What the lobby has to be told; `null`: nothing. `whole` is false when more remains to be told. */
export function changeOf(
  seat: Seat,
  server: string,
  fold: MembersFold,
): { readonly change: Omit<LobbyChange, 'by' | 'batch'>; readonly whole: boolean } | null {
  const { user, clientId, polling } = seat;
  const at: Place = { server, polling };
  const base = { user, clientId, ...at };
  const member = fold.get(seat);
  const place = member?.places.get(placeKeyOf(at));
  const wanted = wantedOf(seat);
  if (!wanted) {
    const places = [...(member?.places.values() ?? [])];
    const elsewhere = seat.deregistered && places.some((each) => each.polling);
    const leave = [...seat.left].filter((channel) => isOn(seat, channel, fold)).slice(0, NAMES);
    if (!place && !elsewhere && leave.length === 0) return null;
    const gone = seat.deregistered ? 'everywhere' : 'here';
    return { change: { ...base, join: [], leave, gone }, whole: true };
  }
  const join = [...wanted].filter((channel) => !place?.channels.has(channel));
  const leave = new Set([...(place?.channels ?? [])].filter((channel) => !wanted.has(channel)));
  for (const channel of seat.left) if (!wanted.has(channel) && isOn(seat, channel, fold)) leave.add(channel);
  const { status, metadata } = seat.said;
  const said = fold.said(seat);
  const change = {
    ...base,
    join: join.slice(0, NAMES),
    leave: [...leave].slice(0, NAMES),
    ...(status !== undefined && status !== said.status && { status }),
    ...(metadata !== undefined && !isSameJson(metadata, said.metadata) && { metadata }),
  };
  const isSame = join.length + leave.size === 0 && !('status' in change) && !('metadata' in change);
  if (place && isSame) return null;
  return { change, whole: join.length <= NAMES && leave.size <= NAMES };
}

function isOn(client: ClientId, channel: string, fold: MembersFold): boolean {
  for (const { polling, channels } of fold.get(client)?.places.values() ?? [])
    if (polling && channels.has(channel)) return true;
  return false;
}
