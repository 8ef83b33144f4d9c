export type { AgentRunner, Approval, Component, HistoryMessage, RunContext } from './agent.ts';
export type { ChatFrame } from './chat.ts';
export {
  type Cursor,
  decodeVectorCursor,
  encodeVectorCursor,
  type Position,
  type Reset,
  type ResetReason,
  type VectorCursor,
} from './cursor.ts';
export type { Draft, Entry } from './entry.ts';
export { ERRORS, type ErrorCode, type RetryRule, retryRuleOf, WireError } from './errors.ts';
export {
  type AgentEvent,
  type AgentEventType,
  AgentOutput,
  ComponentRef,
  Content,
  EndStatus,
  type EngineEvent,
  type Lineage,
  Member,
  type MessageEvent,
  type RunEvent,
} from './events.ts';
export {
  AbortedFrame,
  AbortFrame,
  AcceptedFrame,
  ApprovalResolvedFrame,
  ApprovalResponseFrame,
  ClientMadeId,
  ErrorFrame,
  EventFrame,
  GatewayEvent,
  type GatewayEventType,
  type GatewayServerFrame,
  GoawayFrame,
  Health,
  HelloErrorFrame,
  HelloFrame,
  HelloOkFrame,
  JoinedFrame,
  JoinFrame,
  LeaveFrame,
  LeftFrame,
  MessageFrame,
  NoActiveTurnFrame,
  PendingApproval,
  PingFrame,
  Policy,
  PongFrame,
  Presence,
  ReplayFrame,
  SnapshotFrame,
  SnapshotMessage,
} from './gateway.ts';
export {
  HANDSHAKE_MS,
  HEARTBEAT_MS,
  MAX_ENTRY_DATA,
  MAX_PAYLOAD,
  MAX_PROTOCOL_VERSION,
  MIN_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
} from './limits.ts';
export { draftOf, eventOf, isMessage } from './projections/event-of.ts';
export { toChat } from './projections/to-chat.ts';
export { toGateway } from './projections/to-gateway.ts';
export { componentFields, toRun } from './projections/to-run.ts';
export {
  AckFrame,
  AckReceivedFrame,
  AuthenticatedFrame,
  AuthFrame,
  ChannelMessageFrame,
  ChannelName,
  ChannelResetFrame,
  ConnectedFrame,
  PollAck,
  PollBatch,
  PollMessages,
  PollRegister,
  PollRegistered,
  PollSubscribe,
  PublishedFrame,
  PublishFrame,
  SubscribedFrame,
  SubscribeFrame,
  UnsubscribedFrame,
  UnsubscribeFrame,
} from './push.ts';
export {
  CatchUp,
  ComponentJson,
  Gap,
  Replay,
  ResumeError,
  ResumeRequest,
  RunAccepted,
  RunEventJson,
  type RunMeta,
  RunOutput,
  RunRequest,
  RunStatus,
  Subscribed,
} from './runs.ts';
export {
  createSseReader,
  SSE_HEADERS,
  SSE_HEARTBEAT,
  type SseEvent,
  type SseReader,
  writeSse,
} from './sse.ts';
export { negotiate } from './version.ts';
