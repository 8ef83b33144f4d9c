import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { openRawSocket, type RawSocket } from './raw-socket.ts';
import { until } from './waiting.ts';

/** A client that sends whatever it likes, byte for byte. */

type Frame = Readonly<Record<string, unknown>>;

export interface Stranger {
  readonly raw: RawSocket;
  /** A frame of text, whatever the text is. */
  send(text: string | Buffer): void;
  /** A frame of any kind: 1 is text, 2 binary. */
  write(opcode: number, payload: Buffer): void;
  /** The next frame of the server. */
  next(withinMs?: number): Promise<Frame>;
  /** The code with which the server closes; 1006 when it cuts. */
  closed(withinMs?: number): Promise<number>;
}

export interface StrangerOptions {
  readonly port: number;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function openStranger({ path = '/', ...options }: StrangerOptions): Promise<Stranger> {
  const raw = await openRawSocket({ path, ...options });
  let taken = 0;
  const write = (opcode: number, payload: Buffer): void => void raw.socket.write(frameOf(opcode, payload));
  return {
    raw,
    write,
    send: (text) => write(1, Buffer.from(text)),
    async next(withinMs = 5_000) {
      const index = taken++;
      await until(`frame ${index + 1}`, withinMs, () => raw.frames.length > index);
      return raw.frames[index] ?? {};
    },
    async closed(withinMs = 5_000) {
      await until('the close', withinMs, () => raw.closeCode !== null || raw.socket.destroyed);
      return raw.closeCode ?? 1006;
    },
  };
}

/** A masked frame, whole. */
export function frameOf(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4);
  const masked = Buffer.from(payload);
  for (let at = 0; at < masked.byteLength; at++) masked[at] = (masked[at] ?? 0) ^ (mask[at % 4] ?? 0);
  return Buffer.concat([headOf(opcode, payload.byteLength), mask, masked]);
}

/** How a masked frame of a length begins. */
export function headOf(opcode: number, length: number): Buffer {
  const first = 0x80 | opcode;
  if (length < 126) return Buffer.from([first, 0x80 | length]);
  if (length <= 0xffff) return Buffer.from([first, 0xfe, length >> 8, length & 0xff]);
  const head = Buffer.alloc(10);
  head.set([first, 0xff]);
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

export interface HttpAnswer {
  /** 0 when the server hung up without a word. */
  readonly status: number;
  readonly text: string;
  /** Until the server hung up. */
  readonly ms: number;
}

/**
 * Sends the bytes as they are, `everyMs` apart where that is given, and reads until the server hangs up. Rejects when
 * it does not within `withinMs`.
 */
export async function rawHttp(options: {
  readonly port: number;
  readonly text: string;
  readonly everyMs?: number;
  readonly withinMs?: number;
}): Promise<HttpAnswer> {
  const { port, text, everyMs, withinMs = 5_000 } = options;
  const socket = connect(port, '127.0.0.1');
  const startedAt = Date.now();
  let answer = '';
  let left = text;
  let isOver = false;
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    isOver = true;
  });
  socket.on('data', (chunk) => {
    answer += chunk.toString();
  });
  function drip(): void {
    socket.write(left.slice(0, 1));
    left = left.slice(1);
  }
  if (everyMs === undefined) socket.write(text);
  const dripping = everyMs === undefined ? undefined : setInterval(drip, everyMs);
  try {
    await until('the server hangs up', withinMs, () => isOver);
  } finally {
    clearInterval(dripping);
    socket.destroy();
  }
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
  return { status, text: answer, ms: Date.now() - startedAt };
}
