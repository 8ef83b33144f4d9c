import type {
  Content,
  ErrorFrame,
  GatewayEvent,
  GatewayServerFrame,
  JoinedFrame,
  SnapshotFrame,
} from '@continuo/protocol';
import { ERRORS } from '@continuo/protocol/errors';
import { BACKOFF, type Backoff, checkBackoff } from './connection/backoff.ts';
import { type Connection, type ConnectionStatus, createConnection } from './connection/connection.ts';
import { type Platform, systemPlatform } from './connection/platform.ts';
import { ConnectionError, errorOf, type GatewayError } from './errors.ts';
import { createEventQueue, type EventQueue } from './event-queue.ts';
import {
  NEW_STREAM,
  onEvent,
  onJoined,
  onSnapshot,
  type StreamEffect,
  type ResetReason,
  type StreamState,
  type StreamStep,
  startOver,
} from './gateway/stream.ts';

/** Events an iterator may leave unread. */
const UNREAD_EVENTS = 10_000;
/** Messages that may wait for the connection. */
const OUTBOX = 1_000;

export interface GatewayClientOptions {
  /** `ws://host:8765`; `http` and `https` are taken for `ws` and `wss`. */
  readonly url: string;
  readonly agentId: string;
  readonly token?: string;
  /** Who this device is; kept over reconnects. */
  readonly clientId?: string;
  /** Default true. */
  readonly reconnect?: boolean;
  readonly backoff?: Partial<Backoff>;
  /** Failed attempts in a row before it gives up. Default: never. */
  readonly maxReconnectAttempts?: number;
  /** Called for a hole that the server could not fill: `expected` was not there, `received` is where it goes on. */
  readonly onGap?: (expected: number, received: number) => void;
  readonly onStateChange?: (state: ConnectionStatus) => void;
  /** An error that no call is waiting for: of the server, or thrown by a callback. Default: the console. */
  readonly onError?: (error: unknown) => void;
  /** Time, chance and sockets; for tests and for runtimes without a global WebSocket. */
  readonly platform?: Partial<Platform>;
}

/** A position that another client, or this one after a restart, can take up. */
export interface SessionPosition {
  readonly sessionId: string;
  /** Sequence of the last event that was handled. */
  readonly cursor: number;
  readonly epoch?: string;
}

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

interface Waiting {
  readonly promise: Promise<string>;
  readonly frame: { readonly type: 'message'; readonly message_id: string; readonly content: Content };
  readonly resolve: (messageId: string) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Talks to one agent. Every event of the session reaches each `events()` once and in order, over any number of broken
 * connections; a message is answered by one turn, however often it had to be sent.
 */
export class GatewayClient {
  readonly #options: GatewayClientOptions;
  readonly #platform: Platform;
  readonly #connection: Connection;
  readonly #queues = new Set<EventQueue<ClientEvent>>();
  readonly #outbox = new Map<string, Waiting>();
  #stream: StreamState = NEW_STREAM;
  /** The position was moved after a join that is still unanswered. */
  #moved = false;
  #joined: JoinedFrame | null = null;
  #connecting: { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } | null = null;
  #refusal: GatewayError | null = null;

  constructor(options: GatewayClientOptions) {
    this.#options = options;
    this.#platform = { ...systemPlatform, ...options.platform };
    const { maxReconnectAttempts: maxAttempts = Number.POSITIVE_INFINITY } = options;
    if (!(maxAttempts >= 0))
      throw new RangeError(`maxReconnectAttempts must be 0 or more, not ${maxAttempts}`);
    const backoff = checkBackoff({ ...BACKOFF, ...options.backoff });
    this.#connection = createConnection({
      url: socketUrl(options.url),
      platform: this.#platform,
      terms: {
        backoff,
        reconnect: options.reconnect ?? true,
        maxAttempts,
        handshakeMs: 15_000,
        idleMs: 30_000,
        pongMs: 10_000,
        stableMs: 60_000,
      },
      greeting: () => {
        this.#moved = false;
        return this.#joinFrame();
      },
      ping: { type: 'ping' },
      onFrame: (frame) => this.#onFrame(frame as unknown as GatewayServerFrame),
      onStatus: (status) => {
        if (status === 'connected') for (const messageId of this.#outbox.keys()) this.#post(messageId);
        this.#call(() => this.#options.onStateChange?.(status));
      },
      onEnd: (reason) => this.#onEnd(reason),
      onBadFrame: (text) =>
        this.#report(new ConnectionError(`The server sent no JSON object: ${text.slice(0, 100)}`)),
    });
  }

  get state(): ConnectionStatus {
    return this.#connection.status;
  }

  get sessionId(): string | null {
    return this.#stream.sessionId;
  }

  /** Sequence of the last event handed over. */
  get cursor(): number {
    return this.#stream.cursor;
  }

  /** What another client needs to go on from here; `null` before the first join. */
  get position(): SessionPosition | null {
    const { sessionId, cursor, epoch } = this.#stream;
    return sessionId === null ? null : { sessionId, cursor, ...(epoch !== null && { epoch }) };
  }

  /** What the server said when the session was joined last. */
  get joined(): JoinedFrame | null {
    return this.#joined;
  }

  /**
   * Resolves when the session is joined. With reconnect on, a server that is not there yet is waited for; rejects when
   * the server refuses for good, when attempts run out, and on `disconnect()`.
   */
  connect(): Promise<void> {
    if (this.#connection.status === 'connected') return Promise.resolve();
    if (this.#connecting) return this.#connecting.promise;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {}); // whoever called connect() has it; after that, onEnd tells the readers
    this.#connecting = { promise, resolve, reject };
    this.#refusal = null;
    this.#connection.connect();
    return promise;
  }

  /** Connects to a session where another client left it: the first event is the one after its cursor. */
  resume({ sessionId, cursor, epoch }: SessionPosition): Promise<void> {
    this.#move({ ...NEW_STREAM, sessionId, cursor, epoch: epoch ?? null, healing: true });
    return this.connect();
  }

  /** Has the whole session sent again, from its first event: what was seen is seen again. */
  resync(): void {
    this.#move(startOver(this.#stream));
  }

  /** Every event from here on. Ends on `disconnect()`; throws when the connection is over for another reason. */
  events(): AsyncIterableIterator<ClientEvent> {
    const queue = createEventQueue<ClientEvent>(UNREAD_EVENTS, () => this.#queues.delete(queue));
    this.#queues.add(queue);
    return queue;
  }

  /** Resolves with the message's id when the server has stored it: exactly one turn answers it. Waits for a connection. */
  send(content: Content, options: { readonly messageId?: string } = {}): Promise<string> {
    const messageId = options.messageId ?? this.#platform.id();
    if (this.#outbox.size >= OUTBOX) {
      return Promise.reject(new ConnectionError(`${OUTBOX} messages wait for the server already.`));
    }
    const waiting = this.#outbox.get(messageId);
    if (waiting) return waiting.promise;
    try {
      JSON.stringify(content);
    } catch (cause) {
      return Promise.reject(new TypeError('The content cannot be written as JSON.', { cause }));
    }
    const frame = { type: 'message', message_id: messageId, content } as const;
    const resolvers = Promise.withResolvers<string>();
    this.#outbox.set(messageId, { frame, ...resolvers });
    this.#post(messageId);
    return resolvers.promise;
  }

  /** Ends the connection; the session stays and can be resumed. */
  disconnect(): void {
    if (this.#connection.status === 'disconnected') this.#onEnd(null);
    else this.#connection.disconnect();
  }

  #move(stream: StreamState): void {
    this.#stream = stream;
    this.#moved = stream.sessionId !== null && !this.#connection.send(this.#joinFrame());
  }

  #joinFrame(): object {
    const { agentId, token, clientId } = this.#options;
    const { sessionId, cursor, epoch } = this.#stream;
    return {
      type: 'join',
      agent_id: agentId,
      min_version: 1,
      max_version: 1,
      ...(token !== undefined && { token }),
      ...(clientId !== undefined && { client_id: clientId }),
      ...(sessionId !== null && { session_id: sessionId, since: cursor, ...(epoch !== null && { epoch }) }),
    };
  }

  #post(messageId: string): void {
    const waiting = this.#outbox.get(messageId);
    if (waiting) this.#connection.send({ ...waiting.frame, request_id: messageId });
  }

  #onFrame(frame: GatewayServerFrame): void {
    if (!isSound(frame)) return this.#report(new ConnectionError(`The server sent a broken ${frame.type}.`));
    switch (frame.type) {
      case 'joined':
        return this.#onJoined(frame);
      case 'snapshot':
        return this.#apply(onSnapshot(this.#stream, frame));
      case 'event':
      case 'replay':
        return this.#apply(onEvent(this.#stream, frame));
      case 'response': {
        const waiting = this.#outbox.get(frame.message_id);
        this.#outbox.delete(frame.message_id);
        return waiting?.resolve(frame.message_id);
      }
      case 'error':
        return this.#onError(frame);
      case 'approval_resolved':
      case 'aborted':
      case 'no_active_turn':
      case 'left':
      case 'goaway':
      case 'pong':
        return;
      default:
        frame satisfies never; // a newer server may say more
    }
  }

  #onJoined(frame: JoinedFrame): void {
    const first = this.#connection.status !== 'connected';
    this.#joined = frame;
    const moved = this.#moved;
    if (!moved) this.#apply(onJoined(this.#stream, frame));
    if (!first) return;
    this.#connection.greeted();
    if (moved) this.#move(this.#stream); // the answer is about a position that is not asked for any more
    this.#connecting?.resolve();
    this.#connecting = null;
  }

  #onError(frame: ErrorFrame): void {
    const error = errorOf(frame);
    const waiting = typeof frame.request_id === 'string' ? this.#outbox.get(frame.request_id) : undefined;
    if (waiting) {
      this.#outbox.delete(waiting.frame.message_id);
      return waiting.reject(error);
    }
    if (this.#connection.status === 'connected') return this.#report(error);
    const retry = ERRORS[error.code as keyof typeof ERRORS]?.retry ?? 'now';
    const final = retry === 'never' || retry === 'with-new-token';
    if (final) this.#refusal = error;
    this.#connection.refused(error.message, { final });
  }

  #apply({ state, effects }: StreamStep): void {
    this.#stream = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: StreamEffect): void {
    switch (effect.type) {
      case 'deliver':
        return this.#publish(effect.event);
      case 'reset': {
        const { snapshot, reason, expected, received } = effect;
        this.#call(() => this.#options.onGap?.(expected, received));
        return this.#publish({ type: 'snapshot', data: snapshot?.state ?? null, reason });
      }
      case 'rejoin':
        this.#connection.send(this.#joinFrame());
        return;
      default:
        effect satisfies never;
    }
  }

  #publish(event: ClientEvent): void {
    for (const queue of this.#queues) queue.push(event);
  }

  #onEnd(reason: string | null): void {
    const error = this.#refusal ?? new ConnectionError(reason ?? 'disconnect() was called.');
    this.#connecting?.reject(error);
    this.#connecting = null;
    for (const { reject } of this.#outbox.values()) reject(error);
    this.#outbox.clear();
    const queues = [...this.#queues];
    this.#queues.clear();
    for (const queue of queues) queue.end(reason === null ? undefined : error);
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const { onError = console.error } = this.#options;
    try {
      onError(error);
    } catch (thrown) {
      console.error(thrown);
    }
  }
}

/** Of what the stream goes by, nothing is taken on trust: one frame without its number would stop it. */
function isSound(frame: GatewayServerFrame): boolean {
  switch (frame.type) {
    case 'event':
    case 'replay':
      return Number.isInteger(frame.event?.sequence);
    case 'snapshot':
      return Number.isInteger(frame.state?.event_cursor);
    case 'joined':
      return Number.isInteger(frame.cursor);
    default:
      return true;
  }
}

function socketUrl(url: string): string {
  return url.replace(/^http(s?):/i, 'ws$1:');
}
