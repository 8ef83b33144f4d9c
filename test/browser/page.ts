import { type ClientEvent, GatewayClient, type SessionPosition } from '@continuo/client';

/** What runs in the page: a client, and what the test asks of it. Everything that goes in or out is plain data. */

export interface Seen {
  readonly state: string;
  readonly states: readonly string[];
  readonly gaps: number;
  readonly position: SessionPosition | null;
  readonly events: readonly ClientEvent[];
  readonly problems: readonly string[];
}

export interface Tab {
  /** Resolves when the session is joined: a new one, or the one at the position. */
  open(url: string, agentId: string, position?: SessionPosition): Promise<void>;
  /** Resolves with the message's id when it is accepted. */
  send(text: string): Promise<string>;
  seen(): Seen;
}

declare global {
  var tab: Tab;
}

let client: GatewayClient | null = null;
let gaps = 0;
const states: string[] = [];
const events: ClientEvent[] = [];
const problems: string[] = [];

async function read(from: AsyncIterable<ClientEvent>): Promise<void> {
  for await (const event of from) events.push(event);
}

globalThis.tab = {
  open(url, agentId, position) {
    const opened = new GatewayClient({
      url,
      agentId,
      backoff: { initialMs: 100, maxMs: 500 },
      onGap: () => gaps++,
      onStateChange: (state) => states.push(state),
      onError: (error) => problems.push(String(error)),
    });
    client = opened;
    read(opened.events()).catch((error: unknown) => problems.push(String(error)));
    return position ? opened.resume(position) : opened.connect();
  },
  send: (text) => client?.send(text) ?? Promise.reject(new Error('open() first')),
  seen: () => ({
    state: client?.state ?? 'disconnected',
    states,
    gaps,
    position: client?.position ?? null,
    events,
    problems,
  }),
};
