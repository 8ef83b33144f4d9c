export type { StaticToken } from './auth/authenticate.ts';
export type { Principal, Scope } from './core/access.ts';
export { LEASE_TERMS, type LeaseTerms } from './core/lease.ts';
export { systemClock, systemRandom } from './edge/clock.ts';
export { createGateway, type Gateway, type GatewayOptions } from './gateway.ts';
export type { Bus, Clock, Logs, Random, Records, Report, Store } from './ports.ts';
export { StoreError } from './ports.ts';
export { createMemoryStore, type MemoryStoreOptions } from './stores/memory.ts';
export { openSqliteStore, type SqliteStoreOptions } from './stores/sqlite/index.ts';
