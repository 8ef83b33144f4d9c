import { ERRORS } from '@continuo/protocol';
import { describe, expect, it, vi } from 'vitest';
import { event, events, joined, outcome, read, setUp } from '../test/client.ts';
import { ConnectionError, GatewayError } from './errors.ts';

const accepted = (id: string) => ({
  type: 'response',
  status: 'accepted',
  session_id: 's1',
  message_id: id,
});

const message = (id: string, content: unknown) => ({
  type: 'message',
  message_id: id,
  content,
  request_id: id,
});

describe('readers', () => {
  it('get every event each, and none that they do not read for any more', async () => {
    const { client, join, clock } = setUp();
    const first = read(client);
    const leaving = client.events();
    const server = await join();
    server.say(event(1));
    expect(await leaving.next()).toMatchObject({ value: { sequence: 1 } });
    await leaving.return?.();
    const later = read(client);
    server.say(...events(2, 3));
    await clock.settle();
    expect(first.seen).toEqual([1, 2, 3]);
    expect(later.seen).toEqual([2, 3]);
    expect(await leaving.next()).toMatchObject({ done: true });
  });

  it('end on disconnect(), with all that came before it', async () => {
    const { client, join } = setUp();
    const readers = [read(client), read(client)];
    (await join()).say(...events(1, 3));
    client.disconnect();
    for (const { seen, done } of readers) {
      expect(await done).toBe('ended');
      expect(seen).toEqual([1, 2, 3]);
    }
  });

  it('end on disconnect() also where it was never connected', async () => {
    const { client, clock } = setUp();
    const reading = outcome(read(client).done);
    client.disconnect();
    await clock.settle();
    expect(reading.settled).toBe('ended');
  });

  it('are told the reason when the attempts are over', async () => {
    const { client, join, server, clock } = setUp({ maxReconnectAttempts: 1 });
    const { seen, done } = read(client);
    (await join()).say(event(1));
    server().drop();
    await clock.step();
    server().drop();
    await expect(done).rejects.toThrow(ConnectionError);
    expect(seen).toEqual([1]);
  });

  it('are told the reason when the server has closed for good', async () => {
    const { client, join } = setUp();
    const { done } = read(client);
    (await join()).drop(ERRORS.taken_over.close);
    await expect(done).rejects.toThrow(/4409/);
  });

  it('that are too slow are told so, and the others go on', async () => {
    const { client, join, clock } = setUp();
    const slow = client.events();
    const server = await join();
    const fast = read(client);
    for (let sequence = 1; sequence <= 10_001; sequence++) {
      server.say(event(sequence));
      if (sequence % 1_000 === 0) await clock.settle();
    }
    await clock.settle();
    expect(fast.seen).toHaveLength(10_001);
    let read10000 = 0;
    const all = (async () => {
      for await (const _ of slow) read10000++;
    })();
    await expect(all).rejects.toThrow(/10000 unread events/);
    expect(read10000).toBe(10_000);
  });
});

describe('a message', () => {
  it('G-8 is sent when the session is joined, and resolves when it is stored', async () => {
    const { client, join, clock } = setUp();
    const server = await join();
    const sending = outcome(client.send('hi'));
    expect(server.got('message')).toEqual([message('m1', 'hi')]);
    await clock.settle();
    expect(sending.settled).toBeUndefined();
    server.say(accepted('m1'));
    await clock.settle();
    expect(sending.settled).toBe('m1');
  });

  it('G-8 may be an object, under an id of its own', async () => {
    const { client, join } = setUp();
    const server = await join();
    const sending = client.send({ text: 'hi' }, { messageId: 'mine' });
    server.say(accepted('mine'));
    expect(await sending).toBe('mine');
    expect(server.got('message')).toEqual([message('mine', { text: 'hi' })]);
  });

  it('G-11 is kept while there is no connection, and sent once, in order', async () => {
    const { client, join, comeBack, server } = setUp();
    void client.send('before');
    (await join()).say(accepted('m1'));
    server().drop();
    void client.send('first');
    void client.send('second');
    const { got } = await comeBack();
    expect(got('message')).toEqual([message('m2', 'first'), message('m3', 'second')]);
  });

  it('G-11 is sent again under its id until it is accepted, and not after', async () => {
    const { client, join, comeBack } = setUp();
    const sending = client.send('hi');
    await join();
    const second = await comeBack();
    expect(second.got('message')).toEqual([message('m1', 'hi')]);
    second.say(accepted('m1'));
    expect(await sending).toBe('m1');
    expect((await comeBack()).got('message')).toEqual([]);
  });

  it('G-11 that waited goes before one that is sent from onStateChange, and each goes once', async () => {
    let greeted = false;
    const set = setUp({
      onStateChange(state) {
        if (state === 'connected' && !greeted) void set.client.send('hello again');
        greeted ||= state === 'connected';
      },
    });
    void set.client.send('waited');
    const server = await set.join();
    expect(server.got('message')).toEqual([message('m1', 'waited'), message('m2', 'hello again')]);
  });

  it('L-11 is rejected with the error that answers it, and not sent again', async () => {
    const { client, join, comeBack, errors } = setUp();
    const server = await join();
    const sending = client.send('hi');
    const other = client.send('there');
    server.say({ type: 'error', code: 'inbox_full', message: 'Wait.', request_id: 'm1' }, accepted('m2'));
    await expect(sending).rejects.toThrow(GatewayError);
    await expect(sending).rejects.toMatchObject({ code: 'inbox_full', message: 'Wait.' });
    expect(await other).toBe('m2');
    expect(errors).toEqual([]);
    expect((await comeBack()).got('message')).toEqual([]);
  });

  it('G-8 sent twice under one id resolves twice: one turn answers both', async () => {
    const { client, join, clock } = setUp();
    const server = await join();
    const both = ['hi', 'hi'].map((content) => outcome(client.send(content, { messageId: 'mine' })));
    server.say(accepted('mine'), accepted('mine'));
    await clock.settle();
    expect(both.map(({ settled }) => settled)).toEqual(['mine', 'mine']);
  });

  it('is not answered by a frame that names no request, whatever its id', async () => {
    const { client, join, clock, errors } = setUp();
    const server = await join();
    const sending = outcome(client.send('hi', { messageId: 'undefined' }));
    server.say(event(1), { type: 'pong' }, { type: 'error', code: 'internal', message: 'Try again.' });
    await clock.settle();
    expect(sending.settled).toBeUndefined();
    expect(errors).toMatchObject([{ code: 'internal' }]);
  });

  it.each([true, false])(
    'that is no JSON is rejected and harms nothing, connected or not (%s)',
    async (connected) => {
      const { client, join, server, clock } = setUp();
      if (connected) await join();
      const circular: Record<string, unknown> = {};
      circular.itself = circular;
      const sending = outcome(client.send(circular));
      await clock.settle();
      expect(sending.settled).toBeInstanceOf(Error);
      if (connected) server().drop();
      if (connected) await clock.step();
      const joining = outcome(client.connect());
      server().open();
      expect(() => server().say(joined())).not.toThrow();
      await clock.settle();
      expect(joining.settled).toBe('resolved');
    },
  );

  it('is rejected when the connection is over: with reason and without', async () => {
    const { client, join, server, clock } = setUp({ reconnect: false });
    await join();
    const lost = outcome(client.send('hi'));
    server().drop();
    await clock.settle();
    expect(lost.settled).toBeInstanceOf(ConnectionError);

    await join();
    const stopped = outcome(client.send('hi'));
    client.disconnect();
    await clock.settle();
    expect(stopped.settled).toBeInstanceOf(ConnectionError);
    expect((await join()).got('message')).toEqual([]);
  });

  it('is rejected at once where 1,000 wait already', async () => {
    const { client, join } = setUp();
    for (let waiting = 0; waiting < 1_000; waiting++) void client.send('hi');
    await expect(client.send('one more')).rejects.toThrow(/1000 messages/);
    expect((await join()).got('message')).toHaveLength(1_000);
  });
});

const ODD_FRAMES: readonly (readonly [string, unknown])[] = [
  ['text that is no JSON', 'hello'],
  ['a list', '[]'],
  ['bytes', new Uint8Array([1, 2])],
  ['an event without its event', '{"type":"event"}'],
  ['an event without its number', '{"type":"event","event":{"type":"status","data":{}}}'],
  ['a snapshot without its state', '{"type":"snapshot"}'],
];

describe('callbacks', () => {
  const thrower = (): never => {
    throw new Error('thrown by a callback');
  };

  it('that throw hurt nothing, and are reported', async () => {
    const { client, join, errors, clock } = setUp({ onStateChange: thrower, onGap: thrower });
    const { seen } = read(client);
    const server = await join();
    server.say(event(1), event(3), joined({ cursor: 1 }), event(3), event(4));
    await clock.settle();
    expect(seen.filter((each) => typeof each === 'number')).toEqual([1, 3, 4]);
    expect(client.state).toBe('connected');
    expect(errors).toEqual(Array.from({ length: 3 }, () => new Error('thrown by a callback')));
  });

  it('that throw while they report are told to the console', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    try {
      const { client, join } = setUp({ onStateChange: thrower, onError: thrower });
      await join();
      expect(client.state).toBe('connected');
      expect(log).toHaveBeenCalledTimes(2);
    } finally {
      log.mockRestore();
    }
  });

  it('may disconnect: nothing is sent and nothing resolves after that', async () => {
    let sentBefore = Number.NaN;
    const set = setUp({
      onStateChange(state) {
        if (state !== 'connected') return;
        set.client.disconnect();
        sentBefore = set.server().sent.length;
      },
    });
    const connecting = outcome(set.client.connect());
    const sending = outcome(set.client.send('hi'));
    set.server().open();
    set.server().say(joined());
    await set.clock.settle();
    expect(connecting.settled).toBeInstanceOf(ConnectionError);
    expect(sending.settled).toBeInstanceOf(ConnectionError);
    expect(set.server().sent).toHaveLength(sentBefore);
    expect(set.clock.timers).toBe(0);
  });

  it('L-11 are told the errors that answer no call, and the connection stays', async () => {
    const { client, join, errors } = setUp();
    const server = await join();
    server.say({ type: 'error', code: 'internal', message: 'Try again.' });
    server.say({ type: 'error', code: 'bad_request', message: 'No.', request_id: 'of nobody' });
    expect(errors).toMatchObject([{ code: 'internal' }, { code: 'bad_request' }]);
    expect(client.state).toBe('connected');
  });

  it.each(ODD_FRAMES)('are told of a frame that is %s; it is skipped', async (_name, frame) => {
    const { client, join, errors, clock } = setUp();
    const { seen } = read(client);
    const server = await join();
    server.say(event(1));
    expect(() => server.sayText(frame)).not.toThrow();
    server.say(event(2));
    await clock.settle();
    expect(errors).toHaveLength(1);
    expect(seen).toEqual([1, 2]);
  });

  it('L-12 are not told of a type that a newer server may have', async () => {
    const { join, errors } = setUp();
    (await join()).say({ type: 'weather', wind: 3 }, { type: 'pong' });
    expect(errors).toEqual([]);
  });
});
