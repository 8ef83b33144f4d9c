import { WireError } from '@continuo/protocol';

export type Scope = 'read' | 'write' | 'publish' | 'admin' | 'impersonate';

/** Who asks. Made by `authenticate()` alone, from the token: never from a field that a client sends. */
export interface Principal {
  readonly subject: string;
  /** The owner of what it creates and sees: sessions, runs, consumers. */
  readonly user: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Which agents and channels: names, or prefixes that end in `*`. */
  readonly patterns: { readonly agents: readonly string[]; readonly channels: readonly string[] };
  readonly tokenId?: string;
  /** Unix ms from which its token is no longer good. */
  readonly expiresAt?: number;
}

export const ALL_SCOPES: readonly Scope[] = ['read', 'write', 'publish', 'admin', 'impersonate'];

export function may(principal: Principal, scope: Scope, kind: 'agents' | 'channels', name: string): boolean {
  return principal.scopes.has(scope) && principal.patterns[kind].some((pattern) => matches(pattern, name));
}

/** Throws `forbidden` unless the principal may. */
export function demand(principal: Principal, scope: Scope, kind: 'agents' | 'channels', name: string): void {
  if (may(principal, scope, kind, name)) return;
  throw new WireError('forbidden', `This token does not allow ${scope} on ${kind.slice(0, -1)} "${name}".`);
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}
