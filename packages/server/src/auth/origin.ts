/** Names under which only programs of this machine reach a server that is bound to loopback. */
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

export interface OriginPolicy {
  /** Whether the server is bound to loopback: then the Host must be a loopback name too (DNS rebinding). */
  readonly loopback: boolean;
  /** Origins that may connect beside the server's own, such as `https://app.example.com`. */
  readonly allowed: readonly string[];
}

/**
 * Why a request is refused, or `null`. A browser says in `Origin` which site's page is asking: a page of another site
 * must not drive a gateway that its visitor can reach. Programs send no Origin.
 */
export function refuseOrigin(
  { host, origin }: { readonly host: string | undefined; readonly origin: string | undefined },
  { loopback, allowed }: OriginPolicy,
): string | null {
  const hostName = host === undefined ? undefined : nameOf(`http://${host}`);
  if (loopback && (hostName === undefined || !LOOPBACK_HOSTS.has(hostName))) {
    return `Host "${host ?? ''}" is not a name of this machine. Use 127.0.0.1 or localhost.`;
  }
  if (origin === undefined || allowed.includes(origin)) return null;
  const originName = nameOf(origin);
  if (originName !== undefined) {
    if (loopback && LOOPBACK_HOSTS.has(originName)) return null;
    if (!loopback && authorityOf(origin) === host) return null;
  }
  return `Pages of "${origin}" may not connect. Add it to the allowed origins if they should.`;
}

function nameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

function authorityOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}

/** Whether a server bound to this address is reached from this machine only. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127(\.\d{1,3}){3}$/.test(address);
}
