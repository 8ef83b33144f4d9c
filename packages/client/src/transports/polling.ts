import { createHttpTransport, type HttpTransport, type HttpTransportOptions } from './http.ts';
import type { PushFrame, PushTransport } from './transport.ts';

/** How long a poll waits at the gateway, in seconds, and how much longer for its answer, in ms. */
const POLL_S = 25;
const ANSWER_MS = 10_000;

interface Batch {
  readonly messages: readonly PushFrame[];
  readonly cursor: string;
  /** In seconds. */
  readonly poll_interval_hint?: number;
}

/** Frames over HTTP, which long polls bring: for networks that let no WebSocket through. */
export class PollingTransport implements PushTransport {
  readonly #http: HttpTransport;

  constructor(options: HttpTransportOptions) {
    this.#http = createHttpTransport(options, async (listening) => {
      const { pollToken: poll_token, cursor } = listening;
      const body = { poll_token, timeout: POLL_S, ...(cursor && { cursor }) };
      const batch = await listening.ask({
        path: 'poll/messages',
        body,
        ms: POLL_S * 1_000 + ANSWER_MS,
        read: (response): Promise<Batch> => response.json(),
      });
      for (const message of batch.messages) listening.push(message);
      listening.cursor = batch.cursor;
      if (batch.poll_interval_hint) await listening.pause(batch.poll_interval_hint * 1_000);
    });
  }

  get isConnected(): boolean {
    return this.#http.isConnected;
  }

  connect(): Promise<void> {
    return this.#http.connect();
  }

  disconnect(): Promise<void> {
    return this.#http.disconnect();
  }

  /** Polls no more; what is sent still goes out. */
  rest(): void {
    this.#http.rest();
  }

  /** The first frame is `auth`. Rejects when it is not connected; what a request is answered is received. */
  send(frame: PushFrame): Promise<void> {
    return this.#http.send(frame);
  }

  receive(): Promise<PushFrame> {
    return this.#http.receive();
  }
}
