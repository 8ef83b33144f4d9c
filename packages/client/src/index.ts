export type { Backoff } from './connection/backoff.ts';
export type { ConnectionStatus } from './connection/connection.ts';
export type { Platform, SocketLike } from './connection/platform.ts';
export { ConnectionError, GatewayError, VersionUnsupportedError } from './errors.ts';
export {
  type ClientEvent,
  GatewayClient,
  type GatewayClientOptions,
  type ResetEvent,
  type SessionPosition,
} from './gateway-client.ts';
