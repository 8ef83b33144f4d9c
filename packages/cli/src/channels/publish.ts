import type { ChannelPosted, WireError } from '@continuo/protocol';
import type { z } from 'zod';
import { UsageError } from '../fail.ts';
import { type ChannelOptions, channelOf, gatewayUrl, unreachable } from './options.ts';

export interface PublishOptions extends ChannelOptions {
  /** The same id again is stored once. */
  readonly eventId?: string;
}

/** How long the gateway may take to store a message, in ms. */
const ANSWER_MS = 10_000;

/**
 * Publishes one message and returns what the gateway says: `{"event_id","sequence"}`, as one line. Throws a `UsageError`
 * when the gateway cannot be had, or refuses.
 */
export async function publish(name: string, json: string, options: PublishOptions): Promise<string> {
  const channel = channelOf(name);
  const url = gatewayUrl(options);
  const response = await fetch(`${url}/api/channels/${encodeURIComponent(channel)}/messages`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
    },
    body: JSON.stringify({ data: parse(json), event_id: options.eventId }),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((cause: unknown) => {
    throw unreachable(url, cause);
  });
  const answer = (await response.json().catch(() => null)) as
    | z.infer<typeof ChannelPosted>
    | { readonly error?: Partial<WireError> }
    | null;
  if (response.ok && answer && 'sequence' in answer) return `${JSON.stringify(answer)}\n`;
  const told = answer && 'error' in answer ? answer.error?.message : undefined;
  throw new UsageError(told ?? `${url} answers ${response.status}: is it a Continuo gateway?`);
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new UsageError(`"${json.slice(0, 60)}" is no JSON: text is written '"like this"', in both quotes.`);
  }
}
