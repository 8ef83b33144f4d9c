import { SSE_HEADERS, SSE_HEARTBEAT } from '@continuo/protocol';
import type { Context } from 'hono';
import type { Clock, EventStream, OpenStream } from '../ports.ts';

/** A comment goes out this often, in ms, so that no proxy takes the stream for dead. */
const HEARTBEAT_MS = 15_000;

/** Opens the response of a request as server-sent events, with its first byte at once and a sign of life from then on. */
export function openEventStream(
  c: Context,
  { openStream, clock }: { readonly openStream: OpenStream; readonly clock: Clock },
): EventStream {
  const stream = openStream(c.req.raw, c.env, SSE_HEADERS);
  const { peer } = stream;
  const heartbeat = peer.wire.frame(SSE_HEARTBEAT);
  let stop = (): void => {};
  const beat = (): void => {
    peer.send(heartbeat);
    stop = clock.schedule(clock.now() + HEARTBEAT_MS, beat);
  };
  beat();
  stream.onClosed(() => stop());
  return stream;
}
