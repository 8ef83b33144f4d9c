import type { Presence } from '@continuo/protocol';
import type { Clock, Random, Records, Report } from '../ports.ts';
import type { Principal, Scope } from './access.ts';
import { keyOf } from './names.ts';

/** Clients one answer names; the rest is only counted. */
const NAMED = 100;
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

/** The record `presence/<server>`: who is there, by agent. */
type Told = Readonly<Record<string, readonly Client[]>>;

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

/** Who is there. A hint, as old as a second where others are concerned: nothing is decided by it. */
export function createPresences(options: {
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
}): Presences {
  const { records, clock, random, report } = options;
  const me = keyOf.presence(random.id());
  const here = new Map<string, Map<string, Client & { count: number }>>();
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
    for (const [agentId, clients] of here) {
      const some = [...clients.values()].slice(0, room);
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

  return {
    enter(agentId, user, clientId) {
      const clients = here.get(agentId) ?? new Map<string, Client & { count: number }>();
      here.set(agentId, clients);
      const key = `${user} ${clientId}`;
      const known = clients.get(key);
      const client = known ?? { user, clientId, since: clock.now(), count: 0 };
      if (!known) {
        clients.set(key, client);
        size++;
        changed = true;
      }
      client.count++;
      let isThere = true;
      return () => {
        if (!isThere) return;
        isThere = false;
        if (--client.count > 0) return;
        clients.delete(key);
        if (clients.size === 0) here.delete(agentId);
        size--;
        changed = true;
      };
    },

    async list(agentId, { user, scopes }) {
      const seesAll = scopes.has('admin' satisfies Scope);
      const named: Presence[] = [];
      const keys = new Set<string>();
      let total = 0;
      const add = ({ user: whose, clientId }: Client): void => {
        const key = `${whose} ${clientId}`;
        if ((!seesAll && whose !== user) || keys.has(key)) return;
        keys.add(key);
        total++;
        if (named.length === NAMED) return;
        const seconds = clock.now() / 1_000;
        named.push({ client_id: clientId, status: 'online', last_seen: seconds, metadata: {}, channels: [] });
      };
      const elsewhere = await toldByOthers();
      for (const client of here.get(agentId)?.values() ?? []) add(client);
      for (const told of elsewhere) for (const client of told[agentId] ?? []) add(client);
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
