import { openRawSocket, type RawSocket } from './raw-socket.ts';
import { until } from './waiting.ts';

/** Statuses of members, by number: 0 is nobody. */
export const STATUSES: readonly string[] = ['', 'online', 'busy', 'away'];

/** Who is on a channel: the status of every member, by the member's number. */
export type Roll = Uint8Array;

interface Change {
  readonly type: string;
  readonly data: { readonly client_id: string; readonly status: string };
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
let newest: { text: string; changes: readonly Change[] } = { text: '', changes: [] };
function changesOf(text: string): readonly Change[] {
  if (newest.text !== text) {
    const frame = JSON.parse(text) as Change & { readonly changes?: readonly Change[] };
    newest = { text, changes: frame.changes ?? [frame] };
  }
  return newest.changes;
}

export async function joinAs(options: MemberOptions): Promise<Member> {
  const { port, number, of, channel, isBatched } = options;
  const changed = new Int8Array(of).fill(-1);
  let first: Roll | null = null;
  let answer: string | null = null;
  let subscribed = false;
  const socket = await openRawSocket({
    port,
    path: '/ws',
    onFrame(text) {
      if (text.startsWith('{"type":"presence.list"')) answer = text;
      else if (text.startsWith('{"type":"channel.subscribed"')) subscribed = true;
      else if (text.startsWith('{"type":"error"')) throw new Error(text);
      else if (text.startsWith('{"type":"presence_')) {
        for (const { type, data } of changesOf(text)) {
          const gone = type === 'presence_leave';
          changed[numberOf(data.client_id)] = gone ? 0 : STATUSES.indexOf(data.status);
        }
      }
    },
  });

  async function query(): Promise<Roll> {
    answer = null;
    socket.send({ type: 'presence.query', channel });
    await until('who is there', 30_000, () => answer !== null);
    const { presence, total } = JSON.parse(answer ?? '') as {
      readonly presence: readonly { readonly client_id: string; readonly status: string }[];
      readonly total: number;
    };
    if (presence.length !== total) throw new Error(`only ${presence.length} of ${total} are named`);
    const roll = new Uint8Array(of);
    for (const { client_id, status } of presence) roll[numberOf(client_id)] = STATUSES.indexOf(status);
    return roll;
  }

  const capabilities = isBatched ? ['presence_batch'] : [];
  socket.send({ type: 'auth', client_id: idOf(number), capabilities });
  socket.send({ type: 'channel.subscribe', channel, delivery: false });
  socket.send({ type: 'presence.heartbeat' }); // whatever status it says is meant
  await until('the subscription', 30_000, () => subscribed);
  first = await query();

  return {
    number,
    socket,
    /**
     * The answer may be newer than a change that came after it, and older than one that came before: what was told last
     * of somebody counts, and what the answer knew better is told again.
     */
    statusOf(other) {
      const told = changed[other] ?? -1;
      return told < 0 ? (first?.[other] ?? 0) : told;
    },
    query,
    say(status) {
      socket.send({ type: 'presence.heartbeat', status });
      changed[number] = STATUSES.indexOf(status);
    },
    leave() {
      socket.socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])); // a close with 1000
    },
  };
}
