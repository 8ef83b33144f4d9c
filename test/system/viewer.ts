import { type ClientEvent, GatewayClient, type GatewayClientOptions } from '@continuo/client';

/** A person at door 1 with the shipped client; everything its handler got, in order. */
export interface Viewer {
  readonly client: GatewayClient;
  readonly events: readonly ClientEvent[];
  /** How often `onGap` was called. */
  readonly gaps: number;
}

export function watch(options: GatewayClientOptions): Viewer {
  let gaps = 0;
  const events: ClientEvent[] = [];
  const client = new GatewayClient({ ...options, onGap: () => gaps++ });
  const reading = (async () => {
    for await (const event of client.events()) events.push(event);
  })();
  reading.catch((error: unknown) =>
    events.push({ type: 'snapshot', data: null, reason: 'session' }, error as never),
  );
  return {
    client,
    events,
    get gaps() {
      return gaps;
    },
  };
}

/** Every event once and in order, from the first. Returns their ids. */
export function checkEvents(events: readonly ClientEvent[]): readonly string[] {
  return events.map((event, index) => {
    if (event.type === 'snapshot') throw new Error(`G-6: a reset (${event.reason}) at place ${index}`);
    if (event.sequence !== index + 1)
      throw new Error(`G-6: sequence ${event.sequence} at place ${index + 1}`);
    return event.event_id;
  });
}

/** The final answers, by the message they answer. */
export function finalsOf(
  events: readonly ClientEvent[],
): readonly { messageId: string; outcome: string; at: number }[] {
  return events.flatMap((event) => {
    if (event.type !== 'response') return [];
    const { message_id: messageId, outcome } = event.data as {
      message_id?: string;
      outcome?: { status: string };
    };
    return [{ messageId: messageId ?? '', outcome: outcome?.status ?? '', at: event.timestamp * 1000 }];
  });
}
