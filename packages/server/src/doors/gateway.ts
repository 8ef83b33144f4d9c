import {
  type Component,
  GatewayEvent,
  HEARTBEAT_MS,
  HelloFrame,
  JoinFrame,
  MAX_PAYLOAD,
  MAX_PROTOCOL_VERSION,
  MessageFrame,
  MIN_PROTOCOL_VERSION,
  PingFrame,
  PongFrame,
  type ResetReason,
  type SnapshotFrame,
  WireError,
} from '@continuo/protocol';
import { demand } from '../core/access.ts';
import { type Feed, type Feeds, WATERMARK_BYTES } from '../core/feed.ts';
import type { Session, SessionNow, Sessions } from '../core/sessions.ts';
import type { Head, Random, Report } from '../ports.ts';
import { gatewayDialects } from './dialects.ts';
import { type Handshake, handshakeOf, helloError } from './handshake.ts';
import {
  type Answered,
  type Connection,
  MAX_QUEUED_FRAMES,
  type Row,
  type SocketProtocol,
  toWireError,
} from './socket.ts';

/** Door 1, on `/`: one agent's session. Its log, shown as numbered events. */

export interface GatewayDoorOptions {
  readonly sessions: Sessions;
  readonly feeds: Feeds;
  readonly random: Random;
  readonly report: Report;
  findComponent(id: string): Component | undefined;
  health(): { readonly status: string; readonly uptime: number };
}

interface Conversation {
  readonly connection: Connection;
  clientId: string;
  session: Session | null;
  feed: Feed | null;
  stopViewing: (() => void) | null;
  /** Its socket is gone. */
  closed: boolean;
}

const METHODS: readonly string[] = ['join', 'hello', 'message', 'ping'];
const POLICY = {
  max_payload: MAX_PAYLOAD,
  max_buffered_bytes: WATERMARK_BYTES,
  max_queued_frames: MAX_QUEUED_FRAMES,
  heartbeat_ms: HEARTBEAT_MS,
};

export function createGatewayDoor(options: GatewayDoorOptions): SocketProtocol<Conversation> {
  const { sessions, feeds, random, report, findComponent, health } = options;

  function leave(conversation: Conversation): void {
    conversation.feed?.close();
    conversation.stopViewing?.();
    conversation.feed = null;
    conversation.stopViewing = null;
    conversation.session = null;
  }

  async function enter(conversation: Conversation, shake: Handshake, request: Answered): Promise<void> {
    const { connection } = conversation;
    const { answer, agentId, sessionId, since, epoch } = shake;
    const principal = connection.authenticate(shake.token);
    const component = findComponent(agentId);
    if (!component)
      throw new WireError('agent_not_found', `There is no agent "${agentId}". GET /agents lists them.`);
    demand(principal, 'write', 'agents', agentId);

    const name = `${component.kind}:${component.id}`;
    const { session, resumed, head } = await sessions.open({
      owner: principal.user,
      component: name,
      sessionId,
    });
    const lost = resumed ? lossOf(since, epoch, head) : null;
    const now = lost || head.offset > 0 ? await sessions.state(session.log) : null;
    const cursor = lost ? (now?.offset ?? 0) : resumed ? since : 0;
    if (conversation.closed) return;
    const run = now?.state.run;

    leave(conversation);
    conversation.clientId = shake.clientId ?? conversation.clientId;
    conversation.session = session;
    conversation.stopViewing = sessions.view(session);
    connection.send({
      type: answer,
      ...(answer === 'hello_ok' && { protocol: shake.version }),
      session_id: session.sessionId,
      agent_id: agentId,
      resumed,
      cursor,
      sequence: cursor,
      head: Math.max(head.offset, cursor),
      oldest_cursor: head.oldest,
      epoch: head.epoch,
      resync_required: lost !== null,
      protocol_version: shake.version,
      server_min_version: MIN_PROTOCOL_VERSION,
      server_max_version: MAX_PROTOCOL_VERSION,
      presence: [],
      presence_total: 0,
      health: health(),
      features: { methods: METHODS, events: GatewayEvent.shape.type.options },
      policy: POLICY,
      pending: [],
      turn: run ? { message_id: run.messageId, started_at: run.startedAt / 1000 } : null,
      ...request,
    });
    if (lost && now) connection.send(snapshotOf(session, now, lost));

    const { replay, event } = gatewayDialects(connection.peer.wire);
    conversation.feed = feeds.open({
      log: session.log,
      head,
      after: { epoch: head.epoch, offset: cursor },
      peer: connection.peer,
      dialect: answer === 'hello_ok' ? replay : event,
      replay: { until: head.offset, dialect: replay },
      async onReset({ reason }) {
        const whole = await sessions.state(session.log);
        connection.send(snapshotOf(session, whole, reason));
        return whole;
      },
    });
  }

  /** A refused handshake is said in the words of the one who asked, and ends the connection. */
  async function handshake(
    conversation: Conversation,
    frame: JoinFrame | HelloFrame,
    request: Answered,
  ): Promise<void> {
    try {
      await enter(conversation, handshakeOf(frame), request);
    } catch (error) {
      const refusal = toWireError(error, report);
      const { code, message, details } = refusal;
      const { connection } = conversation;
      connection.send(
        frame.type === 'hello'
          ? { ...helloError(refusal), ...request }
          : { type: 'error', code, message, ...details, ...request },
      );
      connection.close(code);
    }
  }

  async function submit(conversation: Conversation, frame: MessageFrame, request: Answered): Promise<void> {
    const { connection, session, clientId } = conversation;
    if (!session) throw new WireError('bad_request', 'Join an agent first: send "join" with its agent_id.');
    const { messageId } = await sessions.submit(session, {
      content: frame.content,
      source: clientId,
      ...(frame.message_id !== undefined && { messageId: frame.message_id }),
      ...(frame.metadata && { metadata: frame.metadata }),
    });
    connection.send({
      type: 'response',
      status: 'accepted',
      session_id: session.sessionId,
      message_id: messageId,
      ...request,
    });
  }

  const rows: Readonly<Record<string, Row<Conversation>>> = {
    join: { schema: JoinFrame, inTurn: true, handle: handshake },
    hello: { schema: HelloFrame, inTurn: true, handle: handshake },
    message: { schema: MessageFrame, inTurn: true, handle: submit },
    ping: {
      schema: PingFrame,
      handle: ({ connection }, _frame, request) => connection.send({ type: 'pong', ...request }),
    },
    pong: { schema: PongFrame, handle() {} },
  };

  return {
    path: '/',
    rows,
    awaitsFirstFrame: () => true,
    open(connection) {
      return {
        connection,
        clientId: `cli_${random.id()}`,
        session: null,
        feed: null,
        stopViewing: null,
        closed: false,
      };
    },
    closed(conversation) {
      conversation.closed = true;
      leave(conversation);
    },
  };
}

/** Why the entries after a position cannot all be had; `null` when they can. */
function lossOf(since: number, epoch: string | undefined, head: Head): ResetReason | null {
  if (epoch !== undefined && epoch !== head.epoch) return 'epoch';
  if (since > head.offset) return 'ahead';
  return since + 1 < head.oldest ? 'trimmed' : null;
}

/** The session as a whole, in place of entries that cannot be had. */
function snapshotOf(
  session: Session,
  { state, offset, epoch }: SessionNow,
  reason: ResetReason,
): SnapshotFrame {
  return {
    type: 'snapshot',
    reason,
    epoch,
    state: {
      session_id: session.sessionId,
      agent_id: session.component.slice(session.component.indexOf(':') + 1),
      state: state.queue.length > 0 ? 'executing' : 'idle',
      messages: state.messages.map(({ role, content, messageId, at }) => ({
        role,
        content,
        message_id: messageId,
        timestamp: at / 1000,
      })),
      event_cursor: offset,
      truncated: state.truncated,
    },
  };
}
