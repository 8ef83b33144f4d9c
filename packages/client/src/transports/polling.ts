import { dialHttp, type HttpSocket, type HttpTransportOptions } from './http.ts';
import { type PushFrame, type PushTransport, transportOf } from './transport.ts';

/** How long a poll waits at the gateway, in seconds, and how much longer for its answer, in ms. */
const POLL_S = 25;
const ANSWER_MS = 10_000;

interface Batch {
  readonly messages: readonly PushFrame[];
  readonly cursor: string;
  /** In seconds. */
  readonly poll_interval_hint?: number;
}

export function dialPolling(options: HttpTransportOptions): HttpSocket {
  return dialHttp(options, async (line) => {
    const { messages, cursor, poll_interval_hint } = await line.ask({
      path: 'poll/messages',
      body: { timeout: POLL_S, cursor: line.cursor },
      ms: POLL_S * 1_000 + ANSWER_MS,
      read: (response): Promise<Batch> => response.json(),
    });
    for (const message of messages) line.push(message);
    line.cursor = cursor;
    if (poll_interval_hint) await line.pause(poll_interval_hint * 1_000);
  });
}

/** Frames over HTTP, which long polls bring: for networks that let no WebSocket through. The first frame is `auth`. */
export const PollingTransport: new (options: HttpTransportOptions) => PushTransport =
  /* @__PURE__ */ transportOf(dialPolling);
