import type {
  Content,
  GatewayServerFrame,
  Health,
  JoinedFrame,
  PendingApproval,
  Presence,
} from '@continuo/protocol';
import { checkOption } from './check-option.ts';
import { type Connection, type ConnectionStatus, createConnection } from './connection/connection.ts';
import { createLobby, type Lobby } from './connection/lobby.ts';
import { createOutbox, type Outbox } from './connection/outbox.ts';
import { type Platform, systemPlatform } from './connection/platform.ts';
import { ruleOfCode } from './connection/retry.ts';
import { createTokens, type Reason } from './connection/tokens.ts';
import { type ApprovalAnswer, answerOf, ConnectionError, endOf, errorOf } from './errors.ts';
import { type Audience, type ClientEvent, createAudience, type EventOf } from './gateway/audience.ts';
import { createSession, isSound, type Session, type SessionPosition } from './gateway/session.ts';
import { type GatewayClientOptions, termsOf } from './options.ts';
import { report } from './reporter.ts';

/** A message of exactly this text ends the turn under way. */
const STOP = '/stop';
/** Characters of an id that the server repeats. */
const MAX_ID = 200;
/** How long a server may take to let a client go, in ms. */
const LEAVE_MS = 3_000;

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
  readonly #lobby: Lobby;

  constructor(options: GatewayClientOptions) {
    const terms = termsOf(options);
    const { agentId, clientId, WebSocket, platform } = options;
    checkOption('agentId', agentId, 'string');
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
      maxBytes: () => this.#session.view.policy?.max_payload,
    });
    this.#connection = createConnection({
      url: options.url.replace(/^http/i, 'ws'),
      platform: this.#platform,
      tokens,
      terms,
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
    this.#lobby = createLobby(this.#connection, () => this.disconnect());
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
   * the server refuses for good, when attempts run out, when the signal is aborted, and on `disconnect()`. A signal ends
   * its own call; the connection too where no other call waits for it and it was not there before.
   */
  connect({ signal = this.#signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#lobby.enter(signal);
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
   * throws when the connection is over for another reason, and when 10,000 events are left unread. Called after such an
   * end, it waits for the next `connect()`.
   */
  events(): AsyncIterableIterator<ClientEvent> {
    return this.#audience.events();
  }

  /** Calls `listener` for every event of a type, or of all (`event`), over all connections. Returns its remover. */
  on<T extends ClientEvent['type'] | 'event'>(type: T, listener: (event: EventOf<T>) => void): () => void {
    return this.#audience.on(type, listener);
  }

  /**
   * Resolves with the message's id when the server has stored it: exactly one turn answers it. Waits for a connection;
   * rejects with the reason of the end when the connection is over, until `connect()` is called again.
   */
  async send(content: Content, options: { readonly messageId?: string } = {}): Promise<string> {
    const id = options.messageId ?? this.#platform.id();
    checkOption('messageId', id, 'string', id.length <= MAX_ID);
    const frame = { type: 'message', message_id: id, content };
    await this.#request(frame, content !== STOP, id);
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
    const frame = { type: 'approval_response', approval_id: approvalId, approved, note };
    return answerOf(await this.#request(frame, true));
  }

  /**
   * Ends the turn under way, or the next one. Resolves with the id of its message, or `null` when there was none. Waits
   * for a connection and is sent once: rejects when the connection breaks before the answer.
   */
  async abort(reason?: string): Promise<string | null> {
    const { message_id } = await this.#request({ type: 'abort', reason }, false);
    return typeof message_id === 'string' ? message_id : null;
  }

  /**
   * Leaves in good order: when it resolves, nobody sees this client any more. A server that does not answer is left after
   * 3 s. `connect()` comes back to the session.
   */
  async leave(): Promise<void> {
    if (this.state === 'connected') {
      const id = this.#platform.id();
      const stop = this.#platform.timer(LEAVE_MS, () => this.#outbox.answer({ request_id: id })); // silence is one
      await this.#request({ type: 'leave' }, false, id).catch(() => {}); // gone is gone
      stop();
    }
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

  #request(frame: object, repeatable: boolean, id = this.#platform.id()): ReturnType<Outbox['add']> {
    return this.#lobby.end ? Promise.reject(this.#lobby.end) : this.#outbox.add({ id, frame, repeatable });
  }

  #onFrame(frame: GatewayServerFrame): void {
    if (!isSound(frame)) return this.#report(new ConnectionError(`Broken: ${frame.type}.`));
    if (this.#outbox.answer(frame)) return;
    if ('retry_after_ms' in frame) this.#connection.hint(frame.retry_after_ms);
    if (frame.type === 'error') {
      const error = errorOf(frame);
      if (this.state === 'connected') return this.#report(error);
      return this.#connection.refused(error, ruleOfCode(error.code));
    }
    const isGreeting = frame.type === 'joined' && this.state !== 'connected';
    this.#session.take(frame);
    if (!isGreeting) return;
    this.#connection.greeted();
    this.#session.greeted();
    this.#lobby.settle(null);
  }

  #onEnd(reason: Reason | null): void {
    const error = endOf(reason ?? 'disconnect() was called.');
    this.#lobby.settle(error);
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
    report(error, this.onError);
  }
}
