import { RunClient, type RunClientEvent, type RunResult } from '@continuo/client';

/** What runs in the page: a run client, and what the test asks of it. */

export interface SeenEvents {
  readonly events: readonly RunClientEvent[];
  readonly retries: number;
  /** `null` until the run has ended. */
  readonly result: RunResult | null;
  readonly transport: string;
  readonly problem: string | null;
}

export interface RunPage {
  /** Starts a run at the gateway that the page is of, and reads it. Resolves with its id. */
  start(team: string, message: string): Promise<string>;
  /** Rejects as the client does. */
  startAt(url: string): Promise<string>;
  seen(): SeenEvents;
}

declare global {
  var runPage: RunPage;
}

let seen: SeenEvents = { events: [], retries: 0, result: null, transport: '', problem: null };

globalThis.runPage = {
  async start(team, message) {
    const client = new RunClient({
      url: location.origin,
      backoff: { initialMs: 50, maxMs: 200 },
      onRetry() {
        seen = { ...seen, retries: seen.retries + 1 };
      },
    });
    const handle = await client.start({ team, message });
    const read = async (): Promise<void> => {
      for await (const event of handle)
        seen = { ...seen, events: [...seen.events, event], transport: handle.transport };
      seen = { ...seen, result: await handle.result() };
    };
    read().catch((error: unknown) => {
      seen = { ...seen, problem: String(error) };
    });
    return handle.runId;
  },
  async startAt(url) {
    const handle = await new RunClient({ url, maxReconnectAttempts: 0 }).start({
      agent: 'echo',
      message: 'hi',
    });
    return handle.runId;
  },
  seen: () => seen,
};
