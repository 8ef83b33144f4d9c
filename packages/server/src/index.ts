export type { AuthOptions, StaticToken } from './auth/authenticate.ts';
export type { JwtOptions, KeySetJwtOptions, SecretJwtOptions } from './auth/jwt.ts';
export { ALL_SCOPES, type Principal, type Scope } from './core/access.ts';
export type { ChannelOptions } from './core/channel-options.ts';
export type { ChannelNames, Published } from './core/channels.ts';
export type { HookAnswer, OnPublish, OnSubscribe, PublishEvent, SubscribeEvent } from './core/hooks.ts';
export { LEASE_TERMS, type LeaseTerms } from './core/lease.ts';
export type { RetentionLimits } from './core/log.ts';
export type { ChannelPage, PageQuery } from './core/page.ts';
export { systemClock, systemRandom } from './edge/clock.ts';
export type { AttachOptions } from './edge/mount.ts';
export { createGateway, type Gateway, type GatewayOptions } from './gateway.ts';
export { LIMITS, type Limits, NO_LIMITS } from './limits.ts';
export { nearestKey } from './nearest-key.ts';
export type { Bus, Clock, Logs, Random, Records, Report, Store } from './ports.ts';
export { StoreError } from './ports.ts';
export {
  type DeliveryOptions,
  type PollingOptions,
  type PresenceOptions,
  type PushOptions,
  resolvePush,
} from './push-options.ts';
export type { ServerChannels } from './server-channels.ts';
export { type OpenStoreOptions, openStore } from './store.ts';
export { createMemoryStore, type MemoryStoreOptions } from './stores/memory.ts';
export { type Durability, openSqliteStore, type SqliteStoreOptions } from './stores/sqlite/index.ts';
export { newestEntryAt } from './stores/sqlite/newest.ts';
