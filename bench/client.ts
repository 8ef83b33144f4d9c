import { connect, type Socket } from 'node:net';
import { FrameReader, maskedFrame, PONG_FRAME, textsOf } from './frames.ts';

/** How long a server may take for anything in a handshake, in ms. */
const ANSWER_MS = 20_000;
const TEXT = 1;
const PING = 9;
/** A shorter text is a heartbeat or an answer, not a message. */
const MESSAGE_BYTES = 64;
/** Engine.IO's heartbeat is text. */
const ENGINE_PING = '2';
const ENGINE_PONG = maskedFrame('3');

/** All clients of the process read into one buffer: what was read is counted before the next read. */
const scratch = Buffer.allocUnsafe(256 * 1024);

export interface ClientOptions {
  readonly port: number;
  /** With its query. */
  readonly path: string;
  /** How many messages have just been completed; called once per read. */
  onMessages?(count: number): void;
}

/** A WebSocket client as cheap as can be: it counts what it gets and understands none of it. */
export interface Client {
  /** Messages counted so far. */
  readonly messages: number;
  /** The next text frame of the handshake. Rejects when it does not come. */
  next(): Promise<string>;
  /** From now on texts that are not counted and that no `next()` waits for go to `onText`. */
  listen(onText: (text: string) => void): void;
  send(frame: Uint8Array): void;
  /** From now on texts of at least `messageBytes` (64, unless it says otherwise) are messages, and counted. */
  count(messageBytes?: number): void;
  /** As `count`, and all that comes is kept as it is, to be looked at when there is time. */
  record(messageBytes?: number): void;
  /** The texts that were recorded, messages and others. */
  recorded(): readonly string[];
  close(): void;
}

/** Connects and upgrades. Rejects when the server refuses. */
export async function openClient({ port, path, onMessages }: ClientOptions): Promise<Client> {
  const texts: string[] = [];
  let waiting: { resolve(text: string): void; reject(error: Error): void } | null = null;
  let broken: Error | null = null;
  let upgraded = false;
  let head = '';
  let messages = 0;
  let onText: ((text: string) => void) | null = null;
  let kept: Buffer[] | null = null;

  function offer(text: string): void {
    if (waiting) waiting.resolve(text);
    else texts.push(text);
    waiting = null;
  }

  function fail(error: Error): void {
    broken ??= error;
    waiting?.reject(broken);
    waiting = null;
  }

  const reader = new FrameReader({
    onFrame(opcode, text) {
      if (opcode === PING) socket.write(PONG_FRAME);
      else if (opcode === TEXT && text === ENGINE_PING) socket.write(ENGINE_PONG);
      else if (opcode !== TEXT) return;
      else if (onText && !waiting) onText(text);
      else offer(text);
    },
  });

  function take(chunk: Buffer, bytes: number): void {
    kept?.push(Buffer.from(chunk.subarray(0, bytes)));
    const count = reader.take(chunk, bytes);
    if (count === 0) return;
    messages += count;
    onMessages?.(count);
  }

  function upgrade(bytes: number): void {
    head += scratch.toString('latin1', 0, bytes);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    if (!head.startsWith('HTTP/1.1 101 ')) return fail(new Error(`${path}: ${head.split('\r\n')[0]}`));
    upgraded = true;
    offer(head.slice(0, end));
    const rest = Buffer.from(head.slice(end + 4), 'latin1');
    take(rest, rest.length);
  }

  const socket: Socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: scratch,
      callback(bytes) {
        if (upgraded) take(scratch, bytes);
        else upgrade(bytes);
        return true;
      },
    },
  });
  socket.on('error', fail);
  socket.on('close', () => fail(new Error(`${path}: the server closed the connection`)));

  function next(): Promise<string> {
    const [text] = texts.splice(0, 1);
    if (text !== undefined) return Promise.resolve(text);
    if (broken) return Promise.reject(broken);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail(new Error(`${path}: no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
      waiting = {
        resolve(answer) {
          clearTimeout(timer);
          resolve(answer);
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      };
    });
  }

  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y29udGludW8gYmVuY2ghIQ==\r\n\r\n',
  );
  await next(); // the head of the answer

  return {
    get messages() {
      return messages;
    },
    next,
    listen(listener) {
      onText = listener;
      for (const text of texts.splice(0)) listener(text);
    },
    send: (frame) => void socket.write(frame),
    count(messageBytes = MESSAGE_BYTES) {
      reader.messageBytes = messageBytes;
    },
    record(messageBytes = MESSAGE_BYTES) {
      reader.messageBytes = messageBytes;
      kept = [];
    },
    recorded: () => textsOf(kept ?? []),
    close: () => void socket.resetAndDestroy(), // without a TIME_WAIT that would use up the ports
  };
}

/** Calls `open` `count` times, at most `at` of them at once. */
export async function openAll<T>(count: number, at: number, open: () => Promise<T>): Promise<T[]> {
  const opened: T[] = [];
  let started = 0;
  async function openSome(): Promise<void> {
    while (started < count) {
      started++;
      opened.push(await open());
    }
  }
  await Promise.all(Array.from({ length: Math.min(at, count) }, openSome));
  return opened;
}
