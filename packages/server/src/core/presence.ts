import type { Presence } from '@continuo/protocol';
import type { Clock, Random, Records, Report } from '../ports.ts';
import type { Principal } from './access.ts';
import { keyOf } from './names.ts';

/** Up to here an answer names everybody; where more are there, only some of them. */
const NAMED = 100;
const NAMED_OF_MANY = 10;
/** Clients one server tells the others of. */
const TOLD = 1_000;
/** How soon the others learn what changed here, and how old what is known of them may be, in ms. */
const TELL_MS = 1_000;
/** A server says again who is there before it counts as gone, in ms. */
const REFRESH_MS = 5_000;
const GONE_MS = 15_000;
const SERVERS = 100;

/** One client of an agent, however many sockets it has. */
interface Client {
  readonly user: string;
  readonly clientId: string;
  /** Unix ms. */
  readonly since: number;
}

interface LocalClient extends Client {
  sockets: number;
}

/** The record `presence/<server>`: who is there, by agent. */
type Told = Readonly<Record<string, readonly Client[]>>;

/** The clients that one asker may see, by key. */
interface Circle {
  readonly name: string;
  readonly clients: Map<string, LocalClient>;
}

export interface Presences {
  /** Somebody is there, until the returned function is called. */
  enter(agentId: string, user: string, clientId: string): () => void;
  /** Who is with an agent, on all servers of the store: all of them for `admin`, else the asker's own clients. */
  list(
    agentId: string,
    asker: Principal,
  ): Promise<{ readonly named: readonly Presence[]; readonly total: number }>;
  /** Clients of this server. */
  readonly size: number;
  close(): Promise<void>;
}

const keyOfClient = ({ user, clientId }: Pick<Client, 'user' | 'clientId'>): string =>
  JSON.stringify([user, clientId]);
/** Who sees all of an agent's clients sees this circle, everybody else the one of its own user. */
const allOf = (agentId: string): string => JSON.stringify([agentId]);
const ownOf = (agentId: string, user: string): string => JSON.stringify([agentId, user]);

/** Who is there. A hint, as old as a second where others are concerned: nothing is decided by it. */
export function createPresences(options: {
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
}): Presences {
  const { records, clock, random, report } = options;
  const me = keyOf.presence(random.id());
  /** By agent, and by agent and user. */
  const circles = new Map<string, Circle>();
  const agents = new Set<string>();
  let size = 0;
  let changed = false;
  let toldAt = 0;
  let others: { readonly at: number; readonly told: Promise<readonly Told[]> } | null = null;

  function tell(): Promise<unknown> {
    changed = false;
    toldAt = clock.now();
    if (size === 0) return records.remove(me);
    const told: Record<string, Client[]> = {};
    let room = TOLD;
    for (const agentId of agents) {
      const some = [...(circles.get(allOf(agentId))?.clients.values() ?? [])].slice(0, room);
      room -= some.length;
      told[agentId] = some.map(({ user, clientId, since }) => ({ user, clientId, since }));
    }
    return records.put(me, told, { expiresAt: clock.now() + GONE_MS });
  }

  function beat(): void {
    const due = changed || (size > 0 && clock.now() - toldAt >= REFRESH_MS);
    if (due) tell().catch((error: unknown) => report('telling who is here', error));
    stopBeat = clock.schedule(clock.now() + TELL_MS, beat);
  }
  let stopBeat = clock.schedule(clock.now() + TELL_MS, beat);

  async function listOthers(): Promise<readonly Told[]> {
    const stored = await records.list(keyOf.presence(''), { limit: SERVERS });
    return stored.filter(({ key }) => key !== me).map(({ value }) => value as Told);
  }

  function toldByOthers(): Promise<readonly Told[]> {
    const now = clock.now();
    if (!others || now - others.at >= TELL_MS) {
      const told = listOthers().catch((error: unknown) => {
        report('asking who is elsewhere', error);
        return [];
      });
      others = { at: now, told };
    }
    return others.told;
  }

  function circleOf(name: string): Circle {
    const circle = circles.get(name) ?? { name, clients: new Map() };
    circles.set(name, circle);
    return circle;
  }

  function remove({ name, clients }: Circle, key: string): void {
    clients.delete(key);
    if (clients.size === 0) circles.delete(name);
  }

  return {
    enter(agentId, user, clientId) {
      const key = keyOfClient({ user, clientId });
      const [all, own] = [circleOf(allOf(agentId)), circleOf(ownOf(agentId, user))];
      let client = own.clients.get(key);
      if (!client) {
        client = { user, clientId, since: clock.now(), sockets: 0 };
        all.clients.set(key, client);
        own.clients.set(key, client);
        agents.add(agentId);
        size++;
        changed = true;
      }
      client.sockets++;
      const entered = client;
      let isThere = true;
      return () => {
        if (!isThere) return;
        isThere = false;
        if (--entered.sockets > 0) return;
        remove(all, key);
        remove(own, key);
        if (all.clients.size === 0) agents.delete(agentId);
        size--;
        changed = true;
      };
    },

    async list(agentId, { user, scopes }) {
      const elsewhere = await toldByOthers();
      const seesAll = scopes.has('admin');
      const here = circles.get(seesAll ? allOf(agentId) : ownOf(agentId, user))?.clients;
      const there = new Map<string, Client>();
      for (const told of elsewhere) {
        for (const client of told[agentId] ?? []) {
          const key = keyOfClient(client);
          if ((seesAll || client.user === user) && !here?.has(key)) there.set(key, client);
        }
      }
      const total = (here?.size ?? 0) + there.size;
      const most = total > NAMED ? NAMED_OF_MANY : NAMED;
      const named: Presence[] = [];
      for (const clients of [here, there]) {
        for (const { clientId } of clients?.values() ?? []) {
          if (named.length === most) break;
          const lastSeen = clock.now() / 1_000;
          named.push({
            client_id: clientId,
            status: 'online',
            last_seen: lastSeen,
            metadata: {},
            channels: [],
          });
        }
      }
      return { named, total };
    },

    get size() {
      return size;
    },

    async close() {
      stopBeat();
      await records.remove(me);
    },
  };
}
