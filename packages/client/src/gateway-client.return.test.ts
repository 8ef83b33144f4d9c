import { ERRORS } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { joined, outcome, read, setUp } from '../test/client.ts';
import { ConnectionError, GatewayError, UnauthorizedError } from './errors.ts';
import { GatewayClient } from './gateway-client.ts';

const refusal = (code: string, fields: object = {}) => ({ type: 'error', code, message: 'No.', ...fields });

/** A client with a provider of these tokens; beyond the last, it gives that one again. */
function withTokens(tokens: readonly (string | Error | Promise<string>)[], options: object = {}) {
  let asked = 0;
  const set = setUp({
    ...options,
    token() {
      const next = tokens[Math.min(asked++, tokens.length - 1)] ?? '';
      if (next instanceof Error) throw next;
      return next;
    },
  });
  return {
    ...set,
    get asked() {
      return asked;
    },
    /** The newest socket opens, when its token is there. */
    async open() {
      await set.clock.settle();
      set.server().open();
      return set.server();
    },
  };
}

describe('a provider of tokens', () => {
  it('L-15 is asked at every dial, and the dial waits for it', async () => {
    let give = (_token: string): void => {};
    const late = new Promise<string>((resolve) => {
      give = resolve;
    });
    const set = withTokens([late, 'b']);
    const connecting = outcome(set.client.connect());
    await set.clock.settle();
    expect([set.asked, set.ends.length]).toEqual([1, 0]);
    give('a');
    const server = await set.open();
    expect(server.got('join')).toMatchObject([{ token: 'a' }]);
    server.say(joined());
    await set.clock.settle();
    expect(connecting.settled).toBe('resolved');
    server.drop();
    await set.clock.step();
    expect((await set.open()).got('join')).toMatchObject([{ token: 'b' }]);
  });

  it('is asked by one dial at a time: one that was given up leaves its call to the next', async () => {
    let give = (_token: string): void => {};
    const late = new Promise<string>((resolve) => {
      give = resolve;
    });
    const set = withTokens([late]);
    void set.client.connect();
    await set.clock.advance(40_000);
    expect([set.asked, set.ends.length]).toEqual([1, 0]);
    give('a');
    expect((await set.open()).got('join')).toMatchObject([{ token: 'a' }]);
    expect(set.ends).toHaveLength(1);
  });

  it('is not heard by a dial that was given up: the next one asks anew', async () => {
    let give = (_token: string): void => {};
    const late = new Promise<string>((resolve) => {
      give = resolve;
    });
    const set = withTokens([late, 'b']);
    void set.client.connect();
    await set.clock.advance(15_500);
    give('a');
    await set.clock.settle();
    expect([set.asked, set.ends.length]).toEqual([1, 0]);
    await set.clock.advance(500);
    expect((await set.open()).got('join')).toMatchObject([{ token: 'b' }]);
    expect(set.ends).toHaveLength(1);
  });

  it('may give a token again to a connect() of its own, and be asked once more again', async () => {
    const set = withTokens(['a', 'a', 'a', 'b']);
    const first = outcome(set.client.connect());
    (await set.open()).say(refusal('unauthorized'));
    await set.clock.advance(0);
    expect(first.settled).toBeInstanceOf(UnauthorizedError);
    void set.client.connect();
    (await set.open()).say(refusal('unauthorized'));
    await set.clock.advance(0);
    expect((await set.open()).got('join')).toMatchObject([{ token: 'b' }]);
  });

  it('is asked once more at once when its token is refused, and the other one is presented', async () => {
    const set = withTokens(['old', 'new']);
    const connecting = outcome(set.client.connect());
    (await set.open()).say(refusal('unauthorized'));
    await set.clock.advance(0);
    const server = await set.open();
    expect(server.got('join')).toMatchObject([{ token: 'new' }]);
    server.say(joined());
    await set.clock.settle();
    expect(connecting.settled).toBe('resolved');
    expect(set.errors).toEqual([]);
  });

  it('that has no other token ends it, with the refusal and without another dial', async () => {
    const set = withTokens(['old']);
    const connecting = outcome(set.client.connect());
    const reading = outcome(read(set.client).done);
    (await set.open()).say(refusal('unauthorized'));
    await set.clock.advance(3_600_000);
    expect(connecting.settled).toBeInstanceOf(UnauthorizedError);
    expect(reading.settled).toBe(connecting.settled);
    expect([set.asked, set.ends.length, set.clock.timers]).toEqual([2, 1, 0]);
  });

  it('whose second token is refused too is not asked a third time', async () => {
    const set = withTokens(['a', 'b', 'c']);
    const connecting = outcome(set.client.connect());
    (await set.open()).say(refusal('unauthorized'));
    await set.clock.advance(0);
    (await set.open()).say(refusal('unauthorized'));
    await set.clock.advance(3_600_000);
    expect(connecting.settled).toBeInstanceOf(UnauthorizedError);
    expect(set.asked).toBe(2);
  });

  it('is asked when the token of a connection has run out: at once, then with the delays of any loss', async () => {
    const set = withTokens(['a', 'b', 'c', 'd']);
    void set.client.connect();
    const times: number[] = [];
    for (let dials = 1; dials <= 3; dials++) {
      const server = await set.open();
      server.say(joined());
      server.drop(4401);
      const before = set.clock.now();
      while (set.asked === dials) await set.clock.step();
      times.push(set.clock.now() - before);
    }
    expect(times).toEqual([0, 2_000, 4_000]);
    expect((await set.open()).got('join')).toMatchObject([{ token: 'd' }]);
  });

  it('that fails is asked again after the delay, and its error is reported', async () => {
    const set = withTokens([new Error('no network'), 'a']);
    void set.client.connect();
    await set.clock.advance(999);
    expect(set.errors).toEqual([new Error('no network')]);
    expect([set.asked, set.client.state]).toEqual([1, 'reconnecting']);
    await set.clock.advance(1);
    expect((await set.open()).got('join')).toMatchObject([{ token: 'a' }]);
  });

  it('that fails too often ends it with the reason', async () => {
    const set = withTokens([new Error('no network')], { maxReconnectAttempts: 2 });
    const connecting = outcome(set.client.connect());
    await set.clock.advance(60_000);
    expect(connecting.settled).toBeInstanceOf(ConnectionError);
    expect(connecting.settled).toMatchObject({ message: expect.stringContaining('no network') });
  });

  it('is not waited for after disconnect()', async () => {
    const set = withTokens([new Promise<string>(() => {})]);
    const connecting = outcome(set.client.connect());
    await set.clock.settle();
    set.client.disconnect();
    await set.clock.advance(60_000);
    expect(connecting.settled).toBeInstanceOf(ConnectionError);
    expect([set.ends.length, set.clock.timers]).toEqual([0, 0]);
  });
});

describe('when to come back', () => {
  /** How long after a loss it dials again. */
  async function delay(lose: (set: ReturnType<typeof setUp>) => void): Promise<number> {
    const set = setUp();
    await set.join();
    const before = set.clock.now();
    lose(set);
    while (set.ends.length === 1) if (!(await set.clock.step())) throw new Error('it never dials');
    return set.clock.now() - before;
  }

  it('G-11 is what the server said before it went', async () => {
    const goaway = { type: 'goaway', retry_after_ms: 7_300 };
    expect(
      await delay(({ server }) => {
        server().say(goaway);
        server().drop(4503);
      }),
    ).toBe(7_300);
    expect(
      await delay(({ server }) => {
        server().say(refusal('rate_limited', { retry_after_ms: 45_000 }));
        server().drop(4429);
      }),
    ).toBe(45_000);
  });

  it('G-11 is what the server said when it refused the join', async () => {
    const { client, server, ends, clock } = setUp();
    void client.connect();
    server().open();
    server().say(refusal('unavailable', { retry_after_ms: 9_000 }));
    await clock.advance(8_999);
    expect(ends).toHaveLength(1);
    await clock.advance(1);
    expect(ends).toHaveLength(2);
  });

  it.each([[-1.5], ['soon'], [null], [Number.NaN]])('G-11 is not %s', async (retry_after_ms) => {
    const lose = ({ server }: ReturnType<typeof setUp>): void => {
      server().say({ type: 'goaway', retry_after_ms });
      server().drop(4503);
    };
    expect(await delay(lose)).toBe(1_000);
  });

  it('G-11 is said for one socket: the next loss has the usual delay', async () => {
    const set = setUp();
    (await set.join()).say({ type: 'goaway', retry_after_ms: 7_300 });
    set.server().drop();
    await set.clock.advance(7_300);
    (await set.join()).drop();
    await set.clock.advance(1_999);
    expect(set.ends.length).toBe(2);
    await set.clock.advance(1);
    expect(set.ends.length).toBe(3);
  });

  it('L-11 is at once after 4508, and after the first delay where nothing was said', async () => {
    expect(await delay(({ server }) => server().drop(ERRORS.slow_consumer.close))).toBe(0);
    expect(await delay(({ server }) => server().drop(ERRORS.draining.close))).toBe(1_000);
    expect(await delay(({ server }) => server().drop(1012))).toBe(1_000);
  });

  it('L-11 is not at once again and again', async () => {
    const set = setUp();
    (await set.join()).drop(4508);
    await set.clock.advance(0);
    (await set.join()).drop(4508);
    await set.clock.advance(1_999);
    expect(set.ends).toHaveLength(2);
  });

  it('L-11 is never after a final close, and its code is told', async () => {
    const { client, join } = setUp();
    const { done } = read(client);
    const { socket } = await join();
    socket.onclose?.({ code: 4409, reason: 'taken_over' });
    await expect(done).rejects.toThrow(GatewayError);
    await expect(done).rejects.toMatchObject({ code: 'taken_over' });
  });
});

describe('a signal', () => {
  it('ends a connect() under way, which rejects with its reason', async () => {
    const stop = new AbortController();
    const { client, server, clock, states } = setUp({ signal: stop.signal });
    const connecting = outcome(client.connect());
    server().drop();
    stop.abort(new Error('changed my mind'));
    await clock.advance(60_000);
    expect(connecting.settled).toEqual(new Error('changed my mind'));
    expect(states.at(-1)).toBe('disconnected');
    expect(clock.timers).toBe(0);
    await expect(client.connect()).rejects.toThrow('changed my mind');
  });

  it('may be of one call, and means nothing once that is connected', async () => {
    const stop = new AbortController();
    const { client, server, clock } = setUp();
    const connecting = outcome(client.connect({ signal: stop.signal }));
    server().open();
    server().say(joined());
    await clock.settle();
    stop.abort();
    expect([connecting.settled, client.state]).toEqual(['resolved', 'connected']);
  });
});

describe('a machine that wakes', () => {
  it('G-11 dials at once what waited', async () => {
    const { join, server, wake, ends, clock } = setUp();
    await join();
    server().drop();
    wake(false);
    expect(ends).toHaveLength(1);
    wake();
    expect(ends).toHaveLength(2);
    expect(clock.now()).toBe(0);
  });

  it('G-11 looks whether its connection lives, and leaves it after 3 s of silence', async () => {
    const { client, join, wake, clock } = setUp();
    const server = await join();
    wake();
    expect(server.got('ping')).toHaveLength(1);
    await clock.advance(2_999);
    expect(client.state).toBe('connected');
    await clock.advance(1);
    expect(client.state).toBe('reconnecting');
  });

  it('G-11 keeps a connection that lives', async () => {
    const { client, join, wake, clock } = setUp();
    const server = await join();
    wake(false);
    await clock.advance(1_000);
    server.say({ type: 'pong' });
    await clock.advance(10_000);
    expect(client.state).toBe('connected');
  });

  it('G-11 is noticed by its clock alone, within 5 s', async () => {
    const { client, join, sleep, clock } = setUp();
    const server = await join();
    sleep(3_600_000);
    await clock.advance(5_000);
    expect(server.got('ping')).toHaveLength(1);
    await clock.advance(3_000);
    expect(client.state).toBe('reconnecting');
  });

  it('is not listened to after disconnect()', async () => {
    const { client, join, wake } = setUp();
    const server = await join();
    client.disconnect();
    wake();
    expect([server.got('ping'), client.state]).toEqual([[], 'disconnected']);
  });

  it('can be told by the application', async () => {
    const { client, join, server, ends } = setUp();
    await join();
    client.nudge();
    expect(server().got('ping')).toHaveLength(1);
    server().drop();
    client.nudge();
    expect(ends).toHaveLength(2);
  });
});

describe('the options', () => {
  it('may have a WebSocket class', () => {
    const dialed: string[] = [];
    class Socket {
      onopen = null;
      onmessage = null;
      onclose = null;
      onerror = null;
      constructor(url: string) {
        dialed.push(url);
      }
      send(): void {}
      close(): void {}
    }
    const client = new GatewayClient({ url: 'https://there/', agentId: 'echo', WebSocket: Socket });
    client.connect().catch(() => {});
    client.disconnect();
    expect(dialed).toEqual(['wss://there/']);
  });

  it('may be callbacks that are set later', async () => {
    const { client, join, states } = setUp();
    const later: string[] = [];
    client.onStateChange = (state) => later.push(state);
    await join();
    expect([states, later]).toEqual([[], ['connecting', 'connected']]);
  });
});
