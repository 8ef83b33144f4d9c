import { type Client, type ClientOptions, openAll } from './client.ts';
import type { Subject } from './systems.ts';

/** The subscribers of one channel, and its publisher. */

/** Connections that are opened at once. */
const OPENING = 100;
/** How long messages may take to arrive after the last was published, in ms. */
const ARRIVAL_MS = 20_000;

export interface Load {
  /** Messages of one write. */
  readonly burst: number;
  /** Bursts that are published and not yet delivered to everyone, at most. */
  readonly inFlight: number;
  /** Of one slice. */
  readonly maxMs: number;
  readonly maxMessages: number;
  /** Of one repeat. */
  readonly turns: number;
}

/** A subject that fans out, and how its clients talk to it. */
export interface Broadcaster extends Subject {
  /** What a publisher sends for one message. */
  readonly publishFrame: Buffer;
  /** A client that gets every message. */
  subscribe(options: SubscriberOptions): Promise<Subscriber>;
  /** A client that may publish. */
  openPublisher(port: number): Promise<Client>;
}

export interface SubscriberOptions extends Omit<ClientOptions, 'path'> {
  onMessages(count: number): void;
}

export interface Subscriber {
  /** Counted so far. */
  readonly messages: number;
  /** From now on messages are counted. */
  count(): void;
  close(): void;
}

export interface Crowd {
  /** Publishes within the bounds of `load`; resolves with the number of messages when all were delivered. */
  publish(load: Load): Promise<number>;
  /** Throws when a subscriber got more or less than was published. */
  check(): void;
}

export async function openCrowd(system: Broadcaster, port: number, size: number): Promise<Crowd> {
  const subscribers: Subscriber[] = [];
  let delivered = 0;
  let onDelivered = (): void => {};
  await openAll(size, OPENING, async () => {
    const subscriber = await system.subscribe({
      port,
      onMessages(count) {
        delivered += count;
        onDelivered();
      },
    });
    subscriber.count();
    subscribers.push(subscriber);
  });
  const publisher = await system.openPublisher(port);
  publisher.count();

  const writes = new Map<number, Buffer>();
  function send(messages: number): void {
    const bytes =
      writes.get(messages) ?? Buffer.concat(Array.from({ length: messages }, () => system.publishFrame));
    writes.set(messages, bytes);
    publisher.send(bytes);
  }

  let total = 0;
  return {
    publish({ burst, inFlight, maxMs, maxMessages }) {
      const deliveredBefore = delivered;
      const startedAt = performance.now();
      let published = 0;
      return new Promise((resolve, reject) => {
        const awaited = (): number => published * size - (delivered - deliveredBefore);
        const late = setTimeout(
          () => reject(new Error(`${awaited()} deliveries of ${published} messages are missing`)),
          maxMs + ARRIVAL_MS,
        );
        onDelivered = () => {
          while (awaited() <= (inFlight - 1) * burst * size) {
            if (published < maxMessages && performance.now() - startedAt < maxMs) {
              send(burst);
              published += burst;
            } else if (awaited() > 0) return;
            else {
              clearTimeout(late);
              onDelivered = () => {};
              total += published;
              return resolve(published);
            }
          }
        };
        onDelivered();
      });
    },
    check() {
      const wrong = subscribers.filter(({ messages }) => messages !== total).length;
      if (wrong > 0) throw new Error(`${wrong} subscribers did not get each message once`);
    },
  };
}
