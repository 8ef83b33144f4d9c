import {
  AbortFrame,
  type Approval,
  ApprovalResponseFrame,
  type Component,
  GatewayEvent,
  HEARTBEAT_MS,
  type Health,
  HelloFrame,
  JoinFrame,
  LeaveFrame,
  lossOf,
  MAX_PROTOCOL_VERSION,
  MessageFrame,
  MIN_PROTOCOL_VERSION,
  type PendingApproval,
  PingFrame,
  PongFrame,
  type ResetReason,
  type SnapshotFrame,
  WireError,
} from '@continuo/protocol';
import { demand, type Principal } from '../core/access.ts';
import type { Approvals } from '../core/approvals.ts';
import { type Feed, type Feeds, WATERMARK_BYTES } from '../core/feed.ts';
import type { Presences } from '../core/presence.ts';
import { openApprovals } from '../core/run.ts';
import type { SessionState } from '../core/session.ts';
import type { Session, SessionNow, Sessions } from '../core/sessions.ts';
import { demandSteerable, type Steering } from '../core/steering.ts';
import type { Workers } from '../core/worker.ts';
import type { Limits } from '../limits.ts';
import type { Random, Report } from '../ports.ts';
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
  readonly approvals: Approvals;
  readonly steering: Steering;
  readonly presences: Presences;
  readonly feeds: Feeds;
  readonly limits: Limits;
  readonly random: Random;
  readonly report: Report;
  workers(): Workers;
  findComponent(id: string): Component | undefined;
  health(): Health;
}

interface Conversation {
  readonly connection: Connection;
  clientId: string;
  session: Session | null;
  /** Who joined it. */
  principal: Principal | null;
  feed: Feed | null;
  /** What its entering the session is undone with. */
  leaving: readonly (() => void)[];
  /** Its socket is gone. */
  closed: boolean;
}

/** A message of exactly this text ends the turn under way. */
const STOP = '/stop';

export function createGatewayDoor(options: GatewayDoorOptions): SocketProtocol<Conversation> {
  const {
    sessions,
    approvals,
    steering,
    presences,
    feeds,
    limits,
    random,
    report,
    workers,
    findComponent,
    health,
  } = options;
  const policy = {
    max_payload: limits.maxPayloadBytes,
    max_buffered_bytes: WATERMARK_BYTES,
    max_queued_frames: MAX_QUEUED_FRAMES,
    heartbeat_ms: HEARTBEAT_MS,
  };

  function exit(conversation: Conversation): void {
    conversation.feed?.close();
    for (const undo of conversation.leaving) undo();
    conversation.feed = null;
    conversation.leaving = [];
    conversation.session = null;
    conversation.principal = null;
  }

  function sessionOf({ session }: Conversation): Session {
    if (!session) throw notJoined();
    return session;
  }

  async function enter(conversation: Conversation, shake: Handshake, request: Answered): Promise<void> {
    const { connection } = conversation;
    const { answer, agentId, sessionId, since, epoch } = shake;
    const principal = await connection.authenticate(shake.token);
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
    const lost = resumed ? lossOf({ offset: since, ...(epoch !== undefined && { epoch }) }, head) : null;
    const now = lost || head.offset > 0 ? await sessions.state(session.log) : null;
    const cursor = lost ? (now?.offset ?? 0) : resumed ? since : 0;
    if (conversation.closed) return;

    exit(conversation);
    conversation.clientId = shake.clientId ?? conversation.clientId;
    conversation.session = session;
    conversation.principal = principal;
    const leavePresence = presences.enter(agentId, principal.user, conversation.clientId);
    conversation.leaving = [sessions.view(session), leavePresence];
    const { named, total } = await presences.list(agentId, principal);
    if (conversation.closed) return;
    const run = now?.state.run;
    const joined = {
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
      presence: [...named],
      presence_total: total,
      health: health(),
      features: { methods: Object.keys(rows), events: GatewayEvent.shape.type.options },
      policy,
      pending: now ? pendingOf(now.state) : [],
      turn: run ? { message_id: run.messageId, started_at: run.startedAt / 1000 } : null,
      ...request,
    };
    if (answer === 'joined') connection.send({ type: 'joined', ...joined });
    else connection.send({ type: 'hello_ok', protocol: shake.version, ...joined });
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
      connection.sendError(
        code,
        frame.type === 'hello'
          ? { ...helloError(refusal), ...request }
          : { ...details, type: 'error', code, message, ...request },
      );
      connection.close(code);
    }
  }

  async function submit(conversation: Conversation, frame: MessageFrame, request: Answered): Promise<void> {
    const { connection, clientId } = conversation;
    const session = sessionOf(conversation);
    if (frame.content === STOP) return abort(conversation, {}, request);
    if (frame.steer) return steer(conversation, frame, request);
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

  /** For the turn under way: either it reads the message, or the sender is told that it will not. */
  async function steer(conversation: Conversation, frame: MessageFrame, request: Answered): Promise<void> {
    const { log, sessionId, component } = sessionOf(conversation);
    const { run } = (await sessions.state(log)).state;
    if (!run) throw new WireError('too_late', 'No turn is under way. Send it as a new message.');
    demandSteerable(findComponent(component.slice(component.indexOf(':') + 1)));
    const { content, message_id: wanted } = frame;
    const { messageId } = await steering.send({ log, runId: run.runId }, { content, messageId: wanted });
    conversation.connection.send({
      type: 'response',
      status: 'accepted',
      session_id: sessionId,
      message_id: messageId,
      ...request,
    });
  }

  async function abort(
    conversation: Conversation,
    { reason }: Pick<AbortFrame, 'reason'>,
    request: Answered,
  ): Promise<void> {
    const session = sessionOf(conversation);
    const { connection } = conversation;
    const messageId = await sessions.abort(session, reason ?? 'Somebody stopped it.');
    const answered = { session_id: session.sessionId, ...request };
    if (messageId === null) connection.send({ type: 'no_active_turn', ...answered });
    else connection.send({ type: 'aborted', message_id: messageId, ...answered });
  }

  async function resolve(
    conversation: Conversation,
    { approval_id, approved, note }: ApprovalResponseFrame,
    request: Answered,
  ): Promise<void> {
    const { connection, clientId: by, principal } = conversation;
    if (!principal) throw notJoined();
    const answer = { approved, by, ...(note !== undefined && { note }) };
    const { answer: first } = await approvals.resolve(principal, approval_id, answer);
    connection.send({ type: 'approval_resolved', approval_id, ...first, ...request });
  }

  function leave(conversation: Conversation, _frame: unknown, request: Answered): void {
    const { sessionId } = sessionOf(conversation);
    exit(conversation);
    conversation.connection.send({ type: 'left', session_id: sessionId, ...request });
  }

  const rows: Readonly<Record<string, Row<Conversation>>> = {
    join: { schema: JoinFrame, inTurn: true, handle: handshake },
    hello: { schema: HelloFrame, inTurn: true, handle: handshake },
    message: { schema: MessageFrame, inTurn: true, handle: submit },
    abort: { schema: AbortFrame, inTurn: true, handle: abort },
    message_abort: { schema: AbortFrame, inTurn: true, handle: abort },
    approval_response: { schema: ApprovalResponseFrame, inTurn: true, handle: resolve },
    leave: { schema: LeaveFrame, inTurn: true, handle: leave },
    ping: {
      schema: PingFrame,
      handle: ({ connection }, _frame, request) => connection.send({ type: 'pong', ...request }),
    },
    pong: { schema: PongFrame, handle() {} },
  };

  return {
    path: '/',
    rows,
    open(connection) {
      return {
        connection,
        clientId: `cli_${random.id()}`,
        session: null,
        principal: null,
        feed: null,
        leaving: [],
        closed: false,
      };
    },
    isBusy: ({ session }) => session !== null && workers().isActive(session.log),
    closed(conversation) {
      conversation.closed = true;
      exit(conversation);
    },
  };
}

function notJoined(): WireError {
  return new WireError('bad_request', 'Join an agent first: send "join" with its agent_id.');
}

/** The questions of paused turns, and of the session's runs, that nobody has answered. */
function pendingOf({ paused, asked }: Readonly<SessionState>): PendingApproval[] {
  const ofTurns = paused.flatMap(({ run }) =>
    openApprovals(run).map((open) => pendingApproval(open, run.messageId)),
  );
  return [...ofTurns, ...asked.map(({ approval, messageId }) => pendingApproval(approval, messageId))];
}

function pendingApproval(open: Approval, messageId: string): PendingApproval {
  const { approvalId, callId, name, args, requestedAt, expiresAt } = open;
  return {
    approval_id: approvalId,
    message_id: messageId,
    tool_call: { id: callId, name, args },
    requested_at: requestedAt / 1000,
    expires_at: expiresAt / 1000,
  };
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
      pending: pendingOf(state),
    },
  };
}
