/** The names of logs and the keys of records: who owns a thing is part of its name, so another owner's id finds nothing. */

const safe = encodeURIComponent;

/** What every key of {@link keyOf}'s `later` begins with. */
export const LATER = 'later/';

export const logOf = {
  session: (owner: string, id: string): string => `session:${safe(owner)}:${safe(id)}`,
  run: (owner: string, id: string): string => `run:${safe(owner)}:${safe(id)}`,
  channel: (name: string): string => `channel:${name}`,
  /** What consumers of a channel could not handle. */
  dead: (channel: string): string => `dead:${channel}`,
  /** What servers tell each other about consumers. */
  notices: (): string => 'notices:',
  /** Every change of every client on channels: see members.ts. */
  lobby: (): string => 'presence',
  /** What a channel's subscribers are told of each other. */
  presence: (channel: string): string => `presence:${channel}`,
};

export const keyOf = {
  session: (owner: string, id: string): string => `session/${safe(owner)}/${safe(id)}`,
  run: (owner: string, id: string): string => `run/${safe(owner)}/${safe(id)}`,
  /** In the order of the names. */
  channel: (name: string): string => `channel/${name}`,
  consumer: (owner: string, clientId: string, channel: string): string =>
    `consumer/${safe(owner)}/${safe(clientId)}/${safe(channel)}`,
  poll: (owner: string, clientId: string): string => `poll/${safe(owner)}/${safe(clientId)}`,
  /** Who may write to a log's end: see lease.ts. */
  lease: (log: string): string => `lease/${log}`,
  /** That there is something to do in a log: see worker.ts. */
  work: (log: string): string => `work/${log}`,
  /** The wish that a run ends. */
  cancel: (log: string, run: string): string => `cancel/${log}/${safe(run)}`,
  /** What a run was asked, where it is long. */
  input: (owner: string, id: string): string => `input/${safe(owner)}/${safe(id)}`,
  /** Messages to a running agent. */
  steer: (log: string, run: string): string => `steer/${log}/${safe(run)}`,
  /** That a log is to be looked at when its time has come: in the order of the times. */
  later: (at: number, log: string): string => `${LATER}${String(at).padStart(15, '0')}/${log}`,
  /** Which run an idempotency key has started. */
  start: (owner: string, component: string, key: string): string =>
    `start/${safe(owner)}/${safe(component)}/${safe(key)}`,
  memory: (owner: string, id: string): string => `memory/${safe(owner)}/${safe(id)}`,
  approval: (owner: string, id: string): string => `approval/${safe(owner)}/${safe(id)}`,
  once: (log: string, run: string, key: string): string => `once/${log}/${safe(run)}/${safe(key)}`,
  /** A session's conversation up to what was trimmed. */
  checkpoint: (log: string): string => `checkpoint/${log}`,
  /** Who is connected to a server. */
  presence: (server: string): string => `presence/${safe(server)}`,
  /** That a server lives: see servers.ts. */
  server: (id: string): string => `server/${safe(id)}`,
  secret: (name: string): string => `secret/${safe(name)}`,
};

export type LogName =
  | { readonly kind: 'session' | 'run'; readonly owner: string; readonly id: string }
  | { readonly kind: 'channel' | 'dead' | 'notices' | 'presence'; readonly name: string }
  | { readonly kind: 'lobby' };

/** The inverse of {@link logOf}. Throws for a name it never made. */
export function parseLog(log: string): LogName {
  if (log === logOf.lobby()) return { kind: 'lobby' };
  const colon = log.indexOf(':');
  const kind = log.slice(0, colon);
  const rest = log.slice(colon + 1);
  if (kind === 'channel' || kind === 'dead' || kind === 'notices' || (kind === 'presence' && rest !== ''))
    return { kind, name: rest };
  const [owner, id, ...more] = rest.split(':');
  if ((kind !== 'session' && kind !== 'run') || !owner || !id || more.length > 0)
    throw new Error(`no log is named ${log}`);
  return { kind, owner: decodeURIComponent(owner), id: decodeURIComponent(id) };
}

/** Whose consumer a key of {@link keyOf} names. Throws for a key it never made. */
export function parseConsumer(key: string): {
  readonly owner: string;
  readonly clientId: string;
  readonly channel: string;
} {
  const [kind, owner, clientId, channel, ...more] = key.split('/');
  if (kind !== 'consumer' || !owner || !clientId || !channel || more.length > 0)
    throw new Error(`no consumer's key is ${key}`);
  return {
    owner: decodeURIComponent(owner),
    clientId: decodeURIComponent(clientId),
    channel: decodeURIComponent(channel),
  };
}
