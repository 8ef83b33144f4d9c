import { type Entry, toGateway, toRun, writeSse } from '@continuo/protocol';
import type { Dialect } from '../core/dialect.ts';
import { WATERMARK_BYTES } from '../core/feed.ts';
import { parseLog } from '../core/names.ts';
import type { Peer, Wire } from '../ports.ts';

/** How entries look on each door. One object per wire, so that what is encoded for one reader serves them all. */

function perWire<T>(make: (wire: Wire) => T): (wire: Wire) => T {
  const made = new Map<string, T>();
  return (wire) => {
    let dialect = made.get(wire.name);
    if (!dialect) {
      dialect = make(wire);
      made.set(wire.name, dialect);
    }
    return dialect;
  };
}

/** Door 1: `replay` for what was there at the handshake, `event` for what came after. */
export const gatewayDialects: (wire: Wire) => { readonly replay: Dialect; readonly event: Dialect } = perWire(
  (wire) => ({
    replay: {
      key: `gateway.replay ${wire.name}`,
      wire,
      text: (entry) => JSON.stringify({ type: 'replay', event: gatewayEvent(entry), seq: entry.offset }),
    },
    event: {
      key: `gateway.event ${wire.name}`,
      wire,
      text: (entry) => JSON.stringify({ type: 'event', event: gatewayEvent(entry) }),
    },
  }),
);

function gatewayEvent(entry: Entry): ReturnType<typeof toGateway> {
  const name = parseLog(entry.log);
  return toGateway(entry, name.kind === 'session' ? name.id : '');
}

/** Door 2: a message as it comes first, and as it comes when it may have been seen. */
export const channelDialects: (wire: Wire) => { readonly first: Dialect; readonly again: Dialect } = perWire(
  (wire) => ({
    first: {
      key: `channel.first ${wire.name}`,
      wire,
      text: (entry) => JSON.stringify({ ...channelMessage(entry), attempt: 1 }),
    },
    again: {
      key: `channel.again ${wire.name}`,
      wire,
      text: (entry) => JSON.stringify({ ...channelMessage(entry), attempt: 2, _redelivered: true }),
    },
  }),
);

/** Sends a message once more. False: the peer has more unread than it should. */
export function redeliver(peer: Peer, entry: Entry, attempt: number): boolean {
  if (peer.bufferedBytes >= WATERMARK_BYTES) return false;
  const text = JSON.stringify({ ...channelMessage(entry), attempt, _redelivered: true });
  peer.send(peer.wire.frame(text));
  return true;
}

function channelMessage(entry: Entry): Record<string, unknown> {
  const name = parseLog(entry.log);
  return {
    type: 'channel_message',
    channel: name.kind === 'channel' ? name.name : '',
    data: entry.data,
    event_id: entry.id,
    timestamp: entry.at / 1000,
    source: entry.source === undefined ? null : clientOf(entry.source),
    target: null,
    sequence: entry.offset,
  };
}

/** Two users may have chosen one client id: the source of a message names both, the wire shows the client's. */
export function sourceOf(owner: string, clientId: string): string {
  return `${encodeURIComponent(owner)}/${clientId}`;
}

function clientOf(source: string): string {
  return source.slice(source.indexOf('/') + 1);
}

/** Door 4: the viewers of one run share what is encoded. */
export function runDialect(wire: Wire, sessionId: string): Dialect {
  return {
    key: `run ${wire.name} ${sessionId}`,
    wire,
    text(entry) {
      const event = toRun(entry, sessionId);
      return writeSse({ event: event.event, id: String(event.event_index), data: JSON.stringify(event) });
    },
  };
}
