import type {
  ChannelCreatedFrame,
  ChannelDeadLettersFrame,
  ChannelHistoryFrame,
  ChannelListFrame,
  ChannelMember,
  ChannelRedriveFrame,
  Metadata,
  PublishedFrame,
  PushServerFrame,
} from '@continuo/protocol';
import { checkOption } from './check-option.ts';
import type { ConnectionStatus } from './connection/connection.ts';
import { createOutbox, type Outbox } from './connection/outbox.ts';
import { platformOf } from './connection/platform.ts';
import { ConnectionError, errorOf, TimeoutError } from './errors.ts';
import { createEvents, type Events } from './events.ts';
import { createLink, type Link } from './link.ts';
import { createDial } from './push/dial.ts';
import type { PushEvents } from './push/event-types.ts';
import { createInbox, type Inbox } from './push/inbox.ts';
import { type MessageHandler, messageOf, type PushMessage } from './push/message.ts';
import type { PushClientOptions } from './push/options.ts';
import { createSubscriptions, type SubscribeOptions, type Subscriptions } from './push/subscriptions.ts';

/** The client says that it is there, this often, in ms. */
const HEARTBEAT_MS = 15_000;
/** Timers hold 31 bits. */
const TIMER_MAX_MS = 2 ** 31;
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
  readonly #link: Link;
  /** Requests of the client itself: made anew for every connection. */
  readonly #control: Outbox;
  readonly #events: Events;
  readonly #inbox: Inbox;
  readonly #subscriptions: Subscriptions;
  /** Channels that only `waitFor` subscribed to. */
  readonly #borrowed = new Set<string>();
  /** The calls of `waitFor`. */
  readonly #waits = new Set<{ readonly channel: string; readonly reject: (reason: Error) => void }>();
  #clientId: string;
  /** The one that was greeted last. */
  #transport: string;
  /** What every new connection says of the client. */
  #presence: { readonly status: string; readonly metadata: Metadata | undefined } | undefined;
  #stopBeat = (): void => {};
  #beatMs = HEARTBEAT_MS;
  /** Why it is over, where not by `disconnect()`. */
  #reason: Error | undefined;

  constructor(options: PushClientOptions) {
    const { url, probeMs = 60_000 } = options;
    checkOption('url', url, 'string', /^(ws|http)s?:\/\/[^#]+$/i.test(url) && URL.canParse(url));
    checkOption('probeMs', probeMs, 'number', probeMs > 0 && probeMs < TIMER_MAX_MS);
    const platform = platformOf(options);
    this.#clientId = options.clientId ?? platform.id();
    this.#transport = options.transport ? 'custom' : 'websocket';
    const maxBytes = (): number => MAX_FRAME;
    const greeting = (): object => ({
      type: 'auth',
      token: this.#link.token,
      client_id: this.#clientId,
      capabilities: ['presence_batch'],
    });
    const onTransport = (name: string): void => {
      this.#transport = name;
    };
    this.#link = createLink({
      ...options,
      backoff: { maxMs: 5_000, ...options.backoff },
      token: options.authToken,
      reconnect: options.autoReconnect,
      platform: { ...platform, dial: createDial(options, platform, { greeting, probeMs, onTransport }) },
      ears: options,
      greeting,
      maxBytes,
      onFrame: (frame) => this.#onFrame(frame as unknown as PushServerFrame),
      answer: (frame) => this.#control.answer(frame),
      onChange: (isNew) => {
        this.#stopBeat();
        if (!isNew) return this.#control.broke();
        this.#beat(this.#presence);
        this.#subscriptions.renew();
      },
      onEnd: (error, reason) => {
        this.#reason = reason;
        for (const { reject } of this.#waits) reject(error);
        this.#control.end(error);
        this.#subscriptions.end(error);
        this.#inbox.end(reason);
        this.#events.end(reason);
      },
    });
    this.#control = createOutbox({ send: this.#link.send, maxBytes, limit: Number.MAX_VALUE });
    this.#events = createEvents(this.#link.call);
    this.#subscriptions = createSubscriptions(
      this.#link,
      (frame) => this.#ask(frame),
      (channel, error) => {
        this.#stopWaiting(channel, error);
        this.#link.report(error);
      },
    );
    this.#inbox = createInbox({
      settle: ({ channel, eventId }, isHandled) => {
        const type = isHandled ? 'message_ack' : 'message_nack';
        if (this.#subscriptions.isAcked(channel))
          this.#link.send(JSON.stringify({ type, channel, event_id: eventId }));
      },
      report: this.#link.report,
    });
  }

  get state(): ConnectionStatus {
    return this.#link.status;
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
    return this.#link.connect(signal);
  }

  /** Ends the connection; channels and handlers stay for the next `connect()`. */
  disconnect(): void {
    this.#link.disconnect();
  }

  /** Resolves when the connection is over because of `disconnect()`; rejects with the reason when for another one. */
  async waitClosed(): Promise<void> {
    const { end } = this.#link;
    if (!end)
      await this.#events.read('end').next(); // nothing but the end ends it
    else if (this.#reason) throw this.#reason;
  }

  /** Looks now whether the connection lives, or dials now: for what only the application knows, as a return to it. */
  nudge(): void {
    this.#link.nudge();
  }

  /**
   * Calls `handler` for every event of a type, over all connections; returns its remover. Without a handler: an iterator,
   * which ends on `disconnect()` and throws when the connection is over for another reason.
   */
  on<T extends keyof PushEvents>(type: T, handler: (event: PushEvents[T]) => unknown): () => void;
  on<T extends keyof PushEvents>(type: T): AsyncIterableIterator<PushEvents[T]>;
  on(type: string, handler?: MessageHandler): unknown {
    const source = type === 'channel_message' ? this.#inbox : this.#events;
    return handler ? source.on(type, handler) : source.read(type);
  }

  /**
   * Resolves when the gateway has the subscription; it is renewed with every connection. Messages go to `handler` and to
   * those of `on('channel_message')`. Rejects when the gateway refuses.
   */
  async subscribe(channel: string, handler?: MessageHandler, options?: SubscribeOptions): Promise<void> {
    const { end } = this.#link;
    if (end) throw end;
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
    if (!this.#subscriptions.isAcked(channel)) this.#inbox.restart(channel); // what came may be asked for again
    this.#stopWaiting(channel, new ConnectionError(`unsubscribe("${channel}") was called.`));
    await this.#subscriptions.close(channel);
  }

  /**
   * Resolves when the message is stored: once, whatever breaks. Waits for a connection; at most 1,000 calls may wait, the
   * next rejects. The same `eventId` again within a channel is the same message.
   */
  async publish(
    channel: string,
    data: unknown,
    { eventId = this.#link.platform.id() }: { readonly eventId?: string } = {},
  ): Promise<Published> {
    const frame = { type: 'channel.publish', channel, data, event_id: eventId };
    const answer = (await this.#link.request(frame)) as unknown as PublishedFrame;
    return { eventId, sequence: answer.sequence, delivered: answer.delivered ?? 0 };
  }

  /**
   * The next message of a channel, which counts as handled; subscribes for it, if need be. Rejects with `TimeoutError`, when
   * the gateway refuses, and when the channel is left or the connection over.
   */
  async waitFor(channel: string, { timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<PushMessage> {
    const { end } = this.#link;
    if (end) throw end;
    const { promise, resolve, reject } = Promise.withResolvers<PushMessage>();
    const stop = this.#inbox.listen(channel, resolve, true);
    const wait = { channel, reject };
    this.#waits.add(wait);
    const late = new TimeoutError(`Nothing came on "${channel}" within ${timeoutMs} ms.`);
    const stopTimer =
      timeoutMs !== undefined &&
      timeoutMs < TIMER_MAX_MS &&
      this.#link.platform.timer(timeoutMs, () => reject(late));
    if (!this.#subscriptions.has(channel)) this.#borrowed.add(channel);
    this.#subscriptions.open(channel).catch(reject);
    try {
      return await promise;
    } finally {
      stop();
      this.#waits.delete(wait);
      if (stopTimer) stopTimer();
      // The ack goes first: what is not acked comes again.
      this.#link.platform.timer(0, () => {
        if (this.#borrowed.has(channel) && !this.#inbox.hears(channel))
          this.unsubscribe(channel).catch((error: unknown) => this.#link.report(error));
      });
    }
  }

  /** Resolves when the gateway has it. It stays, over all connections, until it is set anew. */
  async setStatus(status: string, metadata?: Metadata): Promise<void> {
    this.#presence = { status, metadata };
    await this.#link.request({ type: 'presence.heartbeat', status, metadata });
  }

  /** Who is there, on a channel or on any. Also tells it as `presence.list` and `presence_list`. */
  async getPresence(channel?: string): Promise<readonly ChannelMember[]> {
    const answer = await this.#link.request({ type: 'presence.query', channel: channel ?? null });
    this.#events.emit(answer, 'presence.list', 'presence_list');
    return answer.presence as readonly ChannelMember[];
  }

  /** Sends another request of the protocol, and again until it is answered. Rejects with the gateway's error. */
  async request<T extends keyof PushAnswers>(
    frame: { readonly type: T } & Readonly<Record<string, unknown>>,
  ): Promise<PushAnswers[T]> {
    return (await this.#link.request(frame)) as unknown as PushAnswers[T];
  }

  #stopWaiting(channel: string, error: Error): void {
    for (const wait of this.#waits) if (wait.channel === channel) wait.reject(error);
  }

  #ask(frame: object): ReturnType<Outbox['add']> {
    return this.#control.add({ id: this.#link.platform.id(), frame, repeatable: false });
  }

  #beat(presence?: object): void {
    this.#ask({ type: 'presence.heartbeat', ...presence }).catch(() => {}); // presence may be switched off
    this.#stopBeat = this.#link.platform.timer(this.#beatMs, () => this.#beat());
  }

  #onFrame(frame: PushServerFrame): void {
    switch (frame.type) {
      case 'authenticated':
        this.#clientId = frame.client_id;
        this.#beatMs = frame.heartbeat_interval_ms ?? HEARTBEAT_MS;
        if (!this.isConnected) return this.#link.greeted();
        this.#link.change(false); // the transport is another one: what was asked over the old one is asked anew
        return this.#link.change(true);
      case 'channel_message': {
        const { channel, sequence } = frame;
        if (this.#subscriptions.isLeft(channel)) return;
        this.#subscriptions.saw(channel, sequence);
        return this.#inbox.take(messageOf(frame));
      }
      case 'channel.reset': {
        const { type, channel, reason, from, to } = frame;
        this.#subscriptions.reset(frame);
        if (reason === 'epoch') this.#inbox.restart(channel);
        const message = `Messages of "${channel}" from ${from} to ${to} are gone (${reason}).`;
        if (!this.#events.emit(frame, type)) this.#link.report(errorOf({ ...frame, code: type, message }));
        return;
      }
      case 'presence_batch':
        for (const change of frame.changes)
          this.#events.emit({ ...change, channel: frame.channel }, change.type);
        return;
      default:
        this.#events.emit(frame, frame.type);
    }
  }
}
