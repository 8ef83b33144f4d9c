import type { Entry, StoredMessage } from '@continuo/protocol';

/** A channel's message as clients see it, apart from how often it was delivered. */
export function storedMessage(entry: Entry, channel: string): StoredMessage {
  return {
    channel,
    data: entry.data,
    event_id: entry.id,
    timestamp: entry.at / 1_000,
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
