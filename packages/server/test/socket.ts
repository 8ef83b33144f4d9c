import type { FakeClock } from '@continuo/testing';
import type { Gateway } from '../src/gateway.ts';
import {
  type FrameOf,
  type FrameType,
  framesOf,
  parseServerFrame,
  type ServerFrame,
  type SocketPath,
} from './frames.ts';
import { createScriptedPeer, type ScriptedPeer } from './peer.ts';

/** One client's end of a socket, in raw frames. */
export interface TestSocket {
  readonly peer: ScriptedPeer;
  /** Every frame the server sent, checked against its schema. */
  readonly frames: readonly ServerFrame[];
  /** The same, as they were sent. */
  readonly texts: readonly string[];
  readonly closed: ScriptedPeer['closed'];
  /** Whether the server has stopped reading from it. */
  readonly paused: boolean;
  of<T extends FrameType>(type: T): FrameOf<T>[];
  /** The newest frame of a type; fails when there is none. */
  last<T extends FrameType>(type: T): FrameOf<T>;
  /** The frames since this was last asked. */
  take(): readonly ServerFrame[];
  /** Hands a frame over, and lets all that needs no time happen. */
  send(frame: object | string): Promise<void>;
  /** Hands a frame over and waits for nothing. */
  post(frame: object | string): void;
  /** The edge did not read a frame. */
  reject(why: 'binary' | 'too_large'): Promise<void>;
  /** The client is gone. */
  hangUp(): Promise<void>;
}

export interface Dial {
  readonly path: SocketPath;
  /** From `Authorization` or `?token=`. */
  readonly credential?: string | undefined;
}

export function dial(
  gateway: Pick<Gateway, 'sockets'>,
  clock: FakeClock,
  { path, credential }: Dial,
): TestSocket {
  const frames: ServerFrame[] = [];
  let taken = 0;
  let paused = false;
  let over = false;
  const peer = createScriptedPeer(clock, {
    onText: (text) => void frames.push(parseServerFrame(path, text)),
    onClose: () => clock.soon(closed),
  });
  const inbound = gateway.sockets.open(peer, {
    path,
    credential,
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
    },
  });

  function closed(): void {
    if (over) return;
    over = true;
    inbound.closed();
  }

  function post(frame: object | string): void {
    if (!over) inbound.receive(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  const of = <T extends FrameType>(type: T): FrameOf<T>[] => framesOf(frames, type);

  return {
    peer,
    frames,
    texts: peer.texts,
    get closed() {
      return peer.closed;
    },
    get paused() {
      return paused;
    },
    of,
    last(type) {
      const found = of(type).at(-1);
      if (!found)
        throw new Error(`no "${type}" among ${frames.map((frame) => frame.type).join(', ') || 'no frames'}`);
      return found;
    },
    take() {
      const fresh = frames.slice(taken);
      taken = frames.length;
      return fresh;
    },
    post,
    async send(frame) {
      post(frame);
      await clock.settle();
    },
    async reject(why) {
      inbound.reject(why);
      await clock.settle();
    },
    async hangUp() {
      peer.close(1006, '');
      closed();
      await clock.settle();
    },
  };
}
