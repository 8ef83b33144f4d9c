import type { GatewayEvent, GatewayEventType, SnapshotFrame } from '@continuo/protocol';
import type { ResetReason } from './stream.ts';

/**
 * In place of events that are gone: the whole session as it stands. `null` where there is none: the session is a new one
 * (`session`), or events go on behind a hole that the server could not fill (`gap`).
 */
export interface ResetEvent {
  readonly type: 'snapshot';
  readonly data: SnapshotFrame['state'] | null;
  readonly reason: ResetReason;
}

export type ClientEvent = GatewayEvent | ResetEvent;

/** The event that a listener of a type gets; `event` stands for all types. */
export type EventOf<T> = T extends 'snapshot'
  ? ResetEvent
  : T extends GatewayEventType
    ? GatewayEvent
    : ClientEvent;
