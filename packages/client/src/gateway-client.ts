import type {
  Content,
  GatewayServerFrame,
  Health,
  JoinedFrame,
  PendingApproval,
  Presence,
} from '@continuo/protocol';
import { checkOption } from './check-option.ts';
import type { ConnectionStatus } from './connection/connection.ts';
import { type ApprovalAnswer, answerOf, ConnectionError, textOf } from './errors.ts';
import type { ClientEvent, EventOf } from './gateway/client-event.ts';
import { createSession, isSound, type Session, type SessionPosition } from './gateway/session.ts';
import { createEvents, type Events } from './events.ts';
import { createLink, type Link } from './link.ts';
import type { GatewayClientOptions } from './options.ts';

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
  readonly #signal: AbortSignal | undefined;
  readonly #link: Link;
  readonly #events: Events;
  readonly #session: Session;

  constructor(options: GatewayClientOptions) {
    const { agentId, clientId } = options;
    checkOption('agentId', agentId, 'string');
    ({
      onGap: this.onGap,
      onStateChange: this.onStateChange,
      onError: this.onError,
      signal: this.#signal,
    } = options);
    this.#session = createSession({
      joinFrame: () => ({
        type: 'join',
        agent_id: agentId,
        min_version: 1,
        max_version: 1,
        token: this.#link.token,
        client_id: clientId,
      }),
      send: (frame) => this.#link.send(JSON.stringify(frame)),
      publish: (event) => this.#events.emit(event, 'event', event.type),
      onGap: (expected, received) => this.#link.call(() => this.onGap?.(expected, received)),
    });
    this.#link = createLink({
      ...options,
      ears: this,
      greeting: () => this.#session.greet(),
      maxBytes: () => this.#session.view.policy?.max_payload,
      onFrame: (frame) => this.#onFrame(frame as unknown as GatewayServerFrame),
      onEnd: (_, reason) => this.#events.end(reason),
    });
    this.#events = createEvents(this.#link.call, 'event');
  }

  get state(): ConnectionStatus {
    return this.#link.status;
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
    return this.#link.connect(signal);
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
    return this.#events.read('event');
  }

  /** Calls `listener` for every event of a type, or of all (`event`), over all connections. Returns its remover. */
  on<T extends ClientEvent['type'] | 'event'>(type: T, listener: (event: EventOf<T>) => void): () => void {
    return this.#events.on(type, listener);
  }

  /**
   * Resolves with the message's id when the server has stored it: exactly one turn answers it. Waits for a connection;
   * rejects with the reason of the end when the connection is over, until `connect()` is called again.
   */
  async send(content: Content, options: { readonly messageId?: string } = {}): Promise<string> {
    const id = options.messageId ?? this.#link.platform.id();
    checkOption('messageId', id, 'string', id.length <= MAX_ID);
    const frame = { type: 'message', message_id: id, content };
    await this.#link.request(frame, content !== STOP, id);
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
    return answerOf(await this.#link.request(frame, true));
  }

  /**
   * Ends the turn under way, or the next one. Resolves with the id of its message, or `null` when there was none. Waits
   * for a connection and is sent once: rejects when the connection breaks before the answer.
   */
  async abort(reason?: string): Promise<string | null> {
    const { message_id } = await this.#link.request({ type: 'abort', reason }, false);
    return textOf(message_id) ?? null;
  }

  /**
   * Leaves in good order: when it resolves, nobody sees this client any more. A server that does not answer is left after
   * 3 s. `connect()` comes back to the session.
   */
  async leave(): Promise<void> {
    if (this.state === 'connected') {
      const stop = this.#link.platform.timer(LEAVE_MS, () => this.disconnect());
      await this.#link.request({ type: 'leave' }, false).catch(() => {}); // gone is gone
      stop();
    }
    this.disconnect();
  }

  /** Looks now whether the connection lives, or dials now: for what only the application knows, as a return to it. */
  nudge(): void {
    this.#link.nudge();
  }

  /** Ends the connection; the session stays and can be resumed. */
  disconnect(): void {
    this.#link.disconnect();
  }

  #onFrame(frame: GatewayServerFrame): void {
    if (!isSound(frame)) return this.#link.report(new ConnectionError(`Broken: ${frame.type}.`));
    const isGreeting = frame.type === 'joined' && this.state !== 'connected';
    this.#session.take(frame);
    if (!isGreeting) return;
    this.#link.greeted();
    this.#session.greeted();
  }
}
