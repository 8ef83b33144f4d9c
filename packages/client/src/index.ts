export type { Backoff } from './connection/backoff.ts';
export type { ConnectionStatus } from './connection/connection.ts';
export type { Platform, SocketLike } from './connection/platform.ts';
export type { TokenSource } from './connection/tokens.ts';
export {
  AgentNotFoundError,
  type ApprovalAnswer,
  ApprovalConflictError,
  ConnectionError,
  GatewayError,
  InvalidHelloError,
  TimeoutError,
  TooLargeError,
  UnauthorizedError,
  VersionUnsupportedError,
} from './errors.ts';
export type { ClientEvent, EventOf, ResetEvent } from './gateway/client-event.ts';
export type { SessionPosition } from './gateway/session.ts';
export { GatewayClient } from './gateway-client.ts';
export type { GatewayClientOptions } from './options.ts';
export type { PushEvents } from './push/event-types.ts';
export type { MessageHandler, PushMessage } from './push/message.ts';
export type { PushClientOptions } from './push/options.ts';
export type { SubscribeOptions } from './push/subscriptions.ts';
export { type Published, type PushAnswers, PushClient } from './push-client.ts';
export type { RunClientEvent, RunGap } from './run/follow.ts';
export type { RunHandle, RunResult, ToolAnswer } from './run/handle.ts';
export type { AttachOptions, ComponentOption, RunClientOptions, StartOptions } from './run/options.ts';
export type { MemberView, OpenApproval, RunView, ToolCallView } from './run/view.ts';
export { RunClient } from './run-client.ts';
export type { HttpTransportOptions } from './transports/http.ts';
export { PollingTransport } from './transports/polling.ts';
export { SseTransport } from './transports/sse.ts';
export { CloseError, type PushFrame, type PushTransport } from './transports/transport.ts';
export { WebSocketTransport, type WebSocketTransportOptions } from './transports/websocket.ts';
