import type { Content } from '@continuo/protocol';
import { checkOption } from '../check-option.ts';
import type { Backoff } from '../connection/backoff.ts';
import type { Platform } from '../connection/platform.ts';
import type { TokenSource } from '../connection/tokens.ts';

export interface RunClientOptions {
  /** `http://host:8765`; `ws` and `wss` are taken for `http` and `https`. */
  readonly url: string;
  /**
   * A token, or who makes one: asked before the first request, and once more when the gateway refuses its token; the same
   * token again ends what was asked with `UnauthorizedError`. One that throws is asked again like a broken network: for
   * ever, unless `maxReconnectAttempts` says otherwise.
   */
  readonly token?: TokenSource;
  /** Default: the global one. */
  readonly fetch?: typeof globalThis.fetch;
  /** Default: 1,000 ms, doubled up to 5,000, a fifth shorter or longer by chance. */
  readonly backoff?: Partial<Backoff>;
  /** Failed attempts in a row before a call, or the reading of a run, gives up. Default: never. */
  readonly maxReconnectAttempts?: number;
  /** Something failed and is tried again in `waitMs`. */
  readonly onRetry?: (error: unknown, waitMs: number) => void;
  /** Time and chance; for tests. */
  readonly platform?: Partial<Platform>;
}

/** Exactly one of them: what is to run. */
export interface ComponentOption {
  readonly agent?: string;
  readonly team?: string;
  readonly workflow?: string;
}

export interface StartOptions extends ComponentOption {
  readonly message: Content;
  /** Default: a new session. */
  readonly sessionId?: string;
  /** The same key with the same message is the same run, from any client of the same person. Default: a new one. */
  readonly idempotencyKey?: string;
  /** Ends the call; not the run. */
  readonly signal?: AbortSignal;
}

export interface AttachOptions extends ComponentOption {
  /** The index after which events are wanted. Default -1: all. */
  readonly after?: number;
}

const KINDS = ['agent', 'team', 'workflow'] as const;

/** `.` and `..` are no ids: they would lead out of a path. */
export function checkId(name: string, value: unknown, allowed: RegExp = /^(?!\.\.?$).{1,200}$/s): void {
  checkOption(name, value, 'string', allowed.test(String(value)));
}

/** `/agents/ID`; `undefined` where none is named. */
export function componentPath(options: ComponentOption): string | undefined {
  const [kind, other] = KINDS.filter((each) => options[each] !== undefined);
  if (other) checkOption(other, `used with ${kind}`, 'string', false);
  if (!kind) return undefined;
  checkId(kind, options[kind]);
  return `/${kind}s/${encodeURIComponent(String(options[kind]))}`;
}
