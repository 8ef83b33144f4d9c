import { ChannelName } from '@continuo/protocol';
import { DEFAULTS } from '../config/settings.ts';
import { UsageError } from '../fail.ts';

/** What the commands about channels share. */
export interface ChannelOptions {
  readonly url?: string;
  readonly token?: string;
}

export function channelOf(name: string): string {
  const parsed = ChannelName.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new UsageError(`The channel is "${name}": it ${parsed.error.issues[0]?.message}.`);
}

/** Where the gateway's routes are: `http` or `https`, without the path of its socket or a slash at the end. */
export function gatewayUrl({ url = `http://${DEFAULTS.host}:${DEFAULTS.port}` }: ChannelOptions): string {
  let parsed: URL;
  try {
    parsed = new URL(url.replace(/^ws/i, 'http'));
  } catch {
    throw new UsageError(`--url is "${url}": it must look like http://127.0.0.1:8765.`);
  }
  if (!/^https?:$/.test(parsed.protocol))
    throw new UsageError(`--url is "${url}": it must look like http://127.0.0.1:8765.`);
  return `${parsed.origin}${parsed.pathname}`.replace(/\/(ws\/?)?$/, '');
}

export function unreachable(url: string, cause: unknown): UsageError {
  const error = new UsageError(`No gateway answers at ${url}: start one with continuo serve --push.`);
  error.cause = cause;
  return error;
}
