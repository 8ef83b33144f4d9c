import { ACKED_CHANNELS, type Acked } from '../acks.ts';
import { type Client, openAll } from '../client.ts';
import { measure, sumOf, type Window } from '../measure.ts';
import { profiled } from '../profiling.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import { takeTurns } from '../turns.ts';

/** A thousand channels with one subscriber each, who acks every message: what an acked message costs. */

/** Connections that are opened at once. */
const OPENING = 100;
/** How long acks may take after the last message was published, in ms. */
const ARRIVAL_MS = 20_000;
/** Messages that are published and not yet acked, at most. */
const IN_FLIGHT = 100;
/** Messages of one write, each on another channel. */
const BURST = 10;
/** Of one slice. */
const SLICE_MS = 400;
const MAX_MESSAGES = 50_000;
const WARM_UP_SLICES = 2;
/** Of one repeat. */
const TURNS = 9;

interface Slice extends Window {
  readonly messages: number;
}

/** One figure of each turn. */
export interface AckedRun {
  readonly perSecond: readonly number[];
  /** CPU seconds of the server per million messages that were published, delivered and acked. */
  readonly cpuPerMillion: readonly number[];
  readonly window: Window;
}

interface Stage {
  readonly server: ServerProcess;
  slice(): Promise<Slice>;
  close(): Promise<void>;
}

async function openStage(acked: Acked): Promise<Stage> {
  const server = await startServer(acked);
  const { port } = server;
  const clients: Client[] = [];
  let onAcked = (): void => {};
  let onWrong = (_text: string): void => {};

  async function close(): Promise<void> {
    for (const client of clients) client.close();
    await server.stop();
  }

  try {
    const names = Array.from({ length: ACKED_CHANNELS }, (_, index) => `channel-${index}`);
    const left = names.values();
    await openAll(names.length, OPENING, async () => {
      const { value: channel = '' } = left.next();
      const subscriber = await acked.subscribe({
        port,
        channel,
        onAcked: () => onAcked(),
        onWrong: (text) => onWrong(text),
      });
      clients.push(subscriber);
    });
    const publisher = await acked.openPublisher(port);
    publisher.count();
    clients.push(publisher);

    /** Ten channels are one write; every channel gets as much as every other. */
    const frames = names.map((channel) => acked.publishFrame(channel));
    const writes = Array.from({ length: frames.length / BURST }, (_, index) =>
      Buffer.concat(frames.slice(index * BURST, (index + 1) * BURST)),
    );
    let written = 0;

    const publishAll = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const startedAt = performance.now();
        let published = 0;
        let done = 0;
        const fail = (why: string): void => reject(new Error(`${acked.name}: ${why}`));
        const late = setTimeout(() => fail(`${published - done} acks are missing`), SLICE_MS + ARRIVAL_MS);
        const publish = (): void => {
          while (published - done <= IN_FLIGHT - BURST) {
            if (published >= MAX_MESSAGES || performance.now() - startedAt >= SLICE_MS) break;
            publisher.send(writes[written++ % writes.length] ?? Buffer.alloc(0));
            published += BURST;
          }
          if (done < published) return;
          clearTimeout(late);
          resolve(published);
        };
        onWrong = (text) => fail(`got ${text}`);
        onAcked = () => {
          if (++done > published) return fail('a message came twice');
          publish();
        };
        publish();
      });

    return {
      server,
      async slice() {
        let messages = 0;
        const window = await measure(server, async () => {
          messages = await publishAll();
        });
        return { ...window, messages };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One repeat: a fresh server for each subject, all of them at once. In the order of `subjects`. */
export async function runAcked(subjects: readonly Acked[], deadlineMs: number): Promise<AckedRun[]> {
  const stages: Stage[] = [];
  try {
    for (const subject of subjects) stages.push(await openStage(subject));
    for (let round = 0; round < WARM_UP_SLICES; round++) for (const stage of stages) await stage.slice();
    const run = (stage: Stage): Promise<Slice> => profiled(stage.server, 'acked', () => stage.slice());
    const slices = await takeTurns({ stages, turns: TURNS, deadlineMs, run });
    return slices.map((some) => ({
      perSecond: some.map(({ messages, seconds }) => messages / seconds),
      cpuPerMillion: some.map(({ messages, serverCpu }) => (serverCpu / messages) * 1e6),
      window: sumOf(some),
    }));
  } finally {
    await Promise.all(stages.map((stage) => stage.close()));
  }
}
