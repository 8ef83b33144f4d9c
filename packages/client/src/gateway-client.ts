import type {
  Content,
  ErrorFrame,
  GatewayServerFrame,
  Health,
  JoinedFrame,
  PendingApproval,
  Presence,
} from '@continuo/protocol';
import { type Connection, type ConnectionStatus, createConnection } from './connection/connection.ts';
import { type Platform, systemPlatform } from './connection/platform.ts';
import { ruleOfCode } from './connection/retry.ts';
import { createTokens, type Reason } from './connection/tokens.ts';
import { type ApprovalAnswer, answerOf, ConnectionError, errorOf } from './errors.ts';
import { type Audience, type ClientEvent, createAudience, type EventOf } from './gateway/audience.ts';
import { createOutbox, type Outbox } from './gateway/outbox.ts';
import { createSession, isSound, type Session, type SessionPosition } from './gateway/session.ts';
import { type GatewayClientOptions, termsOf } from './options.ts';

/** A message of exactly this text ends the turn under way. */
const STOP = '/stop';
/** Characters of an id that the server repeats. */
const MAX_ID = 200;

/**
 * Talks to one agent. Every event of the session reaches each `events()` once and in order, over any number of broken
 * connections; a message is answered by one turn, however often it had to be sent.
 */
export class GatewayClient {
  /** As in the options; may be set at any time. */
  onGap: GatewayClientOptions['onGap'] | undefined;
  onStateChange: GatewayClientOptions['onStateChange'] | undefined;
  onError: GatewayClientOptions['onError'] | undefined;
  readonly #platform: Platform;
  readonly #signal: AbortSignal | undefined;
  readonly #connection: Connection;
  readonly #audience: Audience;
  readonly #outbox: Outbox;
  readonly #session: Session;
  #connecting: { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } | null =
    null;

  constructor(options: GatewayClientOptions) {
    const { agentId, clientId, WebSocket, platform } = options;
    ({
      onGap: this.onGap,
      onStateChange: this.onStateChange,
      onError: this.onError,
      signal: this.#signal,
    } = options);
    this.#platform = {
      ...systemPlatform,
      ...(WebSocket && { dial: (url: string) => new WebSocket(url) }),
      ...platform,
    };
    const tokens = createTokens(options.token);
    this.#audience = createAudience((callback) => this.#call(callback));
    this.#session = createSession({
      joinFrame: () => ({
        type: 'join',
        agent_id: agentId,
        min_version: 1,
        max_version: 1,
        token: tokens.current,
        client_id: clientId,
      }),
      send: (frame) => this.#connection.send(JSON.stringify(frame)),
      publish: (event) => this.#audience.publish(event),
      onGap: (expected, received) => this.#call(() => this.onGap?.(expected, received)),
    });
    this.#outbox = createOutbox({
      send: (text) => this.#connection.send(text),
      maxBytes: () => this.#session.view.policy?.max_payload ?? Number.MAX_VALUE,
    });
    this.#connection = createConnection({
      url: options.url.replace(/^http/i, 'ws'),
      platform: this.#platform,
      tokens,
      terms: termsOf(options),
      greeting: () => this.#session.greet(),
      ping: { type: 'ping' },
      onFrame: (frame) => this.#onFrame(frame as unknown as GatewayServerFrame),
      onStatus: (status) => {
        if (status === 'connected') this.#outbox.flush();
        else this.#outbox.broke();
        this.#call(() => this.onStateChange?.(status));
      },
      onEnd: (reason) => this.#onEnd(reason),
      onProblem: (error) => this.#report(error),
    });
  }

  get state(): ConnectionStatus {
    return this.#connection.status;
  }

  get sessionId(): string | null {
    return this.#session.stream.sessionId;
  }

  /** Sequence of the last event handed over. */
  get cursor(): number {
    return this.#session.stream.cursor;
  }

  /** What another client needs to go on from here; `null` before the first join. */
  get position(): SessionPosition | null {
    const { sessionId, cursor, epoch } = this.#session.stream;
    return sessionId === null ? null : { sessionId, cursor, ...(epoch !== null && { epoch }) };
  }

  /** What the server said when the session was joined last. */
  get joined(): JoinedFrame | null {
    return this.#session.joined;
  }

  /** Who is with the agent, as of the last join: at most 100. */
  get presence(): readonly Presence[] {
    return this.#session.view.presence;
  }

  /** How the server was, as of the last join. */
  get health(): Health | null {
    return this.#session.view.health;
  }

  /** The questions of the session that nobody has answered, oldest first. */
  get pending(): readonly PendingApproval[] {
    return this.#session.view.pending;
  }

  /** The turn under way: the message it answers, and since when in unix seconds. */
  get turn(): JoinedFrame['turn'] {
    return this.#session.view.turn;
  }

  /**
   * Resolves when the session is joined. With reconnect on, a server that is not there yet is waited for; rejects when
   * the server refuses for good, when attempts run out, when the signal is aborted, and on `disconnect()`.
   */
  connect({ signal = this.#signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#connection.status === 'connected') return Promise.resolve();
    this.#connecting ??= Promise.withResolvers<void>();
    const { promise, reject } = this.#connecting;
    const stop = (): void => {
      reject(signal?.reason);
      this.disconnect();
    };
    const settled = (): void => signal?.removeEventListener('abort', stop);
    signal?.addEventListener('abort', stop);
    promise.then(settled, settled); // whoever called connect() has the promise; after that, onEnd tells the readers
    this.#connection.connect();
    return promise;
  }

  /** Connects to a session where another client left it: the first event is the one after its cursor. */
  resume(position: SessionPosition): Promise<void> {
    this.#session.resume(position);
    return this.connect();
  }

  /** Has the whole session sent again, from its first event: what was seen is seen again. */
  resync(): void {
    this.#session.startOver();
  }

  /**
   * Every event from here on; what came before the first call, when nobody was listening, too. Ends on `disconnect()`,
   * throws when the connection is over for another reason, and when 10,000 events are left unread.
   */
  events(): AsyncIterableIterator<ClientEvent> {
    return this.#audience.events();
  }

  /** Calls `listener` for every event of a type, or of all (`event`), over all connections. Returns its remover. */
  on<T extends ClientEvent['type'] | 'event'>(type: T, listener: (event: EventOf<T>) => void): () => void {
    return this.#audience.on(type, listener);
  }

  /** Resolves with the message's id when the server has stored it: exactly one turn answers it. Waits for a connection. */
  async send(content: Content, options: { readonly messageId?: string } = {}): Promise<string> {
    const id = options.messageId ?? this.#platform.id();
    if (id.length > MAX_ID) throw new RangeError(`messageId must not be ${id}`);
    const frame = { type: 'message', message_id: id, content };
    await this.#outbox.add({ id, frame, repeatable: content !== STOP });
    return id;
  }

  /**
   * Answers a question of `pending`. Resolves with the answer that counts; rejects with `ApprovalConflictError`, which
   * has it, when somebody answered otherwise before. Waits for a connection, and is sent again like a message.
   */
  async approve(
    approvalId: string,
    approved: boolean,
    { note }: { readonly note?: string } = {},
  ): Promise<ApprovalAnswer> {
    return answerOf(
      await this.#request('approval_response', true, {
        approval_id: approvalId,
        approved,
        note,
      }),
    );
  }

  /**
   * Ends the turn under way, or the next one. Resolves with the id of its message, or `null` when there was none. Waits
   * for a connection and is sent once: rejects when the connection breaks before the answer.
   */
  async abort(reason?: string): Promise<string | null> {
    const { message_id } = await this.#request('abort', false, { reason });
    return typeof message_id === 'string' ? message_id : null;
  }

  /** Leaves in good order: when it resolves, nobody sees this client any more. `connect()` comes back to the session. */
  async leave(): Promise<void> {
    if (this.state === 'connected') await this.#request('leave', false, {}).catch(() => {}); // gone is gone
    this.disconnect();
  }

  /** Looks now whether the connection lives, or dials now: for what only the application knows, as a return to it. */
  nudge(): void {
    this.#connection.nudge();
  }

  /** Ends the connection; the session stays and can be resumed. */
  disconnect(): void {
    if (this.#connection.status === 'disconnected') this.#onEnd(null);
    else this.#connection.disconnect();
  }

  #request(type: string, repeatable: boolean, fields: object): ReturnType<Outbox['add']> {
    return this.#outbox.add({ id: this.#platform.id(), frame: { type, ...fields }, repeatable });
  }

  #onFrame(frame: GatewayServerFrame): void {
    if (!isSound(frame)) return this.#report(new ConnectionError(`The server sent a broken ${frame.type}.`));
    if (this.#outbox.answer(frame)) return;
    if (frame.type === 'error') return this.#onError(frame);
    if (frame.type === 'goaway') return this.#connection.hint(frame.retry_after_ms);
    const isGreeting = frame.type === 'joined' && this.state !== 'connected';
    this.#session.take(frame);
    if (!isGreeting) return;
    this.#connection.greeted();
    this.#session.greeted();
    this.#connecting?.resolve();
    this.#connecting = null;
  }

  #onError(frame: ErrorFrame): void {
    const error = errorOf(frame);
    this.#connection.hint(frame.retry_after_ms);
    if (this.state === 'connected') this.#report(error);
    else this.#connection.refused(error, ruleOfCode(error.code));
  }

  #onEnd(reason: Reason | null): void {
    const error = endOf(reason ?? 'disconnect() was called.');
    this.#connecting?.reject(error);
    this.#connecting = null;
    this.#outbox.end(error);
    this.#audience.end(reason === null ? undefined : error);
  }

  #call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const { onError = console.error } = this;
    try {
      onError(error);
    } catch (thrown) {
      console.error(thrown);
    }
  }
}

/** Servers name the code of their error table when they close. */
function endOf(reason: Reason): Error {
  if (typeof reason !== 'string') return reason;
  if (!/^[a-z_]+$/.test(reason)) return new ConnectionError(reason);
  return errorOf({ code: reason, message: `The connection was closed (${reason}).` });
}
