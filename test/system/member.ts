import { openRawSocket, type RawSocket } from './raw-socket.ts';
import { until } from './waiting.ts';

/** Statuses of members, by number: 0 is nobody. */
export const STATUSES: readonly string[] = ['', 'online', 'busy', 'away'];

/** A client that has beaten is expected to go on, this often, in ms. */
const BEAT_MS = 15_000;

/** Who is on a channel: the status of every member, by the member's number. */
export type Roll = Uint8Array;

interface Change {
  readonly type: string;
  readonly data: { readonly client_id: string; readonly status: string };
}

interface List {
  readonly presence: readonly { readonly client_id: string; readonly status: string }[];
  readonly total: number;
}

/** A client on one channel that folds what it is told about the others. */
export interface Member {
  readonly number: number;
  readonly socket: RawSocket;
  /** What it was told first, and all changes since. Nobody is told of itself: what it said counts. */
  statusOf(other: number): number;
  /** Asks who is there. Rejects when the answer is not whole. */
  query(): Promise<Roll>;
  say(status: string): void;
  /** Closes in good order, which a client that is killed does not. */
  leave(): void;
}

export interface MemberOptions {
  readonly port: number;
  readonly number: number;
  /** How many members there may be. */
  readonly of: number;
  readonly channel: string;
  readonly isBatched: boolean;
}

export function idOf(number: number): string {
  return `m-${number}`;
}

function numberOf(id: string): number {
  return Number(id.slice(2));
}

/** Everybody gets the same text: it is parsed once. */
let parsed: { text: string; changes: readonly Change[] } = { text: '', changes: [] };
function changesOf(text: string): readonly Change[] {
  if (parsed.text !== text) {
    const frame = JSON.parse(text) as Change & { readonly changes?: readonly Change[] };
    parsed = { text, changes: frame.changes ?? [frame] };
  }
  return parsed.changes;
}

function rollOf({ presence }: List, of: number): Roll {
  const roll = new Uint8Array(of);
  for (const { client_id, status } of presence) roll[numberOf(client_id)] = STATUSES.indexOf(status);
  return roll;
}

export async function joinAs(options: MemberOptions): Promise<Member> {
  const { port, number, of, channel, isBatched } = options;
  const roll = new Uint8Array(of);
  let answers = 0;
  let newest: List = { presence: [], total: 0 };
  let subscribed = false;
  const socket = await openRawSocket({
    port,
    path: '/ws',
    onFrame(text) {
      // Asked for, or because there were more changes than are kept: it is newer than all changes before it.
      if (text.startsWith('{"type":"presence.list"')) {
        answers++;
        newest = JSON.parse(text) as List;
        roll.set(rollOf(newest, of));
      } else if (text.startsWith('{"type":"channel.subscribed"')) subscribed = true;
      else if (text.startsWith('{"type":"error"')) throw new Error(text);
      else if (text.startsWith('{"type":"presence_')) {
        for (const { type, data } of changesOf(text)) {
          const gone = type === 'presence_leave';
          roll[numberOf(data.client_id)] = gone ? 0 : STATUSES.indexOf(data.status);
        }
      }
    },
  });

  async function query(): Promise<Roll> {
    const before = answers;
    socket.send({ type: 'presence.query', channel });
    await until('who is there', 30_000, () => answers > before);
    if (newest.presence.length !== newest.total)
      throw new Error(`only ${newest.presence.length} of ${newest.total} are named`);
    return rollOf(newest, of);
  }

  const capabilities = isBatched ? ['presence_batch'] : [];
  socket.send({ type: 'auth', client_id: idOf(number), capabilities });
  socket.send({ type: 'channel.subscribe', channel, delivery: false });
  const beat = (): void => socket.send({ type: 'presence.heartbeat' }); // without a status: each that it says is meant
  beat();
  const beating = setInterval(beat, BEAT_MS);
  socket.socket.on('close', () => clearInterval(beating));
  await until('the subscription', 30_000, () => subscribed);
  await query();

  return {
    number,
    socket,
    statusOf: (other) => roll[other] ?? 0,
    query,
    say(status) {
      socket.send({ type: 'presence.heartbeat', status });
      roll[number] = STATUSES.indexOf(status);
    },
    leave() {
      socket.socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])); // a close with 1000
    },
  };
}
