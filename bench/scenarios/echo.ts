import { ANSWER_BYTES, type Echo } from '../echoes.ts';
import { measure, median, sumOf, type Window } from '../measure.ts';
import { startServer } from '../server-process.ts';
import { takeTurns } from '../turns.ts';

/** A ping and its answer on one connection: what a server adds to a round trip. */

/** How long answers may take to arrive after the last ping was sent, in ms. */
const ARRIVAL_MS = 10_000;
const WARM_UP_MS = 500;

interface Load {
  /** Pings that are sent and not yet answered. */
  readonly inFlight: number;
  /** Of one slice. */
  readonly maxMs: number;
  readonly maxPings: number;
  /** Of one repeat. */
  readonly turns: number;
}

const ONE: Load = { inFlight: 1, maxMs: 250, maxPings: 20_000, turns: 9 };
const MANY: Load = { inFlight: 64, maxMs: 250, maxPings: 100_000, turns: 9 };

interface Slice extends Window {
  readonly answers: number;
  /** Median round trip; of a load with one in flight. */
  readonly p50Us: number;
}

/** The figures are one of each turn. */
export interface Echoing {
  readonly p50Us: readonly number[];
  readonly perSecond: readonly number[];
  /** CPU seconds of the server per million answers. */
  readonly cpuPerMillion: readonly number[];
  readonly window: Window;
}

export interface EchoRun {
  readonly one: Echoing;
  readonly many: Echoing;
}

interface Stage {
  slice(load: Load): Promise<Slice>;
  close(): Promise<void>;
}

/** Copies of a frame, one behind the other: each number of them is made once. */
function copiesOf(frame: Buffer): (count: number) => Buffer {
  const made = new Map<number, Buffer>();
  return (count) => {
    const copies = made.get(count) ?? Buffer.concat(Array.from({ length: count }, () => frame));
    made.set(count, copies);
    return copies;
  };
}

async function openStage(echo: Echo): Promise<Stage> {
  const server = await startServer(echo);
  let onAnswers = (_count: number): void => {};
  try {
    const client = await echo.open({ port: server.port, onMessages: (count) => onAnswers(count) });
    client.count(ANSWER_BYTES);
    const pings = copiesOf(echo.pingFrame);

    /** Keeps the load up; resolves with the round trips in ms, of one in flight, when all were answered. */
    const pingAll = ({ inFlight, maxMs, maxPings }: Load): Promise<number[]> =>
      new Promise((resolve, reject) => {
        const roundTrips: number[] = [];
        const startedAt = performance.now();
        let sentAt = startedAt;
        let sent = 0;
        let answered = 0;
        const late = setTimeout(
          () => reject(new Error(`${echo.name}: ${sent - answered} answers are missing`)),
          maxMs + ARRIVAL_MS,
        );
        const send = (count: number): void => {
          sent += count;
          client.send(pings(count));
        };
        onAnswers = (count) => {
          const now = performance.now();
          if (inFlight === 1) roundTrips.push(now - sentAt);
          answered += count;
          if (sent < maxPings && now - startedAt < maxMs) {
            sentAt = performance.now();
            send(count);
          } else if (answered >= sent) {
            clearTimeout(late);
            if (answered > sent) reject(new Error(`${echo.name}: ${sent} pings got ${answered} answers`));
            resolve(roundTrips);
          }
        };
        send(inFlight);
      });

    return {
      async slice(load) {
        const before = client.messages;
        let roundTrips: number[] = [];
        const window = await measure(server, async () => {
          roundTrips = await pingAll(load);
        });
        return { ...window, answers: client.messages - before, p50Us: median(roundTrips) * 1_000 };
      },
      async close() {
        client.close();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function echoing(slices: readonly Slice[]): Echoing {
  return {
    p50Us: slices.map(({ p50Us }) => p50Us),
    perSecond: slices.map(({ answers, seconds }) => answers / seconds),
    cpuPerMillion: slices.map(({ answers, serverCpu }) => (serverCpu / answers) * 1e6),
    window: sumOf(slices),
  };
}

/** One repeat: a fresh server for each subject, all of them at once. In the order of `echoes`. */
export async function runEcho(echoes: readonly Echo[], deadlineMs: number): Promise<EchoRun[]> {
  const stages: Stage[] = [];
  async function ping(load: Load): Promise<Echoing[]> {
    for (const stage of stages) await stage.slice({ ...load, maxMs: WARM_UP_MS });
    const { turns } = load;
    const slices = await takeTurns({ stages, turns, deadlineMs, run: (stage) => stage.slice(load) });
    return slices.map(echoing);
  }
  try {
    for (const echo of echoes) stages.push(await openStage(echo));
    const ones = await ping(ONE);
    const manys = await ping(MANY);
    return ones.flatMap((one, index) => {
      const many = manys[index];
      return many ? [{ one, many }] : [];
    });
  } finally {
    await Promise.all(stages.map((stage) => stage.close()));
  }
}
