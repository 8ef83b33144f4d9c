import { describe, expect, it } from 'vitest';
import { outcome } from '../test/client.ts';
import { again, agree, message, settledBy, setUpPush } from '../test/push.ts';
import { TimeoutError } from './errors.ts';
import { PushClient } from './push-client.ts';

describe('waitFor', () => {
  it('subscribes by itself, hands over one message, acks it, and unsubscribes again', async () => {
    const { client, connect, clock } = setUpPush();
    const server = await connect();
    const waited = client.waitFor('news', { timeoutMs: 1_000 });
    await clock.settle();
    agree(server);
    server.say(message(1));
    expect(await waited).toMatchObject({ data: 1 });
    await clock.advance(0);
    expect(settledBy(server)).toEqual(['e1']);
    expect(server.got('channel.unsubscribe')).toMatchObject([{ channel: 'news' }]);
    const last = server.sent.slice(-2).map((frame) => Object(frame).type);
    expect(last, 'what is acked late comes again').toEqual(['message_ack', 'channel.unsubscribe']);
  });

  it('rejects with a TimeoutError, and unsubscribes when the last one is over', async () => {
    const { client, connect, clock } = setUpPush();
    const server = await connect();
    const short = outcome(client.waitFor('news', { timeoutMs: 1_000 }));
    const long = outcome(client.waitFor('news', { timeoutMs: 2_000 }));
    await clock.settle();
    agree(server);
    await clock.advance(1_000);
    expect(short.settled).toBeInstanceOf(TimeoutError);
    expect(server.got('channel.unsubscribe')).toEqual([]);
    await clock.advance(1_000);
    expect(long.settled).toBeInstanceOf(TimeoutError);
    expect(server.got('channel.subscribe')).toHaveLength(1);
    expect(server.got('channel.unsubscribe')).toHaveLength(1);
  });

  it('leaves a channel alone that was subscribed to', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    const server = await connect();
    await subscribe('news', () => {});
    const waited = outcome(client.waitFor('news', { timeoutMs: 1_000 }));
    await clock.advance(1_000);
    expect(waited.settled).toBeInstanceOf(TimeoutError);
    expect(server.got('channel.unsubscribe')).toEqual([]);
  });

  it('rejects when the subscription is refused', async () => {
    const { client, connect, clock } = setUpPush();
    const server = await connect();
    const waited = outcome(client.waitFor('news'));
    await clock.settle();
    const [{ request_id } = {}] = server.got('channel.subscribe');
    server.say({ type: 'error', code: 'forbidden', message: 'no', request_id });
    await clock.settle();
    expect(waited.settled).toMatchObject({ code: 'forbidden' });
  });
});

describe('waitFor', () => {
  it('takes one message of those that wait, each time the next', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    const server = await connect();
    await subscribe('news');
    server.say(message(1), message(2), message(3));
    await clock.settle();
    const got = [];
    for (let count = 0; count < 3; count++) got.push((await client.waitFor('news')).sequence);
    expect(got).toEqual([1, 2, 3]);
  });

  it('is over with the connection, and with the channel', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    await connect();
    await subscribe('news');
    const left = expect(client.waitFor('news')).rejects.toThrow('unsubscribe("news") was called');
    void client.unsubscribe('news');
    await left;
    const over = expect(client.waitFor('sport')).rejects.toThrow('disconnect() was called');
    await clock.settle();
    client.disconnect();
    await over;
  });

  it('may wait for ever', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    const server = await connect();
    await subscribe('news');
    const waiting = client.waitFor('news', { timeoutMs: Number.POSITIVE_INFINITY });
    await clock.advance(1_000);
    server.say(message(1));
    expect((await waiting).sequence).toBe(1);
  });
});

describe('a channel that is left while a handler runs', () => {
  it('shows nothing twice when it is subscribed to again', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    const server = await connect();
    let shown = 0;
    await subscribe('news', () => new Promise(() => void shown++));
    server.say(message(1));
    await clock.settle();
    const leaving = client.unsubscribe('news');
    await clock.settle();
    server.say({
      type: 'channel.unsubscribed',
      channel: 'news',
      ok: true,
      request_id: server.got('channel.unsubscribe').at(-1)?.request_id,
    });
    await leaving;
    await subscribe('news', () => void shown++);
    server.say(again(1));
    await clock.settle();
    expect(shown).toBe(1);
  });
});

describe('a URL', () => {
  it.each(['localhost:8765/ws', 'ftp://there/ws', 'ws://there/ws#part', ''])(
    'is refused that cannot be: %j',
    (url) => {
      expect(() => new PushClient({ url })).toThrow(/url must not be/);
    },
  );
});

describe('a channel without delivery that is left', () => {
  it('shows what it showed before when it is asked for again', async () => {
    const { client, connect, subscribe, clock } = setUpPush();
    const server = await connect();
    const shown: number[] = [];
    const show = ({ sequence }: { readonly sequence: number }): void => void shown.push(sequence);
    await subscribe('news', show, { delivery: false });
    server.say(message(1), message(2));
    await clock.settle();
    const leaving = client.unsubscribe('news');
    await clock.settle();
    const { request_id } = server.got('channel.unsubscribe').at(-1) ?? {};
    server.say({ type: 'channel.unsubscribed', channel: 'news', ok: true, request_id });
    await leaving;
    await subscribe('news', show, { delivery: false, since: 0 });
    server.say(message(1), message(2));
    await clock.settle();
    expect(shown).toEqual([1, 2, 1, 2]);
  });
});
