import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { GatheredPeer } from './gather.ts';
import { TEXT_WIRE } from './wires.ts';

/** A socket whose network takes what it is given when the test says so. */
interface Pipe {
  readonly peer: GatheredPeer;
  readonly socket: Writable;
  /** What was written, one item a write. */
  readonly writes: Buffer[];
  readonly closes: string[];
  /** The network takes all it was given. */
  take(): void;
}

function createPipe(highWaterMark = 100): Pipe {
  const writes: Buffer[] = [];
  const closes: string[] = [];
  let taken: (() => void)[] = [];
  const socket = new Writable({
    highWaterMark,
    write(_chunk, _encoding, done) {
      taken.push(done);
    },
  });
  const write = socket.write.bind(socket);
  socket.write = (chunk: Buffer) => {
    writes.push(chunk);
    return write(chunk);
  };
  const peer = new GatheredPeer({
    id: 'p',
    wire: TEXT_WIRE,
    socket,
    close: (code, reason) => void closes.push(`${code} ${reason}`),
  });
  return {
    peer,
    socket,
    writes,
    closes,
    take() {
      while (taken.length > 0) {
        const now = taken;
        taken = [];
        for (const done of now) done();
      }
    },
  };
}

const frame = (text: string): Uint8Array => TEXT_WIRE.frame(text);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn();
}

describe('a peer that gathers what it writes', () => {
  it('writes the frames of one tick at once, in order', async () => {
    const { peer, writes } = createPipe();
    for (const text of ['a', 'b', 'c']) peer.send(frame(text));
    expect(writes).toEqual([]);
    await turn();
    expect(writes.map(String)).toEqual(['abc']);
    peer.send(frame('d'));
    await turn();
    expect(writes.length).toBe(2);
  });

  it('writes one frame alone as the very buffer it came as', async () => {
    const [one, two] = [createPipe(), createPipe()];
    const shared = frame('shared');
    one.peer.send(shared);
    two.peer.send(shared);
    await turn();
    expect(one.writes[0]).toBe(shared);
    expect(two.writes[0]).toBe(shared);
  });

  it('counts as buffered what the network has not taken, also before it is written', async () => {
    const { peer, take } = createPipe();
    peer.send(frame('12345'));
    expect(peer.bufferedBytes).toBe(5);
    await turn();
    expect(peer.bufferedBytes).toBe(5);
    peer.send(frame('678'));
    expect(peer.bufferedBytes).toBe(8);
    await turn();
    take();
    await settle();
    expect(peer.bufferedBytes).toBe(0);
  });

  it('L-5 says once that it has drained, when it has', async () => {
    const { peer, take } = createPipe(10);
    let drained = 0;
    peer.send(frame('x'.repeat(50)));
    await turn();
    peer.onceDrained(() => drained++);
    await settle();
    expect(drained).toBe(0);
    take();
    await settle();
    expect(drained).toBe(1);
    peer.send(frame('x'.repeat(50)));
    await turn();
    take();
    await settle();
    expect(drained).toBe(1);
  });

  it('L-5 has not drained when what was sent in this tick has still to go', async () => {
    const { peer, take } = createPipe(10);
    let drained = 0;
    peer.send(frame('x'.repeat(50)));
    peer.onceDrained(() => drained++);
    await settle();
    expect(drained).toBe(0);
    take();
    await settle();
    expect(drained).toBe(1);
  });

  it('L-5 says so also when there is nothing to wait for, but never in the same tick', async () => {
    const { peer } = createPipe();
    let drained = 0;
    peer.onceDrained(() => drained++);
    expect(drained).toBe(0);
    await turn();
    expect(drained).toBe(1);
  });

  it('L-5 tells everybody who waits: a socket has many feeds', async () => {
    const { peer } = createPipe();
    const told: string[] = [];
    peer.onceDrained(() => told.push('first'));
    peer.onceDrained(() => told.push('second'));
    await settle();
    expect(told).toEqual(['first', 'second']);
  });

  it('closes after what was sent, once, and is silent then', async () => {
    const { peer, writes, closes } = createPipe();
    peer.send(frame('last'));
    peer.close(4409, 'taken_over');
    expect(writes.map(String)).toEqual(['last']);
    peer.close(1000, 'again');
    peer.send(frame('late'));
    await turn();
    expect(closes).toEqual(['4409 taken_over']);
    expect(writes.map(String)).toEqual(['last']);
  });

  it('writes nothing to a socket that is gone', async () => {
    const { peer, socket, writes } = createPipe();
    peer.send(frame('a'));
    socket.destroy();
    await turn();
    expect(writes).toEqual([]);
    peer.dispose();
    peer.send(frame('b'));
    await turn();
    expect([writes, peer.bufferedBytes]).toEqual([[], 0]);
  });
});
