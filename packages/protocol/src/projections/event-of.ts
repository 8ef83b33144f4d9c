import type { Entry } from '../entry.ts';
import type { AgentEvent, MessageEvent } from '../events.ts';

/**
 * The event a session's or a run's log holds in this entry. Nothing but the doors and the engine write to these logs,
 * and both write {@link AgentEvent}s, so what is read back is trusted.
 */
export function eventOf(entry: Entry): AgentEvent {
  return { ...(entry.data as object), type: entry.type } as AgentEvent;
}

/** The inverse: an event as the type and data of an entry. */
export function draftOf(event: AgentEvent): { type: string; data: unknown } {
  const { type, ...data } = event;
  return { type, data };
}

export function isMessage(event: AgentEvent): event is MessageEvent {
  return event.type === 'message';
}
