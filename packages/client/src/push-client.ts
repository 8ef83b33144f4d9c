import type {
  ChannelCreatedFrame,
  ChannelDeadLettersFrame,
  ChannelHistoryFrame,
  ChannelListFrame,
  ChannelMember,
  ChannelRedriveFrame,
  Metadata,
  PublishedFrame,
} from '@continuo/protocol';
import type { ConnectionStatus } from './connection/connection.ts';
import { ConnectionError, TimeoutError } from './errors.ts';
import { createPushCore, type PushCore } from './push/core.ts';
import type { PushEvents } from './push/events.ts';
import type { MessageHandler, PushMessage } from './push/message.ts';
import type { PushClientOptions } from './push/options.ts';
import type { SubscribeOptions } from './push/subscriptions.ts';

/** What the other requests of the protocol are answered. */
export interface PushAnswers {
  'channel.create': ChannelCreatedFrame;
  'channel.list': ChannelListFrame;
  'channel.history': ChannelHistoryFrame;
  'channel.dead_letters': ChannelDeadLettersFrame;
  'channel.redrive': ChannelRedriveFrame;
}

export interface Published {
  readonly eventId: string;
  readonly sequence: number;
  /** Live subscribers on the server that took it; 0 where the transport does not tell. */
  readonly delivered: number;
}

/**
 * Subscribes to channels and publishes on them. What was subscribed to comes at least once over any number of broken
 * connections, in order but for what is delivered again, and each message is shown once; what was published is stored
 * once, however often it had to be sent.
 */
export class PushClient {
  readonly #core: PushCore;
  /** Channels that only `waitFor` subscribed to. */
  readonly #borrowed = new Set<string>();

  constructor(options: PushClientOptions) {
    this.#core = createPushCore(options);
  }

  get state(): ConnectionStatus {
    return this.#core.connection.status;
  }

  get isConnected(): boolean {
    return this.state === 'connected';
  }

  get clientId(): string {
    return this.#core.clientId;
  }

  /** `websocket`, `polling`, or `custom` for one that was given; `null` while there is none. */
  get transportName(): string | null {
    return this.isConnected ? this.#core.transport : null;
  }

  /**
   * Resolves when the gateway has greeted. With reconnect on, one that is not there yet is waited for; rejects when the
   * gateway refuses for good, when attempts run out, when the signal is aborted, and on `disconnect()`.
   */
  connect({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#core.lobby.enter(signal);
  }

  /** Ends the connection; channels and handlers stay for the next `connect()`. */
  disconnect(): void {
    this.#core.disconnect();
  }

  /** Resolves when the connection is over because of `disconnect()`; rejects with the reason when for another one. */
  async waitClosed(): Promise<void> {
    const { end } = this.#core.lobby;
    if (!end)
      await this.#core.events.read('end').next(); // nothing but the end ends it
    else if (!(end instanceof ConnectionError)) throw end;
  }

  /** Looks now whether the connection lives, or dials now: for what only the application knows, as a return to it. */
  nudge(): void {
    this.#core.connection.nudge();
  }

  /**
   * Calls `handler` for every event of a type, over all connections; returns its remover. Without a handler: an iterator,
   * which ends on `disconnect()` and throws when the connection is over for another reason.
   */
  on<T extends keyof PushEvents>(type: T, handler: (event: PushEvents[T]) => unknown): () => void;
  on<T extends keyof PushEvents>(type: T): AsyncIterableIterator<PushEvents[T]>;
  on(type: string, handler?: (event: never) => unknown): unknown {
    const isMessage = type === 'channel_message';
    if (!handler) return isMessage ? this.#core.inbox.read() : this.#core.events.read(type);
    return isMessage
      ? this.#core.inbox.listen(null, handler as MessageHandler)
      : this.#core.events.on(type, handler);
  }

  /**
   * Resolves when the gateway has the subscription; it is renewed with every connection. Messages go to `handler` and to
   * those of `on('channel_message')`. Rejects when the gateway refuses.
   */
  async subscribe(channel: string, handler?: MessageHandler, options?: SubscribeOptions): Promise<void> {
    const { end } = this.#core.lobby;
    if (end) throw end;
    const stop = handler && this.#core.inbox.listen(channel, handler);
    this.#borrowed.delete(channel);
    try {
      await this.#core.subscriptions.open(channel, options);
    } catch (error) {
      stop?.();
      throw error;
    }
  }

  /** Its handlers are forgotten, and what is not acked waits at the gateway. */
  async unsubscribe(channel: string): Promise<void> {
    this.#borrowed.delete(channel);
    this.#core.inbox.forget(channel);
    await this.#core.subscriptions.close(channel);
  }

  /**
   * Resolves when the message is stored: once, whatever breaks. Waits for a connection. The same `eventId` again within a
   * channel is the same message.
   */
  async publish(
    channel: string,
    data: unknown,
    { eventId = this.#core.platform.id() }: { readonly eventId?: string } = {},
  ): Promise<Published> {
    const frame = { type: 'channel.publish', channel, data, event_id: eventId };
    const answer = (await this.#core.request(frame)) as unknown as PublishedFrame;
    return { eventId, sequence: answer.sequence, delivered: answer.delivered ?? 0 };
  }

  /**
   * The next message of a channel, which counts as handled; subscribes for it, if need be. Rejects with `TimeoutError`, or
   * when the gateway refuses.
   */
  async waitFor(channel: string, { timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<PushMessage> {
    const { end } = this.#core.lobby;
    if (end) throw end;
    const { promise, resolve, reject } = Promise.withResolvers<PushMessage>();
    const stop = this.#core.inbox.listen(channel, (message) => {
      stop();
      resolve(message);
    });
    const late = new TimeoutError(`Nothing came on "${channel}" within ${timeoutMs} ms.`);
    const stopTimer = timeoutMs && this.#core.platform.timer(timeoutMs, () => reject(late));
    if (!this.#core.subscriptions.has(channel)) this.#borrowed.add(channel);
    this.#core.subscriptions.open(channel).catch(reject);
    try {
      return await promise;
    } finally {
      stop();
      if (stopTimer) stopTimer();
      if (this.#borrowed.has(channel) && !this.#core.inbox.hears(channel))
        this.unsubscribe(channel).catch((error: unknown) => this.#core.report(error));
    }
  }

  /** Resolves when the gateway has it. It stays, over all connections, until it is set anew. */
  async setStatus(status: string, metadata?: Metadata): Promise<void> {
    this.#core.presence = { status, metadata };
    await this.#core.request({ type: 'presence.heartbeat', status, metadata });
  }

  /** Who is there, on a channel or on any. Also tells it as `presence.list` and `presence_list`. */
  async getPresence(channel?: string): Promise<readonly ChannelMember[]> {
    const answer = await this.#core.request({ type: 'presence.query', channel: channel ?? null });
    for (const name of ['presence.list', 'presence_list']) this.#core.events.emit(name, answer);
    return answer.presence as readonly ChannelMember[];
  }

  /** Sends another request of the protocol, and again until it is answered. Rejects with the gateway's error. */
  async request<T extends keyof PushAnswers>(
    frame: { readonly type: T } & Readonly<Record<string, unknown>>,
  ): Promise<PushAnswers[T]> {
    return (await this.#core.request(frame)) as unknown as PushAnswers[T];
  }
}
