import { type Client, openAll } from '../client.ts';
import { measure, sumOf, type Window } from '../measure.ts';
import { startServer } from '../server-process.ts';
import type { System } from '../systems.ts';
import { takeTurns } from '../turns.ts';

/** One channel, a thousand subscribers: what a delivery costs. */

const SUBSCRIBERS = 1_000;
/** Connections that are opened at once. */
const OPENING = 100;
/** How long messages may take to arrive after the last was published, in ms. */
const ARRIVAL_MS = 20_000;
const WARM_UP_MS = 500;

interface Load {
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

const BURST: Load = { burst: 10, inFlight: 4, maxMs: 400, maxMessages: 20_000, turns: 7 };
const SINGLE: Load = { burst: 1, inFlight: 1, maxMs: 250, maxMessages: 2_000, turns: 15 };

interface Slice extends Window {
  readonly deliveries: number;
}

/** The figures are one of each turn, so that those of two systems can be compared turn by turn. */
export interface Delivering {
  readonly perSecond: readonly number[];
  /** CPU seconds of the server per million deliveries. */
  readonly cpuPerMillion: readonly number[];
  /** All turns together. */
  readonly window: Window;
}

export interface FanOut {
  readonly burst: Delivering;
  readonly single: Delivering;
}

/** A server with its subscribers, ready to be published to. */
interface Stage {
  readonly system: System;
  slice(load: Load): Promise<Slice>;
  /** Throws when a subscriber got more or less than was published. */
  check(): void;
  close(): Promise<void>;
}

/** What is delivered, over all subscribers of a stage. */
interface Tally {
  delivered: number;
  onDelivered: () => void;
}

/** Publishes within the bounds of `load`; resolves with the number of messages when all were delivered. */
function publishAll(publish: (messages: number) => void, tally: Tally, load: Load): Promise<number> {
  const { burst, inFlight, maxMs, maxMessages } = load;
  const deliveredBefore = tally.delivered;
  const startedAt = performance.now();
  let published = 0;
  return new Promise((resolve, reject) => {
    const awaited = (): number => published * SUBSCRIBERS - (tally.delivered - deliveredBefore);
    const late = setTimeout(
      () => reject(new Error(`${awaited()} deliveries of ${published} messages are missing`)),
      maxMs + ARRIVAL_MS,
    );
    tally.onDelivered = () => {
      while (awaited() <= (inFlight - 1) * burst * SUBSCRIBERS) {
        if (published < maxMessages && performance.now() - startedAt < maxMs) {
          publish(burst);
          published += burst;
        } else if (awaited() > 0) return;
        else {
          clearTimeout(late);
          tally.onDelivered = () => {};
          return resolve(published);
        }
      }
    };
    tally.onDelivered();
  });
}

async function openStage(system: System): Promise<Stage> {
  const server = await startServer(system);
  const { port } = server;
  const tally: Tally = { delivered: 0, onDelivered() {} };
  const subscribers: Client[] = [];
  let published = 0;

  async function close(): Promise<void> {
    for (const client of subscribers) client.close();
    await server.stop();
  }

  async function open(): Promise<Client> {
    await openAll(SUBSCRIBERS, OPENING, async () => {
      const client = await system.subscribe({
        port,
        onMessages(count) {
          tally.delivered += count;
          tally.onDelivered();
        },
      });
      client.count();
      subscribers.push(client);
    });
    const publisher = await system.openPublisher(port);
    publisher.count();
    return publisher;
  }

  try {
    const publisher = await open();
    const writes = new Map<number, Buffer>();
    const publish = (messages: number): void => {
      const bytes =
        writes.get(messages) ?? Buffer.concat(Array.from({ length: messages }, () => system.publishFrame));
      writes.set(messages, bytes);
      publisher.send(bytes);
    };
    return {
      system,
      async slice(load) {
        let messages = 0;
        const window = await measure(server, async () => {
          messages = await publishAll(publish, tally, load);
        });
        published += messages;
        return { ...window, deliveries: messages * SUBSCRIBERS };
      },
      check() {
        const wrong = subscribers.filter((client) => client.messages !== published).length;
        if (wrong > 0) throw new Error(`${system.name}: ${wrong} subscribers did not get each message once`);
      },
      async close() {
        publisher.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function delivering(slices: readonly Slice[]): Delivering {
  return {
    perSecond: slices.map(({ deliveries, seconds }) => deliveries / seconds),
    cpuPerMillion: slices.map(({ deliveries, serverCpu }) => (serverCpu / deliveries) * 1e6),
    window: sumOf(slices),
  };
}

/** One repeat: a fresh server for each system, all of them at once. In the order of `systems`. */
export async function runFanOut(systems: readonly System[], deadlineMs: number): Promise<FanOut[]> {
  const stages: Stage[] = [];
  async function deliver(load: Load): Promise<Delivering[]> {
    for (const stage of stages) await stage.slice({ ...load, maxMs: WARM_UP_MS });
    const { turns } = load;
    const slices = await takeTurns({ stages, turns, deadlineMs, run: (stage) => stage.slice(load) });
    return slices.map(delivering);
  }
  try {
    for (const system of systems) stages.push(await openStage(system));
    const bursts = await deliver(BURST);
    const singles = await deliver(SINGLE);
    for (const stage of stages) stage.check();
    return bursts.flatMap((burst, index) => {
      const single = singles[index];
      return single ? [{ burst, single }] : [];
    });
  } finally {
    await Promise.all(stages.map((stage) => stage.close()));
  }
}
