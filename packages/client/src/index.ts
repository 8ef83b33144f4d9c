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
  TooLargeError,
  UnauthorizedError,
  VersionUnsupportedError,
} from './errors.ts';
export type { ClientEvent, EventOf, ResetEvent } from './gateway/audience.ts';
export type { SessionPosition } from './gateway/session.ts';
export { GatewayClient } from './gateway-client.ts';
export type { GatewayClientOptions } from './options.ts';
