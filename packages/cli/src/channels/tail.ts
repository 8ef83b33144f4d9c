import { PushClient, type PushMessage } from '@continuo/client';
import { UsageError } from '../fail.ts';
import { type ChannelOptions, channelOf, gatewayUrl, unreachable } from './options.ts';

export interface TailOptions extends ChannelOptions {
  /** The sequence after which to begin; 0: the oldest that is kept. Default: with the next message. */
  readonly since?: number;
}

/** How long the gateway may take to answer at first, in ms. */
const ANSWER_MS = 5_000;
/** What whoever reads the output may leave unread, in bytes. */
const UNREAD_BYTES = 16 * 1024 * 1024;
/** A person waits: it comes back sooner than a service would. */
const BACKOFF = { initialMs: 250, maxMs: 5_000 };

/**
 * Prints every message of a channel as a line of JSON, at most once and in order, over any number of broken connections.
 * Returns on Ctrl-C, and when nobody reads its output any more. Throws a `UsageError` when the gateway cannot be had at
 * first, or refuses.
 */
export async function tail(name: string, options: TailOptions): Promise<void> {
  const channel = channelOf(name);
  const url = gatewayUrl(options);
  const note = (text: string): void => void process.stderr.write(`continuo: ${text}\n`);
  const client = new PushClient({
    url: `${url.replace(/^http/, 'ws')}/ws`,
    backoff: BACKOFF,
    ...(options.token !== undefined && { authToken: options.token }),
    onError: (error) => note(error instanceof Error ? error.message : String(error)),
  });
  client.on('channel.reset', ({ reason, from, to }) =>
    note(
      reason === 'trimmed'
        ? `messages ${from + 1} to ${to} are gone`
        : `the channel is not the one it was (${reason}): it goes on after message ${to}`,
    ),
  );
  let isStopped = false;
  const stop = (): void => {
    isStopped = true;
    client.disconnect();
  };
  let isSlow = false;
  const show = (message: PushMessage): void => {
    print(message);
    isSlow ||= process.stdout.writableLength > UNREAD_BYTES;
    if (isSlow) client.disconnect();
  };
  process.once('SIGINT', stop);
  process.stdout.once('error', stop);
  const closed = client.waitClosed();
  closed.catch(() => {}); // told below
  try {
    await client.connect({ signal: AbortSignal.timeout(ANSWER_MS) });
    const since = options.since === undefined ? {} : { since: options.since };
    await client.subscribe(channel, show, { delivery: false, echo: true, ...since });
  } catch (error) {
    client.disconnect();
    if (isStopped) return;
    if (error instanceof Error && error.name === 'TimeoutError') throw unreachable(url, error);
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  try {
    await closed;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  } finally {
    process.off('SIGINT', stop);
  }
  if (isSlow) throw new UsageError('Whoever reads this output is too slow for the channel.');
}

function print({ channel, sequence, eventId, timestamp, source, data }: PushMessage): void {
  const line = { channel, sequence, event_id: eventId, timestamp, source, data };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
