import { type Metadata, WireError } from '@continuo/protocol';
import type { Clock } from '../ports.ts';
import type { Lobby } from './lobby.ts';
import { type ClientId, clientKeyOf, type LobbyChange } from './members-fold.ts';
import { changeOf, createSeat, createSitting, heeds, type Seat, type Sitting } from './seat.ts';
import type { Pending } from './teller.ts';

/** Of one client's metadata as JSON: it is in every list. */
const METADATA_BYTES = 4 * 1024;

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

/** The clients at this server, and what of them the lobby has to be told. */
export interface Seats {
  enter(client: ClientId & { readonly kind: 'connected' | 'polling' }): Presence;
  /** At most `count` changes that wait to be told. */
  take(count: number): readonly Pending[];
  /** Another server changed what was said of a client here. `at`: when, unix ms. */
  heed(change: LobbyChange, at: number): void;
  /** All of them have to be told again. */
  retell(): void;
  /** Takes out who beat or polled, and has given no sign of life since `before` (unix ms). */
  sweep(before: number): void;
  /** The last sign of life of a poller here, unix ms. */
  polledAt(client: ClientId): number | null;
  /** Everybody leaves. */
  clear(): void;
}

export interface SeatsOptions {
  readonly clock: Clock;
  readonly lobby: () => Lobby;
  /** This server. */
  me(): string;
  /** Something waits to be told: resolves when it is stored. */
  tell(): Promise<void>;
}

const encoder = new TextEncoder();

function bytesOf(value: unknown): number {
  return encoder.encode(JSON.stringify(value)).byteLength;
}

export function createSeats({ clock, lobby, me, tell }: SeatsOptions): Seats {
  const seats = new Map<string, Seat>();
  /** Seats of which the lobby may have to be told something. */
  const changed = new Set<Seat>();

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
    const telling = tell();
    telling.catch(() => {}); // it is told again later
    return telling;
  }

  function take(count: number): readonly Pending[] {
    const pending: Pending[] = [];
    for (const seat of changed) {
      if (pending.length >= count) break;
      changed.delete(seat);
      const due = changeOf(seat, me(), lobby().fold);
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
    sitting.beats = false;
    seat.connections.delete(sitting);
  }

  /** Another server changed what was said of a client here. */
  function heed(change: LobbyChange, at: number): void {
    const seat = seats.get(seatKeyOf(change, change.polling));
    if (!seat || (change.server !== me() && !change.polling)) return;
    if (change.polling) {
      for (const sitting of seat.connections) {
        const since = (channel: string): number => sitting.channels.get(channel) ?? at;
        for (const channel of change.leave) if (since(channel) <= at) sitting.channels.delete(channel);
        if (change.gone === 'everywhere' && sitting.seenAt <= at) stand(seat, sitting);
      }
    }
    void touch(seat);
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
        if (isNew) void touch(mine);
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
        await lobby().open();
        if (isOver) return;
        const mine = sit();
        const known = lobby().fold.said(client);
        const present = {
          ...known,
          ...(mine.said.status !== undefined && { ...mine.said, before: known.status }),
        };
        if (status === undefined) sitting.habit.plain = true;
        else if (heeds(sitting.habit, status, present) && status !== present.status)
          mine.said.status = status;
        if (metadata !== undefined) mine.said.metadata = metadata;
        if (changed.has(mine) || changeOf(mine, me(), lobby().fold)) await touch(mine);
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

  return {
    enter,
    take,
    heed,
    retell() {
      for (const seat of seats.values()) void touch(seat);
    },
    sweep(before) {
      for (const seat of seats.values()) {
        for (const sitting of seat.connections) {
          if (sitting.seenAt > before || sitting.holds > 0 || sitting.silent) continue;
          if (!seat.polling && !sitting.beats) continue;
          sitting.silent = true;
          if (seat.polling) seat.connections.delete(sitting);
          void touch(seat);
        }
      }
    },
    polledAt(client) {
      const [sitting] = seats.get(seatKeyOf(client, true))?.connections ?? [];
      return sitting?.seenAt ?? null;
    },
    clear() {
      for (const seat of seats.values()) {
        seat.connections.clear();
        void touch(seat);
      }
    },
  };
}
