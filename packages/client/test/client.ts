import { createFakeClock } from '@continuo/testing';
import type { SocketLike } from '../src/connection/platform.ts';
import type { ClientEvent } from '../src/gateway/client-event.ts';
import { GatewayClient } from '../src/gateway-client.ts';
import type { GatewayClientOptions } from '../src/options.ts';

/** The server's end of a socket: what the client sent, and what it is told. */
export function createServerEnd(url: string) {
  const sent: Record<string, unknown>[] = [];
  const socket: SocketLike = {
    onopen: null,
    onmessage: null,
    onclose: null,
    onerror: null,
    send: (data) => void sent.push(JSON.parse(data)),
    close: () => {},
  };
  return {
    url,
    sent,
    socket,
    open: () => socket.onopen?.(undefined as never),
    say: (...frames: readonly object[]) => {
      for (const frame of frames) socket.onmessage?.({ data: JSON.stringify(frame) });
    },
    sayText: (data: unknown) => socket.onmessage?.({ data }),
    drop: (code = 1006) => socket.onclose?.({ code, reason: '' }),
    /** The frames of a type that it got. */
    got: (type: string) => sent.filter((frame) => frame.type === type),
  };
}

export const joined = (fields: object = {}) => ({
  type: 'joined',
  session_id: 's1',
  resumed: true,
  cursor: 0,
  epoch: 'e1',
  resync_required: false,
  ...fields,
});

export const event = (sequence: number) => ({
  type: 'event',
  event: { type: 'token_stream', data: { cursor: sequence }, event_id: `e${sequence}`, sequence },
});

export const events = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => event(from + index));

export function setUp(options: Partial<GatewayClientOptions> = {}) {
  const clock = createFakeClock(0);
  const ends: ReturnType<typeof createServerEnd>[] = [];
  const states: string[] = [];
  const gaps: (readonly [number, number])[] = [];
  const errors: unknown[] = [];
  let wake = (_isOnline: boolean): void => {};
  /** How much the wall clock is ahead of the timers: they stand still while a machine sleeps. */
  let slept = 0;
  let ids = 0;
  const client = new GatewayClient({
    url: 'ws://there:8765',
    agentId: 'echo',
    onStateChange: (state) => states.push(state),
    onGap: (expected, received) => gaps.push([expected, received]),
    onError: (error) => errors.push(error),
    ...options,
    platform: {
      now: () => clock.now() + slept,
      timer: (ms, run) => clock.schedule(clock.now() + ms, run),
      random: () => 0.5,
      id: () => `m${++ids}`,
      dial(url) {
        ends.push(createServerEnd(url));
        return server().socket;
      },
      onWake(run) {
        wake = run;
        return () => {
          wake = () => {};
        };
      },
      ...options.platform,
    },
  });
  /** The server's end of the newest socket. */
  function server() {
    const newest = ends.at(-1);
    if (!newest) throw new Error('nothing was dialed');
    return newest;
  }
  async function join(fields?: object) {
    const connected = client.connect();
    server().open();
    server().say(joined(fields));
    await connected;
    return server();
  }
  /** The socket breaks, and the next one joins where the client stands. */
  async function comeBack(fields: object = {}) {
    server().drop();
    await clock.step();
    return join({ cursor: client.cursor, ...fields });
  }
  return {
    clock,
    client,
    ends,
    server,
    join,
    comeBack,
    states,
    gaps,
    errors,
    /** What the platform says when the machine woke, or the network changed. */
    wake: (isOnline = true) => wake(isOnline),
    sleep(ms: number) {
      slept += ms;
    },
  };
}

/** Reads for ever: `seen` has sequences, and the reasons of resets. */
export function read(client: GatewayClient) {
  const seen: (number | string)[] = [];
  const whole: ClientEvent[] = [];
  const done = (async () => {
    for await (const each of client.events()) {
      whole.push(each);
      seen.push(each.type === 'snapshot' ? each.reason : each.sequence);
    }
    return 'ended';
  })();
  done.catch(() => {});
  return { seen, whole, done };
}

/** What has become of a promise so far. */
export function outcome(promise: Promise<unknown>): { settled: unknown } {
  const state: { settled: unknown } = { settled: undefined };
  promise.then(
    (value) => {
      state.settled = value ?? 'resolved';
    },
    (error: unknown) => {
      state.settled = error;
    },
  );
  return state;
}
