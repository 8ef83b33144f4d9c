import { setTimeout as sleep } from 'node:timers/promises';
import { PushClient, type PushClientOptions } from '@continuo/client';
import type { Fate } from './letters.ts';
import { createWireRecord, type WireRecord } from './wire-record.ts';

/** One consumer of one channel with the shipped client, and what its handler saw. */
export interface Consumer {
  readonly client: PushClient;
  readonly clientId: string;
  readonly channel: string;
  /** Messages that its handler was done with, by event id. */
  readonly handled: ReadonlySet<string>;
  /** What must not be: a message that came out of order, or once more after it was handled. */
  readonly wrong: readonly string[];
  /** How often its handler failed. */
  readonly failures: number;
  readonly wire: WireRecord;
  /** Transports it was seen to use, in order, without repeats. */
  readonly transports: readonly string[];
}

export interface ConsumerOptions extends Pick<PushClientOptions, 'backoff' | 'probeMs'> {
  readonly port: number;
  readonly channel: string;
  readonly clientId: string;
  /** How long a handler hangs, in ms. */
  readonly hangMs: number;
}

const WATCH_MS = 20;

class HandlerFailed extends Error {}

/** Resolves when it has subscribed. */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { port, channel, clientId, hangMs, ...terms } = options;
  const wire = createWireRecord();
  const calls = new Map<string, number>();
  const handled = new Set<string>();
  const wrong: string[] = [];
  const transports: string[] = [];
  let failures = 0;
  let newest = 0;

  const client = new PushClient({
    url: `ws://127.0.0.1:${port}/ws`,
    clientId,
    WebSocket: wire.WebSocket,
    fetch: wire.fetch,
    ...terms,
    onError(error) {
      if (!(error instanceof HandlerFailed)) wrong.push(`${clientId}: ${String(error)}`);
    },
  });
  const watching = setInterval(() => {
    const { transportName } = client;
    if (client.isConnected && transportName && transportName !== transports.at(-1))
      transports.push(transportName);
  }, WATCH_MS);
  client
    .waitClosed()
    .catch(() => {})
    .finally(() => clearInterval(watching));

  async function meet(fate: Fate, isFirst: boolean): Promise<void> {
    if (fate === 'hangs' && isFirst) await sleep(hangMs);
    else if (fate === 'stuck') await new Promise<void>(() => {});
    else if (fate === 'poison' || (fate === 'throws' && isFirst)) {
      failures++;
      throw new HandlerFailed('as it was told');
    }
  }

  await client.connect();
  await client.subscribe(channel, async ({ eventId, data, redelivered }) => {
    const { n, fate } = data as { readonly n: number; readonly fate: Fate };
    if (handled.has(eventId)) wrong.push(`${clientId}: ${eventId} came again after it was handled`);
    if (!redelivered && n <= newest) wrong.push(`${clientId}: ${eventId} came after ${newest}, unmarked`);
    if (!redelivered) newest = n;
    const call = (calls.get(eventId) ?? 0) + 1;
    calls.set(eventId, call);
    await meet(fate, call === 1);
    handled.add(eventId);
  });

  return {
    client,
    clientId,
    channel,
    handled,
    wrong,
    wire,
    transports,
    get failures() {
      return failures;
    },
  };
}
