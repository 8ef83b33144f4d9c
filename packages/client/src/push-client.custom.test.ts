import { decodeVectorCursor, encodeVectorCursor } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createServerEnd, outcome } from '../test/client.ts';
import { authenticated, message, setUpPush } from '../test/push.ts';
import { SseTransport } from './transports/sse.ts';
import { CloseError, type PushFrame, type PushTransport } from './transports/transport.ts';
import { WebSocketTransport } from './transports/websocket.ts';

const REGISTERED = { client_id: 'c1', poll_token: 'p1' };

describe('server-sent events', () => {
  it('bring frames, and the stream goes on from the positions of all that came', async () => {
    const world = setUpPush({ transport: () => new SseTransport({ url: 'ws://there:8765/ws', ...tools() }) });
    const { client, clock, last, of } = world;
    function tools() {
      const timer = (ms: number, run: () => void) => clock.schedule(clock.now() + ms, run);
      return { fetch: world.fetch, platform: { now: clock.now, timer } };
    }
    const connected = client.connect();
    await clock.settle();
    await last('register').answer(REGISTERED);
    await connected;
    expect(client.transportName).toBe('custom');
    const shown: unknown[] = [];
    client.on('channel_message', ({ data }) => shown.push(data));
    const at = (log: string, offset: number) => encodeVectorCursor(new Map([[log, { epoch: 'e', offset }]]));
    const stream = last('sse').stream();
    await stream.write(
      `: heartbeat\n\nid: ${at('a', 1)}\ndata: ${JSON.stringify(message(1))}\n\nid: ${at('b', 5)}\nda`,
    );
    await stream.write(
      `ta: ${JSON.stringify(message(2))}\n\nid: ${at('a', 2)}\ndata: ${JSON.stringify(message(3))}\n\n`,
    );
    expect(shown).toEqual([1, 2, 3]);
    await stream.end();
    await clock.advance(0);
    expect(of('sse')).toHaveLength(2);
    const held = decodeVectorCursor(last('sse').query.get('cursor') ?? '');
    expect(Object.fromEntries(held ?? [])).toEqual({
      a: { epoch: 'e', offset: 2 },
      b: { epoch: 'e', offset: 5 },
    });
    expect(last('sse').query.get('poll_token')).toBe('p1');
  });
});

describe('a transport of five members', () => {
  function createLoop() {
    const sent: PushFrame[] = [];
    let inbox: PushFrame[] = [];
    let wake = (): void => {};
    let failure: Error | null = null;
    let connects = 0;
    const transport: PushTransport = {
      get isConnected() {
        return connects > 0 && failure === null;
      },
      async connect() {
        connects++;
        failure = null;
        inbox = [];
      },
      async disconnect() {
        failure ??= new Error('left');
        wake();
      },
      async send(frame) {
        sent.push(frame);
        if (frame.type === 'auth') say(authenticated);
      },
      async receive() {
        while (inbox.length === 0) {
          if (failure) throw failure;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        return inbox.shift() ?? {};
      },
    };
    function say(frame: PushFrame): void {
      inbox.push(frame);
      wake();
    }
    return {
      transport,
      sent,
      say,
      fail(error: Error) {
        failure = error;
        wake();
      },
      connects: () => connects,
    };
  }

  it('gets the reconnect, the subscriptions and all the rest of the client', async () => {
    const { transport, sent, say, fail, connects } = createLoop();
    const { client, clock } = setUpPush({ transport, authToken: 't1' });
    await client.connect();
    const shown: unknown[] = [];
    const subscribed = client.subscribe('news', ({ data }) => shown.push(data));
    await clock.settle();
    say({ type: 'channel.subscribed', channel: 'news', ok: true, request_id: sent.at(-1)?.request_id });
    await subscribed;
    say(message(1));
    await clock.settle();
    expect(shown).toEqual([1]);
    expect(sent.at(-1)).toMatchObject({ type: 'message_ack', event_id: 'e1' });
    fail(new Error('broken'));
    await clock.settle();
    expect(client.isConnected).toBe(false);
    await clock.advance(1_000);
    expect(client.isConnected).toBe(true);
    expect(connects()).toBe(2);
    expect(sent.filter(({ type }) => type === 'auth')).toHaveLength(2);
    expect(sent.filter(({ type }) => type === 'channel.subscribe')[1]).toMatchObject({ since: 1 });
    expect(client.transportName).toBe('custom');
  });

  it('ends for good with the code of a CloseError that says so', async () => {
    const { transport, fail } = createLoop();
    const { client, clock } = setUpPush({ transport });
    await client.connect();
    fail(new CloseError(4409, 'taken_over'));
    await clock.advance(60_000);
    expect(client.state).toBe('disconnected');
    await expect(client.waitClosed()).rejects.toMatchObject({ code: 'taken_over' });
  });

  it('is what WebSocketTransport is', async () => {
    const end = createServerEnd('');
    const urls: string[] = [];
    const dial = (url: string) => {
      urls.push(url);
      return end.socket;
    };
    const socket = new WebSocketTransport({ url: 'http://there/ws', platform: { dial } });
    const connected = socket.connect();
    end.open();
    await connected;
    expect(urls).toEqual(['ws://there/ws']);
    expect(socket.isConnected).toBe(true);
    await socket.send({ type: 'ping' });
    expect(end.sent).toEqual([{ type: 'ping' }]);
    end.say({ type: 'pong' }, { type: 'pong', n: 2 });
    expect(await socket.receive()).toEqual({ type: 'pong' });
    expect(await socket.receive()).toEqual({ type: 'pong', n: 2 });
    const next = outcome(socket.receive());
    end.drop(4409);
    await new Promise(setImmediate);
    expect(next.settled).toMatchObject({ name: 'CloseError', code: 4409 });
    expect(socket.isConnected).toBe(false);
    await expect(socket.send({ type: 'ping' })).rejects.toBeInstanceOf(CloseError);
  });
});
