import type {
  ChannelCreatedFrame,
  ChannelDeadLettersFrame,
  ChannelHistoryFrame,
  ChannelListFrame,
  ChannelMessageFrame,
  ChannelRedriveFrame,
  Member,
  Metadata,
  PublishedFrame,
  PushServerFrame,
} from '@continuo/protocol';
import { checkOption } from './check-option.ts';
import { type Connection, type ConnectionStatus, createConnection } from './connection/connection.ts';
import { createLobby, type Lobby } from './connection/lobby.ts';
import { createOutbox, type Outbox } from './connection/outbox.ts';
import { type Platform, type SocketLike, systemPlatform } from './connection/platform.ts';
import { ruleOfCode } from './connection/retry.ts';
import { createTokens, type Reason } from './connection/tokens.ts';
import { ConnectionError, endOf, errorOf, TimeoutError } from './errors.ts';
import { termsOf } from './options.ts';
import { createEvents, type Events, type PushEvents } from './push/events.ts';
import { createInbox, type Inbox } from './push/inbox.ts';
import { type MessageHandler, messageOf, type PushMessage } from './push/message.ts';
import type { PushClientOptions } from './push/options.ts';
import { createSubscriptions, type SubscribeOptions, type Subscriptions } from './push/subscriptions.ts';
import { report } from './reporter.ts';
import { socketOf } from './transports/adapter.ts';
import { dialWithFallback } from './transports/fallback.ts';
import { dialPolling } from './transports/polling.ts';
import type { PushFrame } from './transports/transport.ts';
import { dialWebSocket } from './transports/websocket.ts';

/** The client says that it is there, this often, in ms. */
const HEARTBEAT_MS = 15_000;
/** Of a frame: gateways take no larger one, in bytes. */
const MAX_FRAME = 1024 * 1024;

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
  readonly #options: PushClientOptions;
  readonly #platform: Platform;
  readonly #connection: Connection;
  readonly #lobby: Lobby;
  /** Requests of the application: sent again until they are answered. */
  readonly #outbox: Outbox;
  /** Requests of the client itself: made anew for every connection. */
  readonly #control: Outbox;
  readonly #inbox: Inbox;
  readonly #events: Events;
  readonly #subscriptions: Subscriptions;
  /** Channels that only `waitFor` subscribed to. */
  readonly #borrowed = new Set<string>();
  #clientId: string;
  #transport = 'websocket';
  #presence: { readonly status: string; readonly metadata?: Metadata | undefined } | null = null;
  #stopBeat = (): void => {};

  constructor(options: PushClientOptions) {
    const {
      url,
      authToken,
      autoReconnect,
      backoff,
      maxReconnectAttempts,
      clientId,
      probeMs = 60_000,
    } = options;
    const terms = termsOf({ url, reconnect: autoReconnect, backoff, maxReconnectAttempts });
    checkOption('url', url, 'string', URL.canParse(url));
    checkOption('probeMs', probeMs, 'number', probeMs > 0);
    const platform = { ...systemPlatform, ...options.platform };
    this.#options = options;
    this.#platform = platform;
    this.#clientId = clientId ?? platform.id();
    const tokens = createTokens(authToken);
    const greeting = (): object => ({
      type: 'auth',
      token: tokens.current,
      client_id: this.#clientId,
      capabilities: ['presence_batch'],
    });
    this.#events = createEvents((callback) => this.#call(callback));
    this.#inbox = createInbox({
      settle: ({ channel, eventId }, isHandled) => {
        const type = isHandled ? 'message_ack' : 'message_nack';
        if (this.#subscriptions.isAcked(channel)) this.#send({ type, channel, event_id: eventId });
      },
      report: (error) => this.#report(error),
    });
    this.#subscriptions = createSubscriptions({
      ask: (frame) => this.#ask(frame),
      isConnected: () => this.isConnected,
      timer: platform.timer,
      report: (error) => this.#report(error),
    });
    const send = (text: string): boolean => this.#connection.send(text);
    const maxBytes = (): number => MAX_FRAME;
    this.#outbox = createOutbox({ send, maxBytes });
    this.#control = createOutbox({ send, maxBytes, limit: Number.MAX_VALUE });
    this.#connection = createConnection({
      url,
      platform: { ...platform, dial: this.#dialer(platform, greeting) },
      tokens,
      terms,
      greeting,
      ping: { type: 'ping' },
      onFrame: (frame) => this.#onFrame(frame as unknown as PushServerFrame),
      onStatus: (status) => {
        if (status === 'connected') this.#begin();
        else this.#broke();
        this.#call(() => options.onStateChange?.(status));
      },
      onEnd: (reason) => this.#onEnd(reason),
      onProblem: (error) => this.#report(error),
    });
    this.#lobby = createLobby(this.#connection, () => this.disconnect());
  }

  get state(): ConnectionStatus {
    return this.#connection.status;
  }

  get isConnected(): boolean {
    return this.state === 'connected';
  }

  get clientId(): string {
    return this.#clientId;
  }

  /** `websocket`, `polling`, or `custom` for one that was given; `null` while there is none. */
  get transportName(): string | null {
    return this.isConnected ? this.#transport : null;
  }

  /**
   * Resolves when the gateway has greeted. With reconnect on, one that is not there yet is waited for; rejects when the
   * gateway refuses for good, when attempts run out, when the signal is aborted, and on `disconnect()`.
   */
  connect({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#lobby.enter(signal);
  }

  /** Ends the connection; channels and handlers stay for the next `connect()`. */
  disconnect(): void {
    if (this.state === 'disconnected') this.#onEnd(null);
    else this.#connection.disconnect();
  }

  /** Resolves when the connection is over because of `disconnect()`; rejects with the reason when for another one. */
  async waitClosed(): Promise<void> {
    const { end } = this.#lobby;
    if (!end)
      await this.#events.read('end').next(); // nothing but the end ends it
    else if (!(end instanceof ConnectionError)) throw end;
  }

  /** Looks now whether the connection lives, or dials now: for what only the application knows, as a return to it. */
  nudge(): void {
    this.#connection.nudge();
  }

  /**
   * Calls `handler` for every event of a type, over all connections; returns its remover. Without a handler: an iterator,
   * which ends on `disconnect()` and throws when the connection is over for another reason.
   */
  on<T extends keyof PushEvents>(type: T, handler: (event: PushEvents[T]) => unknown): () => void;
  on<T extends keyof PushEvents>(type: T): AsyncIterableIterator<PushEvents[T]>;
  on(type: string, handler?: (event: never) => unknown): unknown {
    const isMessage = type === 'channel_message';
    if (!handler) return isMessage ? this.#inbox.read() : this.#events.read(type);
    return isMessage ? this.#inbox.listen(null, handler as MessageHandler) : this.#events.on(type, handler);
  }

  /**
   * Resolves when the gateway has the subscription; it is renewed with every connection. Messages go to `handler` and to
   * those of `on('channel_message')`. Rejects when the gateway refuses.
   */
  async subscribe(channel: string, handler?: MessageHandler, options?: SubscribeOptions): Promise<void> {
    this.#throwEnd();
    const stop = handler && this.#inbox.listen(channel, handler);
    this.#borrowed.delete(channel);
    try {
      await this.#subscriptions.open(channel, options);
    } catch (error) {
      stop?.();
      throw error;
    }
  }

  /** Its handlers are forgotten, and what is not acked waits at the gateway. */
  async unsubscribe(channel: string): Promise<void> {
    this.#borrowed.delete(channel);
    this.#inbox.forget(channel);
    await this.#subscriptions.close(channel);
  }

  /**
   * Resolves when the message is stored: once, whatever breaks. Waits for a connection. The same `eventId` again within a
   * channel is the same message.
   */
  async publish(
    channel: string,
    data: unknown,
    { eventId = this.#platform.id() }: { readonly eventId?: string } = {},
  ): Promise<Published> {
    const frame = { type: 'channel.publish', channel, data, event_id: eventId };
    const answer = (await this.#request(frame)) as unknown as PublishedFrame;
    return { eventId, sequence: answer.sequence, delivered: answer.delivered ?? 0 };
  }

  /**
   * The next message of a channel, which counts as handled; subscribes for it, if need be. Rejects with `TimeoutError`, or
   * when the gateway refuses.
   */
  async waitFor(channel: string, { timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<PushMessage> {
    this.#throwEnd();
    const { promise, resolve, reject } = Promise.withResolvers<PushMessage>();
    const stop = this.#inbox.listen(channel, (message) => {
      stop();
      resolve(message);
    });
    const late = new TimeoutError(`Nothing came on "${channel}" within ${timeoutMs} ms.`);
    const stopTimer = timeoutMs && this.#platform.timer(timeoutMs, () => reject(late));
    if (!this.#subscriptions.has(channel)) this.#borrowed.add(channel);
    this.#subscriptions.open(channel).catch(reject);
    try {
      return await promise;
    } finally {
      stop();
      if (stopTimer) stopTimer();
      if (this.#borrowed.has(channel) && !this.#inbox.hears(channel))
        this.unsubscribe(channel).catch((error: unknown) => this.#report(error));
    }
  }

  /** Resolves when the gateway has it. It stays, over all connections, until it is set anew. */
  async setStatus(status: string, metadata?: Metadata): Promise<void> {
    this.#presence = { status, metadata };
    await this.#request({ type: 'presence.heartbeat', status, metadata });
  }

  /** Who is there, on a channel or on any. Also tells it as `presence.list` and `presence_list`. */
  async getPresence(channel?: string): Promise<readonly Member[]> {
    const answer = await this.#request({ type: 'presence.query', channel: channel ?? null });
    for (const name of ['presence.list', 'presence_list']) this.#events.emit(name, answer);
    return answer.presence as readonly Member[];
  }

  /** Sends another request of the protocol, and again until it is answered. Rejects with the gateway's error. */
  async request<T extends keyof PushAnswers>(
    frame: { readonly type: T } & Readonly<Record<string, unknown>>,
  ): Promise<PushAnswers[T]> {
    return (await this.#request(frame)) as unknown as PushAnswers[T];
  }

  async #request(frame: object): Promise<PushFrame> {
    this.#throwEnd();
    return this.#outbox.add({ id: this.#platform.id(), frame, repeatable: true });
  }

  #ask(frame: object): Promise<PushFrame> {
    return this.#control.add({ id: this.#platform.id(), frame, repeatable: false });
  }

  #send(frame: object): void {
    this.#connection.send(JSON.stringify(frame));
  }

  #throwEnd(): void {
    if (this.#lobby.end) throw this.#lobby.end;
  }

  /** How a connection is made, as the options say. */
  #dialer(platform: Platform, greeting: () => object): () => SocketLike {
    const { transport, fallbackToPolling = true, probeMs = 60_000, WebSocket, url, fetch } = this.#options;
    const dial = (): SocketLike => dialWebSocket({ url, WebSocket, platform });
    if (transport) {
      this.#transport = 'custom';
      return () => socketOf(typeof transport === 'function' ? transport() : transport);
    }
    if (!fallbackToPolling) return dial;
    return () =>
      dialWithFallback({
        dial,
        dialPolling: () => dialPolling({ url, fetch, platform }),
        greeting,
        probeMs,
        platform,
        onTransport: (name) => {
          this.#transport = name;
        },
      });
  }

  #onFrame(frame: PushServerFrame): void {
    if (frame.type === 'error' && frame.code === 'unauthorized')
      return this.#connection.refused(errorOf(frame), 'with-new-token');
    if (this.#outbox.answer(frame) || this.#control.answer(frame)) return;
    if ('retry_after_ms' in frame) this.#connection.hint(frame.retry_after_ms);
    switch (frame.type) {
      case 'authenticated':
        return this.#onGreeting(frame.client_id);
      case 'channel_message':
        return this.#onMessage(frame);
      case 'channel.reset':
        this.#subscriptions.reset(frame);
        if (frame.reason === 'epoch') this.#inbox.restart(frame.channel);
        if (!this.#events.emit(frame.type, frame)) {
          const message = `Messages of "${frame.channel}" between ${frame.from} and ${frame.to} are gone (${frame.reason}).`;
          this.#report(errorOf({ ...frame, code: frame.type, message }));
        }
        return;
      case 'presence_batch':
        for (const change of frame.changes)
          this.#events.emit(change.type, { ...change, channel: frame.channel });
        return;
      case 'error': {
        const error = errorOf(frame);
        if (this.isConnected) return this.#report(error);
        return this.#connection.refused(error, ruleOfCode(error.code));
      }
      default:
        this.#events.emit(frame.type, frame);
    }
  }

  #onMessage(frame: ChannelMessageFrame): void {
    const { channel, sequence } = frame;
    if (this.#subscriptions.isLeft(channel)) return;
    this.#subscriptions.saw(channel, sequence);
    this.#inbox.take(messageOf(frame));
  }

  #onGreeting(clientId: string): void {
    this.#clientId = clientId;
    if (this.isConnected) {
      this.#broke(); // the transport is another one: what was asked over the old one is asked anew
      return this.#begin();
    }
    this.#connection.greeted();
    this.#lobby.settle(null);
  }

  /** The connection is new. */
  #begin(): void {
    this.#beat(this.#presence);
    this.#subscriptions.renew();
    this.#outbox.flush();
  }

  #beat(presence: object | null): void {
    this.#ask({ type: 'presence.heartbeat', ...presence }).catch(() => {}); // presence may be switched off
    this.#stopBeat = this.#platform.timer(HEARTBEAT_MS, () => this.#beat(null));
  }

  #broke(): void {
    this.#stopBeat();
    this.#outbox.broke();
    this.#control.broke();
  }

  #onEnd(reason: Reason | null): void {
    const error = endOf(reason ?? 'disconnect() was called.');
    const failure = reason === null ? undefined : error;
    this.#stopBeat();
    this.#lobby.settle(error);
    this.#outbox.end(error);
    this.#control.end(error);
    this.#subscriptions.end(error);
    this.#inbox.end(failure);
    this.#events.end(failure);
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    report(error, this.#options.onError);
  }
}
