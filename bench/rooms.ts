import { isDeepStrictEqual } from 'node:util';
import { type Client, openClient } from './client.ts';
import { maskedFrame } from './frames.ts';
import { openChannel } from './channel-room.ts';
import { ask, CONNECT_FRAME, DOOR_1, joinFrame, openEngine, openSocketIo, PAYLOAD } from './systems.ts';
import { createViewer, type Recovering, type Room } from './viewers.ts';

/** What viewers come back to: a session of door 1, a room of Socket.IO. A channel is in channel-room.ts. */

/** Of Socket.IO every text is counted but Engine.IO's heartbeat. */
const ANY_TEXT_BYTES = 2;

interface Joined {
  readonly session_id: string;
  readonly epoch: string;
  readonly resumed: boolean;
  readonly cursor: number;
}

async function nextFinal(client: Client): Promise<number> {
  for (;;) {
    const text = await client.next();
    if (text.includes('"status":"final"')) return JSON.parse(text).event.sequence;
  }
}

/** A session of door 1, whose agent says back every word as an entry. */
async function openSession(port: number): Promise<Room> {
  const dial = (onMessages?: (count: number) => void): Promise<Client> =>
    openClient({ port, path: DOOR_1, ...(onMessages && { onMessages }) });
  const say = (words: number): Buffer =>
    maskedFrame(JSON.stringify({ type: 'message', content: 'word '.repeat(words).trim() }));

  const creator = await dial();
  const { session_id: sessionId, epoch }: Joined = JSON.parse(await ask(creator, joinFrame(), '"joined"'));
  creator.send(say(1));
  let before = 0;
  let head = await nextFinal(creator);
  creator.close();
  /** Entries of a turn beside its words. */
  const frameEntries = head - 1;

  let resume = joinFrame({ session_id: sessionId, since: head, epoch });
  return {
    async append(count) {
      const speaker = await dial();
      await ask(speaker, resume, '"joined"');
      speaker.send(say(count - frameEntries));
      before = head;
      head = await nextFinal(speaker);
      speaker.close();
      if (head !== before + count) throw new Error(`${head - before} entries were appended, not ${count}`);
      resume = joinFrame({ session_id: sessionId, since: head, epoch });
    },
    async enter() {
      const client = await dial();
      await ask(client, resume, '"joined"');
      return createViewer(client, {
        dial,
        messageBytes: 64,
        resumeFrame: () => resume,
        checkTexts([answer = '{}', ...replayed]) {
          const joined: Joined = JSON.parse(answer);
          const sequences = replayed.map((text) => {
            const { type, seq, event } = JSON.parse(text);
            return type === 'replay' && seq === event.sequence ? seq : null;
          });
          const missed = Array.from({ length: head - before }, (_, index) => before + 1 + index);
          if (!joined.resumed || joined.session_id !== sessionId || joined.cursor !== before)
            throw new Error(`a viewer was not resumed: ${answer}`);
          if (!isDeepStrictEqual(sequences, missed))
            throw new Error(`a viewer missed ${before + 1} to ${head} and got ${sequences}`);
        },
      });
    },
  };
}

interface Connected {
  readonly sid: string;
  readonly pid: string;
}

/** A room of Socket.IO with `connectionStateRecovery`: a client comes back with its private id and its last offset. */
async function openRoom(port: number): Promise<Room> {
  const publishFrame = maskedFrame(`42["publish",${PAYLOAD}]`);
  const subscribeFrame = maskedFrame('420["subscribe","news"]');
  /** Of what was appended last. */
  let offsets: readonly string[] = [];

  async function open(): Promise<{ client: Client; pid: string }> {
    const client = await openEngine({ port });
    const { pid }: Connected = JSON.parse((await ask(client, CONNECT_FRAME, '40{')).slice('40'.length));
    await ask(client, subscribeFrame, '430[');
    return { client, pid };
  }
  const offsetOf = (text: string): string => JSON.parse(text.slice('42'.length))[2];

  async function append(count: number): Promise<void> {
    const { client: listener } = await open();
    const publisher = await openSocketIo({ port });
    publisher.send(Buffer.concat(Array.from({ length: count }, () => publishFrame)));
    const heard: string[] = [];
    while (heard.length < count) heard.push(offsetOf(await listener.next()));
    offsets = heard;
    listener.close();
    publisher.close();
  }
  await append(1); // where those who enter stand

  return {
    append,
    async enter() {
      const { client, pid } = await open();
      return createViewer(client, {
        dial: (onMessages) => openEngine({ port, onMessages }),
        messageBytes: ANY_TEXT_BYTES,
        resumeFrame: () => maskedFrame(`40${JSON.stringify({ pid, offset: offsets.at(-1) })}`),
        checkTexts(texts) {
          const answer = texts.find((text) => text.startsWith('40')); // comes behind what was missed
          const replayed = texts.filter((text) => text !== answer);
          const connected: Connected = JSON.parse(answer?.slice('40'.length) ?? '{}');
          if (connected.pid !== pid) throw new Error('a client of Socket.IO came back and was not recovered');
          if (!isDeepStrictEqual(replayed.map(offsetOf), offsets))
            throw new Error(`a client of Socket.IO missed ${offsets} and got ${replayed.map(offsetOf)}`);
        },
      });
    },
  };
}

export const RECOVERING: readonly Recovering[] = [
  { name: 'continuo, memory', server: 'continuo', args: ['memory'], open: openChannel },
  { name: 'continuo, sqlite', server: 'continuo', args: ['sqlite'], open: openChannel },
  { name: 'continuo, a session', server: 'continuo', args: ['memory'], open: openSession },
  { name: 'Socket.IO, recovery', server: 'socket-io', args: ['recovery'], open: openRoom },
];
