import { describe, expect, it } from 'vitest';
import { createFakeClock } from './fake-clock.ts';
import { dialLink, LINE_WIRE, type LinkOptions, type NetworkFaults, NO_FAULTS } from './network.ts';
import { createSeededRandom } from './seeded-random.ts';

type Peer = Parameters<LinkOptions['accept']>[0];

/** One connection, and all that both of its ends hear. */
function dial(faults: Partial<NetworkFaults> = {}, { seed = 1, refuse = false } = {}) {
  const clock = createFakeClock(0);
  const random = createSeededRandom(seed);
  const client: string[] = [];
  const server: string[] = [];
  const told: string[] = [];
  let peer: Peer | null = null;
  let cut = (): void => {};
  const end = dialLink({
    clock,
    random,
    faults: { ...NO_FAULTS, ...faults },
    accept(accepted, link) {
      if (refuse) return null;
      peer = accepted;
      cut = link.cut;
      server.push('accepted');
      return { receive: (text) => server.push(text), closed: () => server.push('closed') };
    },
    onFault: (kind) => told.push(kind),
  });
  end.onopen = () => client.push('open');
  end.onmessage = ({ data }) => client.push(String(data));
  end.onclose = ({ code, reason }) => client.push(`close ${code}${reason && ` ${reason}`}`);
  end.onerror = () => client.push('error');
  return {
    clock,
    end,
    client,
    server,
    told,
    cut: () => cut(),
    peer(): Peer {
      if (!peer) throw new Error('not accepted');
      return peer;
    },
    say: (text: string) => peer?.send(LINE_WIRE.frame(text)),
  };
}

async function opened(...args: Parameters<typeof dial>) {
  const link = dial(...args);
  while (link.client.length === 0) await link.clock.step();
  expect(link.client).toEqual(['open']);
  link.client.length = 0;
  link.server.length = 0;
  return link;
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));

describe('a link', () => {
  it('takes its time to open, and is accepted before it is open', async () => {
    const { clock, client, server } = dial({ latencyMs: [10, 10] });
    await clock.advance(10);
    expect([server, client]).toEqual([['accepted'], []]);
    await clock.advance(10);
    expect(client).toEqual(['open']);
  });

  it('keeps the order of each direction, whatever each frame takes (seeds 1 to 50)', async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const { clock, end, client, server, say } = await opened({ latencyMs: [0, 500] }, { seed });
      for (const text of numbers(20)) {
        end.send(text);
        say(text);
        await clock.advance(seed);
      }
      await clock.advance(1_000);
      expect(client, `seed ${seed}`).toEqual(numbers(20));
      expect(server, `seed ${seed}`).toEqual(numbers(20));
    }
  });

  it('brings a frame after its latency, and not before', async () => {
    const { clock, end, client, server, say } = await opened({ latencyMs: [40, 40] });
    end.send('up');
    say('down');
    await clock.advance(39);
    expect([client, server]).toEqual([[], []]);
    await clock.advance(1);
    expect([client, server]).toEqual([['down'], ['up']]);
  });

  it('gives several frames of one write one by one', async () => {
    const { clock, client, peer } = await opened();
    peer().send(LINE_WIRE.join(['a', 'é🎻', 'c'].map(LINE_WIRE.frame)));
    await clock.advance(10);
    expect(client).toEqual(['a', 'é🎻', 'c']);
  });

  it('sends nothing before it is open', async () => {
    const { clock, end, server } = dial();
    end.send('too early');
    await clock.advance(100);
    expect(server).toEqual(['accepted']);
  });

  it('is told when the server takes no connection', async () => {
    const { clock, client, server } = dial({}, { refuse: true });
    await clock.advance(100);
    expect(client).toEqual(['error', 'close 1006 refused']);
    expect(server).toEqual([]);
  });
});

describe('a close', () => {
  it('of the server comes after its frames, with its code', async () => {
    const { clock, client, server, peer, say } = await opened({ latencyMs: [0, 50] });
    for (const text of numbers(5)) say(text);
    const { bufferedBytes } = peer();
    peer().close(4503, 'draining');
    say('after');
    peer().close(4500, 'twice');
    expect(peer().bufferedBytes).toBe(bufferedBytes);
    await clock.advance(1_000);
    expect(client).toEqual([...numbers(5), 'error', 'close 4503 draining']);
    expect(server).toEqual(['closed']);
  });

  it('of the server with 1000 is no error', async () => {
    const { clock, client, peer } = await opened();
    peer().close(1000, '');
    await clock.advance(100);
    expect(client).toEqual(['close 1000']);
  });

  it('of the client comes after its frames; nothing is heard after it', async () => {
    const { clock, end, client, server, say } = await opened({ latencyMs: [5, 50] });
    for (const text of numbers(5)) end.send(text);
    end.close(1000);
    end.send('after');
    end.close(1000);
    say('too late');
    await clock.advance(1_000);
    expect(server).toEqual([...numbers(5), 'closed']);
    expect(client).toEqual(['close 1000']);
  });

  it('of the client before it was accepted leaves no connection', async () => {
    const { clock, end, client, server } = dial({ latencyMs: [10, 10] });
    end.close(1000);
    await clock.advance(100);
    expect([server, client]).toEqual([[], ['close 1000']]);
  });

  it('of the client between the acceptance and its arrival reaches the server', async () => {
    const { clock, end, client, server } = dial({ latencyMs: [10, 10] });
    await clock.advance(15);
    end.close(1000);
    await clock.advance(100);
    expect([server, client]).toEqual([['accepted', 'closed'], ['close 1000']]);
  });
});

describe('what the server sees of its sending', () => {
  it('is the bytes under way, until the client has them', async () => {
    const { clock, peer, say } = await opened({ latencyMs: [10, 10] });
    say('1234');
    say('é');
    expect(peer().bufferedBytes).toBe(8);
    await clock.advance(10);
    expect(peer().bufferedBytes).toBe(0);
  });

  it('is told once that it has drained, never in the same tick', async () => {
    const { clock, peer, say } = await opened({ latencyMs: [10, 10] });
    let drained = 0;
    say('1234');
    peer().onceDrained(() => drained++);
    await clock.advance(9);
    expect(drained).toBe(0);
    await clock.advance(1);
    expect(drained).toBe(1);
    say('5678');
    await clock.advance(10);
    expect(drained).toBe(1);
  });

  it('is told once also when there was nothing to drain', async () => {
    const { clock, peer, say } = await opened();
    let drained = 0;
    peer().onceDrained(() => drained++);
    expect(drained).toBe(0);
    await clock.settle();
    expect(drained).toBe(1);
    say('more');
    await clock.advance(10);
    expect(drained).toBe(1);
  });

  it('is told to everybody who asked', async () => {
    const { clock, peer, say } = await opened();
    const told: string[] = [];
    say('1234');
    peer().onceDrained(() => told.push('first'));
    peer().onceDrained(() => told.push('second'));
    await clock.advance(10);
    expect(told).toEqual(['first', 'second']);
  });
});

describe('a cut', () => {
  it('loses what was under way, in both directions, and both ends learn of it', async () => {
    const { clock, end, client, server, say, cut, told } = await opened({ latencyMs: [10, 10] });
    end.send('up');
    say('down');
    cut();
    cut();
    await clock.advance(100);
    expect(client).toEqual(['error', 'close 1006']);
    expect(server).toEqual(['closed']);
    expect(told).toEqual(['cut']);
  });

  it('that is half open is told to one end alone: to either (seeds 1 to 40)', async () => {
    const heard = new Map<string, number>();
    for (let seed = 1; seed <= 40; seed++) {
      const { clock, end, client, server, say, cut, told } = await opened({ halfOpen: 1 }, { seed });
      cut();
      end.send('up');
      say('down');
      await clock.advance(60_000);
      expect(told, `seed ${seed}`).toEqual(['halfOpen']);
      const who = JSON.stringify([client, server]);
      heard.set(who, (heard.get(who) ?? 0) + 1);
    }
    expect([...heard.keys()].sort()).toEqual(['[["error","close 1006"],[]]', '[[],["closed"]]'].sort());
  });

  it('comes by chance within its time (seeds 1 to 40)', async () => {
    let cuts = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const { clock, client, told } = dial({ cut: 0.5, cutWithinMs: 1_000 }, { seed });
      await clock.advance(1_100);
      expect(client.includes('close 1006'), `seed ${seed}`).toBe(told.length > 0);
      cuts += told.length;
    }
    expect(cuts > 5 && cuts < 35, `${cuts} cuts`).toBe(true);
  });

  it('never comes where there are no faults (seeds 1 to 20)', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { clock, client, told } = dial({}, { seed });
      await clock.advance(60_000);
      expect([client, told], `seed ${seed}`).toEqual([['open'], []]);
    }
  });
});

describe('a stall', () => {
  it('holds back what the server sends, keeps its order, and lets it come in the end (seeds 1 to 20)', async () => {
    let held = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const { clock, end, client, server, peer, say, told } = await opened(
        { stall: 1, stallMs: 5_000 },
        { seed },
      );
      for (let waited = 0; told.length === 0; waited++) {
        if (waited > 100) throw new Error(`seed ${seed}: no stall`);
        await clock.advance(50);
      }
      for (const text of numbers(5)) {
        say(text);
        end.send(text);
      }
      await clock.advance(10);
      expect(server, `seed ${seed}`).toEqual(numbers(5));
      if (client.length === 0 && peer().bufferedBytes > 0) held++;
      await clock.advance(5_000);
      expect(client, `seed ${seed}`).toEqual(numbers(5));
      expect(peer().bufferedBytes, `seed ${seed}`).toBe(0);
    }
    expect(held).toBeGreaterThan(15);
  });
});

describe('the faults', () => {
  it('come out the same for the same seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const faults = {
        latencyMs: [0, 80],
        cut: 0.8,
        cutWithinMs: 900,
        halfOpen: 0.5,
        stall: 0.5,
        stallMs: 300,
      } as const;
      const { clock, end, client, server, say, told } = dial(faults, { seed });
      const lines: string[] = [];
      for (let step = 0; step < 100; step++) {
        await clock.advance(10);
        end.send(`${step}`);
        say(`${step}`);
        lines.push(`${client.length} ${server.length} ${told.length}`);
      }
      return lines.join();
    };
    expect(await run(3)).toBe(await run(3));
    expect(await run(3)).not.toBe(await run(4));
  });
});
