import type { Writable } from 'node:stream';
import type { Peer, Wire } from '../ports.ts';

/** Frames of up to so many bytes are copied into one buffer; larger ones are cheaper to hand over one by one. */
const COPY_BYTES = 16 * 1024;

export interface GatheredOptions {
  readonly id: string;
  readonly wire: Wire;
  readonly socket: Writable;
  /** Called after what was sent before has been handed to the socket. */
  close(code: number, reason: string): void;
}

/** Peers that have something to write, of the whole process: one pass at the end of the tick writes for all of them. */
let dirty: GatheredPeer[] = [];

function flushAll(): void {
  const peers = dirty;
  dirty = [];
  for (const peer of peers) peer.flush();
}

/**
 * A peer whose frames of one tick go out in one write. A frame that is alone goes as the very buffer it came as, so that
 * one buffer serves any number of sockets.
 */
export class GatheredPeer implements Peer {
  readonly id: string;
  readonly wire: Wire;
  readonly #socket: Writable;
  readonly #close: (code: number, reason: string) => void;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #onDrained: Set<() => void> | null = null;
  #closed = false;

  constructor({ id, wire, socket, close }: GatheredOptions) {
    this.id = id;
    this.wire = wire;
    this.#socket = socket;
    this.#close = close;
    socket.on('drain', () => this.#drained());
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength + this.#pendingBytes;
  }

  send(frame: Uint8Array): void {
    if (this.#closed) return;
    if (this.#pending.push(frame) === 1 && dirty.push(this) === 1) setImmediate(flushAll);
    this.#pendingBytes += frame.byteLength;
  }

  onceDrained(run: () => void): void {
    this.#onDrained ??= new Set();
    this.#onDrained.add(run);
    // What is buffered drains with an event only when the socket was full: a tick with nothing to wait for is looked at.
    if (!this.#socket.writableNeedDrain) setImmediate(() => this.#drained());
  }

  flush(): void {
    const frames = this.#pending;
    const [first] = frames;
    if (first === undefined) return;
    const bytes = this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    if (frames.length === 1) socket.write(first);
    else if (bytes <= COPY_BYTES) socket.write(Buffer.concat(frames));
    else {
      socket.cork();
      for (const frame of frames) socket.write(frame);
      socket.uncork();
    }
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.#close(code, reason);
  }

  /** The socket is gone: nothing will drain any more. */
  dispose(): void {
    this.#closed = true;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#onDrained = null;
  }

  #drained(): void {
    if (this.#socket.writableNeedDrain) return;
    const waiting = this.#onDrained;
    this.#onDrained = null;
    for (const run of waiting ?? []) run();
  }
}
