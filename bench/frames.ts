import { randomBytes } from 'node:crypto';

/** Frames of the WebSocket protocol, as far as a load generator needs them. */

const TEXT = 1;

function clientHeader(length: number): Buffer {
  if (length > 0xffff) throw new Error(`text: ${length} bytes are more than the bench sends in one frame`);
  return length < 126 ? Buffer.from([0x81, 0x80 | length]) : Buffer.from([0x81, 0xfe, length >> 8, length]);
}

/** A client's text frame: masked, as the protocol demands. It may be sent any number of times. */
export function maskedFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const header = clientHeader(payload.length);
  const mask = randomBytes(4);
  for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index % 4] ?? 0);
  return Buffer.concat([header, mask, payload]);
}

const ZERO_MASK = Buffer.alloc(4);

/** As `maskedFrame` with a mask of zeros: a server unmasks it like any other, and the generator makes it at less cost. */
export function quickFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([clientHeader(payload.length), ZERO_MASK, payload]);
}

/** A client's pong with nothing in it. */
export const PONG_FRAME: Buffer = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

export interface FrameHandlers {
  /** A whole frame that is not counted. */
  onFrame(opcode: number, text: string): void;
}

/**
 * Walks over a server's frames. Messages are skipped by their length and only counted, so that a million of them cost
 * the generator little; all other frames are handed over.
 */
export class FrameReader {
  /** A text of at least so many bytes is a message. */
  messageBytes: number = Number.POSITIVE_INFINITY;
  readonly #handlers: FrameHandlers;
  readonly #header = Buffer.alloc(4);
  #headerBytes = 0;
  /** Of the frame whose header was read. */
  #opcode = 0;
  #leftBytes = 0;
  #counted = false;
  #kept: Buffer[] = [];

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  /** Returns how many messages were completed within the first `end` bytes of `chunk`. */
  take(chunk: Buffer, end: number): number {
    let messages = 0;
    let at = 0;
    while (at < end) {
      if (this.#leftBytes === 0) at = this.#readHeader(chunk, at, end);
      if (this.#leftBytes === 0) continue;
      const bytes = Math.min(this.#leftBytes, end - at);
      if (!this.#counted && bytes > 0) this.#kept.push(Buffer.from(chunk.subarray(at, at + bytes)));
      at += bytes;
      this.#leftBytes -= bytes;
      if (this.#leftBytes > 0) break;
      if (this.#counted) messages++;
      else this.#handOver();
    }
    return messages;
  }

  /** Returns where the payload begins; `#leftBytes` stays 0 while the header is not whole, or has no payload. */
  #readHeader(chunk: Buffer, from: number, end: number): number {
    let at = from;
    const header = this.#header;
    while (at < end) {
      header[this.#headerBytes++] = chunk[at++] ?? 0;
      const short = header[1] ?? 0;
      if (this.#headerBytes < 2 || (this.#headerBytes < 4 && short === 126)) continue;
      if (short > 126) throw new Error('a frame of 64 KiB or more, or a masked one: the bench reads neither');
      this.#headerBytes = 0;
      this.#opcode = (header[0] ?? 0) & 0x0f;
      this.#leftBytes = short === 126 ? header.readUInt16BE(2) : short;
      this.#counted = this.#opcode === TEXT && this.#leftBytes >= this.messageBytes;
      if (this.#leftBytes === 0) this.#handOver();
      break;
    }
    return at;
  }

  #handOver(): void {
    const text = Buffer.concat(this.#kept).toString();
    this.#kept = [];
    this.#handlers.onFrame(this.#opcode, text);
  }
}

/** The texts in what a server wrote. */
export function textsOf(chunks: readonly Buffer[]): string[] {
  const texts: string[] = [];
  const reader = new FrameReader({
    onFrame(opcode, text) {
      if (opcode === TEXT) texts.push(text);
    },
  });
  for (const chunk of chunks) reader.take(chunk, chunk.length);
  return texts;
}
