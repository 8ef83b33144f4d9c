import { LINE_WIRE } from '@continuo/testing';
import type { Clock, Peer } from '../src/ports.ts';

/** A connection whose network the test plays. */
export interface ScriptedPeer extends Peer {
  /** The text of every frame, in order. */
  readonly texts: readonly string[];
  /** How often something was written. */
  readonly writes: number;
  readonly closed: { readonly code: number; readonly reason: string } | null;
  /** From here on the network takes nothing. */
  stall(): void;
  /** The network takes all there is, and goes on doing so. */
  drain(): void;
}

export interface ScriptedPeerOptions {
  readonly id?: string;
  onText?(text: string): void;
  onClose?(): void;
}

export function createScriptedPeer(clock: Clock, options: ScriptedPeerOptions = {}): ScriptedPeer {
  const texts: string[] = [];
  let writes = 0;
  let buffered = 0;
  let stalled = false;
  let closed: ScriptedPeer['closed'] = null;
  const onDrained = new Set<() => void>();

  function drained(): void {
    for (const run of onDrained) clock.soon(run);
    onDrained.clear();
  }

  return {
    id: options.id ?? 'peer',
    wire: LINE_WIRE,
    texts,
    get writes() {
      return writes;
    },
    get closed() {
      return closed;
    },
    get bufferedBytes() {
      return buffered;
    },
    send(frame) {
      if (closed) return;
      writes++;
      if (stalled) buffered += frame.byteLength;
      for (const text of Buffer.from(frame).toString().split('\n')) {
        if (text === '') continue;
        texts.push(text);
        options.onText?.(text);
      }
    },
    onceDrained(run) {
      onDrained.add(run);
      if (buffered === 0) drained();
    },
    close(code, reason) {
      if (closed) return;
      closed = { code, reason };
      options.onClose?.();
    },
    stall() {
      stalled = true;
    },
    drain() {
      stalled = false;
      buffered = 0;
      drained();
    },
  };
}
