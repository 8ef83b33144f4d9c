import type { Clock, Peer, Wire } from '@continuo/server/ports';
import type { SeededRandom } from './seeded-random.ts';

/** What happens to the connections of a network. All times in ms; all probabilities from 0 to 1. */
export interface NetworkFaults {
  /** Time a frame takes: from the first to the second. Frames of one direction keep their order. */
  readonly latencyMs: readonly [number, number];
  /** Chance that a connection is cut, and within which time. */
  readonly cut: number;
  readonly cutWithinMs: number;
  /** Chance that a cut is told to one side only: the other hears nothing, ever. */
  readonly halfOpen: number;
  /** Chance that the client stops reading for a while, and how long. */
  readonly stall: number;
  readonly stallMs: number;
}

export const NO_FAULTS: NetworkFaults = {
  latencyMs: [0, 2],
  cut: 0,
  cutWithinMs: 0,
  halfOpen: 0,
  stall: 0,
  stallMs: 0,
};

/** The client's end: the part of the WebSocket API that clients use. */
export interface ClientEnd {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** What the server does with what comes. */
export interface ServerInbound {
  receive(text: string): void;
  closed(): void;
}

export interface LinkOptions {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly faults: NetworkFaults;
  /** The server takes the connection, or (`null`) there is none. */
  accept(peer: Peer, link: { cut(): void }): ServerInbound | null;
  onFault?(kind: 'cut' | 'halfOpen' | 'stall'): void;
}

/** Frames as lines of text: JSON has no raw line break. */
export const LINE_WIRE: Wire = {
  name: 'line',
  frame: (text) => Buffer.from(`${text}\n`),
  join: (frames) => Buffer.concat(frames),
};

/** One connection between a client and a server, in both directions, with its faults. */
export function dialLink(options: LinkOptions): ClientEnd {
  const { clock, random, faults, accept, onFault } = options;
  let inbound: ServerInbound | null = null;
  let state: 'connecting' | 'open' | 'closed' = 'connecting';
  let serverOpen = false;
  let buffered = 0;
  const onDrained = new Set<() => void>();
  let stalledUntil = 0;
  const lastAt = { toServer: 0, toClient: 0 };
  const [low, high] = faults.latencyMs;

  function travel(direction: 'toServer' | 'toClient', arrive: () => void): void {
    const stall = direction === 'toClient' ? stalledUntil : 0;
    const at = Math.max(clock.now() + low + random.next() * (high - low), lastAt[direction], stall);
    lastAt[direction] = at;
    clock.schedule(at, arrive);
  }

  function closeClient(code: number, reason: string): void {
    if (state === 'closed') return;
    state = 'closed';
    if (code !== 1000) client.onerror?.(undefined as never);
    client.onclose?.({ code, reason });
  }

  function closeServer(): void {
    if (!serverOpen) return;
    serverOpen = false;
    inbound?.closed();
  }

  const peer: Peer = {
    id: `link${random.int(0, 1_000_000)}`,
    wire: LINE_WIRE,
    get bufferedBytes() {
      return buffered;
    },
    send(frame) {
      if (!serverOpen) return;
      buffered += frame.byteLength;
      travel('toClient', () => {
        if (cut) return; // nobody takes it any more
        buffered -= frame.byteLength;
        if (buffered === 0) {
          for (const run of onDrained) clock.soon(run);
          onDrained.clear();
        }
        if (state !== 'open') return;
        for (const line of Buffer.from(frame).toString().split('\n')) {
          if (line !== '' && state === 'open') client.onmessage?.({ data: line });
        }
      });
    },
    onceDrained(run) {
      if (buffered === 0) clock.soon(run);
      else onDrained.add(run);
    },
    close(code, reason) {
      if (!serverOpen) return;
      travel('toClient', () => {
        if (!cut) closeClient(code, reason);
      });
      closeServer();
    },
  };

  const client: ClientEnd = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send(data) {
      if (state !== 'open') return;
      travel('toServer', () => {
        if (serverOpen && !cut) inbound?.receive(data);
      });
    },
    close(code = 1000) {
      if (state === 'closed') return;
      state = 'closed';
      travel('toServer', () => {
        if (!cut) closeServer();
      });
      travel('toClient', () => client.onclose?.({ code, reason: '' }));
    },
  };

  /** What was under way is gone; both sides learn of it, each in its time, or one of them never. */
  let cut = false;
  function cutNow(): void {
    if (cut || (state !== 'open' && !serverOpen)) return;
    cut = true;
    const half = random.chance(faults.halfOpen);
    onFault?.(half ? 'halfOpen' : 'cut');
    const deaf = half ? random.pick(['client', 'server'] as const) : null;
    if (deaf !== 'server') clock.schedule(clock.now() + random.int(0, 50), closeServer);
    if (deaf !== 'client') clock.schedule(clock.now() + random.int(0, 50), () => closeClient(1006, ''));
  }

  travel('toServer', () => {
    if (state === 'closed') return;
    inbound = accept(peer, { cut: cutNow });
    if (!inbound) {
      travel('toClient', () => closeClient(1006, 'refused'));
      return;
    }
    serverOpen = true;
    travel('toClient', () => {
      if (state !== 'connecting' || cut) return;
      state = 'open';
      client.onopen?.(undefined as never);
    });
    if (random.chance(faults.cut)) clock.schedule(clock.now() + random.next() * faults.cutWithinMs, cutNow);
    if (random.chance(faults.stall)) {
      clock.schedule(clock.now() + random.next() * faults.stallMs, () => {
        onFault?.('stall');
        stalledUntil = clock.now() + random.next() * faults.stallMs;
      });
    }
  });
  return client;
}
