import { z } from 'zod';
import { Content } from './events.ts';

/** Door 1: what clients send and get on `/`. Unknown fields are dropped. */

/** An id a client chose: 1 to 200 characters, none of them a control character or half a surrogate pair. */
export const ClientMadeId = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'must be printable text');

/** What a client may put into a request to find its answer by. */
export const RequestId = z.union([z.string().max(200), z.number()]);
export type RequestId = z.infer<typeof RequestId>;

const Offset = z.int().min(0);

export const JoinFrame = z.object({
  type: z.literal('join'),
  agent_id: z.string().min(1).max(200),
  /** Checked by {@link negotiate}, so that a wrong type gets `invalid_protocol_hello`. */
  min_version: z.unknown().optional(),
  max_version: z.unknown().optional(),
  session_id: z.string().max(200).optional(),
  since: Offset.optional(),
  epoch: z.string().max(200).optional(),
  capabilities: z.array(z.string()).optional(),
  token: z.string().optional(),
  client_id: ClientMadeId.optional(),
});
export type JoinFrame = z.infer<typeof JoinFrame>;

/** The same handshake as clients in the field send it. */
export const HelloFrame = z.object({
  type: z.literal('hello'),
  agent_id: z.string().min(1).max(200),
  protocol_min: z.unknown().optional(),
  protocol_max: z.unknown().optional(),
  protocol: z.object({ min: z.unknown().optional(), max: z.unknown().optional() }).optional(),
  capabilities: z.array(z.string()).optional(),
  caps: z.array(z.string()).optional(),
  session_id: z.string().max(200).nullish(),
  since: Offset.nullish(),
  epoch: z.string().max(200).nullish(),
  token: z.string().nullish(),
  client_id: ClientMadeId.nullish(),
});
export type HelloFrame = z.infer<typeof HelloFrame>;

export const MessageFrame = z.object({
  type: z.literal('message'),
  content: Content.refine((content) => content !== '', 'must not be empty'),
  message_id: ClientMadeId.optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  /** For the turn under way, which reads it at its next step, instead of asking for a turn of its own. */
  steer: z.boolean().optional(),
});
export type MessageFrame = z.infer<typeof MessageFrame>;

/** An answer to an approval. The first one counts. */
export const ApprovalResponseFrame = z.object({
  type: z.literal('approval_response'),
  approval_id: z.string().min(1).max(200),
  approved: z.boolean(),
  note: z.string().max(2_000).optional(),
});
export type ApprovalResponseFrame = z.infer<typeof ApprovalResponseFrame>;

/** Ends the turn under way, or the next one that waits. A `message` whose text is `/stop` says the same. */
export const AbortFrame = z.object({
  type: z.enum(['abort', 'message_abort']),
  /** Of a longer one the first 400 characters are kept. */
  reason: z.string().optional(),
});
export type AbortFrame = z.infer<typeof AbortFrame>;

export const LeaveFrame = z.object({ type: z.literal('leave') });

export const PingFrame = z.object({ type: z.literal('ping') });
export const PongFrame = z.object({ type: z.literal('pong') });

const ToolCall = z.object({ id: z.string(), name: z.string(), args: z.unknown().optional() });

/** An entry of the session's log as this door shows it. `sequence` = the entry's offset = `data.cursor`. */
export const GatewayEvent = z.object({
  type: z.enum([
    'message',
    'token_stream',
    'reasoning_stream',
    'tool_call_stream',
    'tool_progress_stream',
    'tool_result_stream',
    'stream_end',
    'stream_error',
    'response',
    'approval_requested',
    'approval_resolved',
    'error',
    'status',
  ]),
  /** The rest depends on the type. */
  data: z.looseObject({
    cursor: z.int(),
    approval_id: z.string().optional(),
    tool_call: ToolCall.optional(),
    /** Unix seconds. */
    expires_at: z.number().optional(),
  }),
  event_id: z.string(),
  /** Unix seconds, with a fraction. */
  timestamp: z.number(),
  source: z.string().nullable(),
  target: z.null(),
  sequence: z.int(),
});
export type GatewayEvent = z.infer<typeof GatewayEvent>;
export type GatewayEventType = GatewayEvent['type'];

export const EventFrame = z.object({ type: z.literal('event'), event: GatewayEvent });
export const ReplayFrame = z.object({ type: z.literal('replay'), event: GatewayEvent, seq: z.int() });
export type EventFrame = z.infer<typeof EventFrame>;
export type ReplayFrame = z.infer<typeof ReplayFrame>;

export const Presence = z.object({
  client_id: z.string(),
  status: z.string(),
  last_seen: z.number(),
  metadata: z.record(z.string(), z.unknown()),
  channels: z.array(z.string()),
});
export type Presence = z.infer<typeof Presence>;

/** A question that a paused run waits to have answered. */
export const PendingApproval = z.object({
  approval_id: z.string(),
  message_id: z.string(),
  tool_call: ToolCall,
  /** Unix seconds. */
  requested_at: z.number(),
  /** Unix seconds. */
  expires_at: z.number().optional(),
});
export type PendingApproval = z.infer<typeof PendingApproval>;

export const Health = z.looseObject({
  status: z.string(),
  /** Seconds. */
  uptime: z.number(),
  agents: z.int(),
  /** Sessions somebody looks at, and sockets, of this server. */
  sessions: z.int(),
  clients: z.int(),
  push: z.boolean(),
});
export type Health = z.infer<typeof Health>;

export const Policy = z.object({
  /** Bytes of the largest frame, both ways. */
  max_payload: z.int(),
  /** Bytes the server keeps unsent for one socket; beyond, it reads on only when the socket drains. */
  max_buffered_bytes: z.int(),
  /** Frames of one socket the server works on at once; beyond, it reads no more from it. */
  max_queued_frames: z.int(),
  heartbeat_ms: z.int(),
});
export type Policy = z.infer<typeof Policy>;

const joined = {
  session_id: z.string(),
  agent_id: z.string(),
  resumed: z.boolean(),
  /** Where this client now stands: the next entry it gets is `cursor` + 1. */
  cursor: z.int(),
  sequence: z.int(),
  head: z.int(),
  /** The oldest entry that is still kept; `head` + 1 when there is none. */
  oldest_cursor: z.int(),
  epoch: z.string(),
  resync_required: z.boolean(),
  protocol_version: z.int(),
  server_min_version: z.int(),
  server_max_version: z.int(),
  presence: z.array(Presence),
  presence_total: z.int(),
  health: Health,
  features: z.object({ methods: z.array(z.string()), events: z.array(z.string()) }),
  policy: Policy,
  pending: z.array(PendingApproval),
  turn: z.object({ message_id: z.string(), started_at: z.number() }).nullable(),
};

export const JoinedFrame = z.object({ type: z.literal('joined'), ...joined });
export type JoinedFrame = z.infer<typeof JoinedFrame>;
export const HelloOkFrame = z.object({ type: z.literal('hello_ok'), protocol: z.int(), ...joined });
export type HelloOkFrame = z.infer<typeof HelloOkFrame>;

export const HelloErrorFrame = z.object({
  type: z.literal('hello_error'),
  code: z.enum([
    'auth_required',
    'auth_unauthorized',
    'protocol_unsupported',
    'agent_not_found',
    'configuration_error',
    'rate_limited',
  ]),
  message: z.string(),
  next_step: z.string(),
  retry_after_seconds: z.number().optional(),
});
export type HelloErrorFrame = z.infer<typeof HelloErrorFrame>;

export const SnapshotMessage = z.object({
  role: z.enum(['user', 'assistant']),
  content: Content,
  message_id: z.string(),
  timestamp: z.number(),
});

/** The session as a whole, in place of entries that cannot be had any more. Live entries go on after `event_cursor`. */
export const SnapshotFrame = z.object({
  type: z.literal('snapshot'),
  reason: z.enum(['epoch', 'trimmed', 'ahead']),
  epoch: z.string(),
  state: z.object({
    session_id: z.string(),
    agent_id: z.string(),
    state: z.enum(['idle', 'executing']),
    messages: z.array(SnapshotMessage),
    event_cursor: z.int(),
    truncated: z.boolean(),
    pending: z.array(PendingApproval),
  }),
});
export type SnapshotFrame = z.infer<typeof SnapshotFrame>;

/** The unnumbered answer to a `message`: it is stored, and the turn's entries will follow. */
export const AcceptedFrame = z.object({
  type: z.literal('response'),
  status: z.literal('accepted'),
  session_id: z.string(),
  message_id: z.string(),
});
export type AcceptedFrame = z.infer<typeof AcceptedFrame>;

/** The unnumbered answer to an `approval_response`: what counts, which is the first answer that came. */
export const ApprovalResolvedFrame = z.object({
  type: z.literal('approval_resolved'),
  approval_id: z.string(),
  approved: z.boolean(),
  note: z.string().optional(),
  /** The client whose answer it was. */
  by: z.string(),
});
export type ApprovalResolvedFrame = z.infer<typeof ApprovalResolvedFrame>;

/** The turn of this message will end `aborted`. */
export const AbortedFrame = z.object({
  type: z.literal('aborted'),
  session_id: z.string(),
  message_id: z.string(),
});
export type AbortedFrame = z.infer<typeof AbortedFrame>;

export const NoActiveTurnFrame = z.object({ type: z.literal('no_active_turn'), session_id: z.string() });
export type NoActiveTurnFrame = z.infer<typeof NoActiveTurnFrame>;

export const LeftFrame = z.object({ type: z.literal('left'), session_id: z.string() });
export type LeftFrame = z.infer<typeof LeftFrame>;

/** The server is about to close this connection: come back after so many milliseconds. */
export const GoawayFrame = z.object({ type: z.literal('goaway'), retry_after_ms: z.int() });
export type GoawayFrame = z.infer<typeof GoawayFrame>;

export const ErrorFrame = z.looseObject({
  type: z.literal('error'),
  code: z.string(),
  message: z.string(),
  request_id: RequestId.optional(),
});
export type ErrorFrame = z.infer<typeof ErrorFrame>;

/** What a client reads on door 1. */
export type GatewayServerFrame =
  | JoinedFrame
  | SnapshotFrame
  | EventFrame
  | ReplayFrame
  | AcceptedFrame
  | ApprovalResolvedFrame
  | AbortedFrame
  | NoActiveTurnFrame
  | LeftFrame
  | GoawayFrame
  | ErrorFrame
  | { readonly type: 'pong' };
