import { type Client, openAll, openClient } from '../client.ts';
import { maskedFrame } from '../frames.ts';
import { measure, median, sumOf, type Window } from '../measure.ts';
import { type ServerProcess, startServer } from '../server-process.ts';
import { ask, DOOR_1, joinFrame, type Subject } from '../systems.ts';
import { takeTurns } from '../turns.ts';

/** A message and the agent's whole answer, every entry of it stored: what a durable turn takes. */

const SENDING: Buffer = maskedFrame('{"type":"message","content":"good morning"}');
/** How long answers may take to end after the last message was sent, in ms. */
const ARRIVAL_MS = 10_000;
/** Of one repeat. */
const TURNS = 5;
const SLICE_MS = 400;
/** Messages that one session sends in a slice, at most. */
const MAX_MESSAGES = 1_000;

interface Slice extends Window {
  readonly answers: number;
  readonly p50Ms: number;
}

export interface Turning {
  /** Median from the message to the end of its answer. */
  readonly p50Ms: number;
  readonly perSecond: number;
  /** CPU of the server. */
  readonly cpuUs: number;
  readonly window: Window;
}

export interface TurnRun {
  readonly one: Turning;
  readonly many: Turning;
}

/** A new session that sends its next message when the last one is answered. */
interface Talk {
  /** Until a time of `performance.now()`; resolves with each answer's time in ms. */
  run(untilMs: number): Promise<readonly number[]>;
  close(): void;
}

async function openTalk(port: number): Promise<Talk> {
  const client: Client = await openClient({ port, path: DOOR_1 });
  await ask(client, joinFrame(), '"joined"');
  let onEntry = (_text: string): void => {};
  client.listen((text) => onEntry(text));

  const run = (untilMs: number): Promise<readonly number[]> =>
    new Promise((resolve, reject) => {
      const times: number[] = [];
      let texts = 0;
      let perAnswer = 0;
      let sentAt = performance.now();
      const fail = (why: string): void => reject(new Error(`a session with ${times.length} answers ${why}`));
      const late = setTimeout(() => fail('waits for another'), untilMs - sentAt + ARRIVAL_MS);
      onEntry = (text) => {
        texts++;
        if (text.includes('"type":"error"')) fail(`got ${text}`);
        if (!text.includes('"status":"final"')) return;
        const now = performance.now();
        times.push(now - sentAt);
        perAnswer ||= texts;
        if (now < untilMs && times.length < MAX_MESSAGES) {
          sentAt = now;
          client.send(SENDING);
          return;
        }
        clearTimeout(late);
        const { sequence } = JSON.parse(text).event;
        const entries = (perAnswer - 1) * times.length; // all but "accepted"
        if (texts !== perAnswer * times.length || sequence !== entries) fail(`got ${texts} texts`);
        resolve(times);
      };
      client.send(SENDING);
    });
  return { run, close: () => client.close() };
}

async function slice(server: ServerProcess, sessions: number): Promise<Slice> {
  const talks = await openAll(sessions, sessions, () => openTalk(server.port));
  let times: readonly number[] = [];
  const window = await measure(server, async () => {
    const untilMs = performance.now() + SLICE_MS;
    times = (await Promise.all(talks.map((talk) => talk.run(untilMs)))).flat();
  });
  for (const talk of talks) talk.close();
  return { ...window, answers: times.length, p50Ms: median(times) };
}

function turning(slices: readonly Slice[]): Turning {
  const medianOf = (pick: (slice: Slice) => number): number => median(slices.map(pick));
  return {
    p50Ms: medianOf(({ p50Ms }) => p50Ms),
    perSecond: medianOf(({ answers, seconds }) => answers / seconds),
    cpuUs: medianOf(({ answers, serverCpu }) => (serverCpu / answers) * 1e6),
    window: sumOf(slices),
  };
}

/** One repeat: a fresh server for each subject. In the order of `subjects`. */
export async function runTurn(subjects: readonly Subject[], deadlineMs: number): Promise<TurnRun[]> {
  const servers: ServerProcess[] = [];
  async function talk(sessions: number): Promise<Turning[]> {
    for (const server of servers) await slice(server, sessions); // warm-up
    const run = (server: ServerProcess): Promise<Slice> => slice(server, sessions);
    return (await takeTurns({ stages: servers, turns: TURNS, deadlineMs, run })).map(turning);
  }
  try {
    for (const subject of subjects) servers.push(await startServer(subject));
    const ones = await talk(1);
    const manys = await talk(64);
    return ones.flatMap((one, index) => {
      const many = manys[index];
      return many ? [{ one, many }] : [];
    });
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}
