import { setTimeout as sleep } from 'node:timers/promises';
import { openRawSocket, type RawSocket } from './raw-socket.ts';

/** How long it waits for an answer, and before it dials again, in ms. */
const ANSWER_MS = 5_000;
const REDIAL_MS = 100;

export interface PublisherOptions {
  readonly port: number;
  /** What is published on each channel, in this order, each after the one before it is stored. */
  readonly messages: ReadonlyMap<string, Iterable<{ readonly id: string; readonly data: unknown }>>;
  /** Between two messages of a channel, in ms. */
  readonly everyMs: number;
}

/**
 * Publishes until every message is stored, under its own event id, so that a message whose answer is lost is sent again
 * and stored once. Resolves with how often it had to.
 */
export async function publishAll({ port, messages, everyMs }: PublisherOptions): Promise<number> {
  let dialing: Promise<RawSocket> | null = null;
  let socket: RawSocket | null = null;
  let again = 0;
  /** Told whether the message is stored, by event id; `false`: the connection is over. */
  const waiting = new Map<string, (isStored: boolean) => void>();

  async function dial(): Promise<RawSocket> {
    for (;;) {
      try {
        const opened = await openRawSocket({ port, path: '/ws', onFrame });
        opened.socket.on('close', () => {
          socket = null;
          for (const settle of waiting.values()) settle(false);
        });
        socket = opened;
        return opened;
      } catch {
        await sleep(REDIAL_MS);
      }
    }
  }
  function onFrame(text: string): void {
    const frame = JSON.parse(text) as { readonly type: string; readonly event_id?: string };
    if (frame.type === 'channel.published') waiting.get(frame.event_id ?? '')?.(true);
    else if (frame.type === 'error') throw new Error(`it may not publish: ${text}`);
  }
  async function connected(): Promise<RawSocket> {
    if (socket) return socket;
    dialing ??= dial().finally(() => {
      dialing = null;
    });
    return dialing;
  }
  async function publish(channel: string, id: string, data: unknown): Promise<void> {
    for (let isStored = false; !isStored; ) {
      const at = await connected();
      isStored = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), ANSWER_MS);
        waiting.set(id, (settled) => {
          clearTimeout(timer);
          resolve(settled);
        });
        at.send({ type: 'channel.publish', channel, data, event_id: id });
      });
      if (!isStored) again++;
    }
    waiting.delete(id);
  }

  const lanes = [...messages].map(async ([channel, all]) => {
    for (const { id, data } of all) {
      await publish(channel, id, data);
      await sleep(everyMs);
    }
  });
  await Promise.all(lanes);
  (await connected()).cut();
  return again;
}
