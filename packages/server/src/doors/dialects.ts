import {
  collapseRun,
  type Entry,
  encodeVectorCursor,
  type RunEventJson,
  toGateway,
  toRun,
  writeSse,
} from '@continuo/protocol';
import type { Dialect } from '../core/dialect.ts';
import { WATERMARK_BYTES } from '../core/feed.ts';
import { storedMessage } from '../core/message.ts';
import { parseLog } from '../core/names.ts';
import type { Peer, Wire } from '../ports.ts';

export { sourceOf } from '../core/message.ts';

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

/** How a message comes first, and how when it may have been seen. */
export interface ChannelDialects {
  readonly first: Dialect;
  readonly again: Dialect;
}

export const channelDialects: (wire: Wire) => ChannelDialects = perWire((wire) => ({
  first: { key: `channel.first ${wire.name}`, wire, text: (entry) => channelText(entry, 1) },
  again: { key: `channel.again ${wire.name}`, wire, text: (entry) => channelText(entry, 2) },
}));

/** The same as server-sent events, each with the position of its log as id: for who reads that log alone. */
export const positionedDialects: (wire: Wire) => ChannelDialects = perWire((wire) => {
  const dialect = (name: string, attempt: number): Dialect => ({
    key: `channel.${name}.positioned ${wire.name}`,
    wire,
    text(entry) {
      const id = encodeVectorCursor(new Map([[entry.log, entry]]));
      return writeSse({ id, data: channelText(entry, attempt) });
    },
  });
  return { first: dialect('first', 1), again: dialect('again', 2) };
});

/** Frames of door 2 as server-sent events without a name, which is what `onmessage` of an EventSource gets. */
export const eventWire: (wire: Wire) => Wire = perWire((wire) => ({
  name: `${wire.name} event`,
  frame: (text) => wire.frame(writeSse({ data: text })),
  join: wire.join,
}));

/** The frame of a message, as JSON. Above the first attempt it may have been seen. */
function channelText(entry: Entry, attempt: number): string {
  const message = { ...channelMessage(entry), attempt };
  return JSON.stringify(attempt > 1 ? { ...message, _redelivered: true } : message);
}

/** Sends a message once more. False: the peer has more unread than it should. */
export function redeliver(peer: Peer, entry: Entry, attempt: number): boolean {
  if (peer.bufferedBytes >= WATERMARK_BYTES) return false;
  peer.send(peer.wire.frame(channelText(entry, attempt)));
  return true;
}

function channelMessage(entry: Entry): Record<string, unknown> {
  return { type: 'channel_message', ...storedMessage(entry, channelOf(entry)) };
}

/** Door 2: what becomes of a channel's clients, a frame each, or a frame for all changes of one tick. */
export const presenceDialects: (wire: Wire) => { readonly single: Dialect; readonly batch: Dialect } =
  perWire((wire) => ({
    single: {
      key: `presence.single ${wire.name}`,
      wire,
      text(entry) {
        const { type, data } = presenceChange(entry);
        return JSON.stringify({ type, channel: channelOf(entry), data });
      },
    },
    batch: {
      key: `presence.batch ${wire.name}`,
      wire,
      text: (entry) => presenceBatch([entry]),
      batch: presenceBatch,
    },
  }));

function presenceBatch(entries: readonly Entry[]): string {
  const [first] = entries;
  const channel = first ? channelOf(first) : '';
  return JSON.stringify({ type: 'presence_batch', channel, changes: entries.map(presenceChange) });
}

function presenceChange(entry: Entry): { readonly type: string; readonly data: unknown } {
  return { type: `presence_${entry.type}`, data: entry.data };
}

function channelOf(entry: Entry): string {
  const name = parseLog(entry.log);
  return name.kind === 'channel' || name.kind === 'presence' ? name.name : '';
}

/** Door 4: the viewers of one run share what is encoded. */
export function runDialect(wire: Wire, sessionId: string): Dialect {
  return {
    key: `run ${wire.name} ${sessionId}`,
    wire,
    text: (entry) => runText(toRun(entry, sessionId)),
  };
}

/** The same, with content deltas that go out together as one event. */
export function collapsedRunDialect(wire: Wire, sessionId: string): Dialect {
  return {
    key: `run.collapsed ${wire.name} ${sessionId}`,
    wire,
    text: (entry) => runText(toRun(entry, sessionId)),
    batch: (entries) => collapseRun(entries, sessionId).map(runText).join(''),
  };
}

function runText(event: RunEventJson): string {
  return writeSse({ event: event.event, id: String(event.event_index), data: JSON.stringify(event) });
}
