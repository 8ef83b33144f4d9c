import { describe, expect, it } from 'vitest';
import { event, events, joined, outcome, read, setUp } from '../test/client.ts';
import { ApprovalConflictError, ConnectionError, TooLargeError } from './errors.ts';
import type { ClientEvent } from './gateway/client-event.ts';

const resolved = (request_id: unknown, fields: object = {}) => ({
  type: 'approval_resolved',
  approval_id: 'apr_1',
  approved: true,
  by: 'phone',
  request_id,
  ...fields,
});

describe('an answer to an approval', () => {
  it('is sent, and resolves with the one that counts', async () => {
    const { client, join } = setUp();
    const server = await join();
    const answering = client.approve('apr_1', true, { note: 'go' });
    expect(server.got('approval_response')).toEqual([
      { type: 'approval_response', approval_id: 'apr_1', approved: true, note: 'go', request_id: 'm1' },
    ]);
    server.say(resolved('m1', { note: 'mine' }));
    expect(await answering).toEqual({ approvalId: 'apr_1', approved: true, note: 'mine', by: 'phone' });
  });

  it('G-11 is kept while there is no connection, and sent again until it is answered', async () => {
    const { client, join, comeBack, clock } = setUp();
    const answering = outcome(client.approve('apr_1', false));
    await join();
    const second = await comeBack();
    expect(second.got('approval_response')).toHaveLength(1);
    second.say(resolved('m1', { approved: false }));
    await clock.settle();
    expect(answering.settled).toEqual({ approvalId: 'apr_1', approved: false, by: 'phone' });
    expect((await comeBack()).got('approval_response')).toEqual([]);
  });

  it('is rejected with the first answer when that is another one', async () => {
    const { client, join, errors } = setUp();
    const server = await join();
    const answering = client.approve('apr_1', false);
    const first = { approval_id: 'apr_1', approved: true, by: 'laptop', note: 'yes' };
    server.say({ type: 'error', code: 'conflict', message: 'Too late.', request_id: 'm1', ...first });
    await expect(answering).rejects.toThrow(ApprovalConflictError);
    await expect(answering).rejects.toMatchObject({
      answer: { approvalId: 'apr_1', approved: true, by: 'laptop', note: 'yes' },
    });
    expect(errors).toEqual([]);
  });
});

describe('an abort', () => {
  it('resolves with the message whose turn ends, or with null', async () => {
    const { client, join } = setUp();
    const server = await join();
    const first = client.abort('enough');
    const second = client.abort();
    expect(server.got('abort')).toEqual([
      { type: 'abort', reason: 'enough', request_id: 'm1' },
      { type: 'abort', request_id: 'm2' },
    ]);
    server.say({ type: 'aborted', session_id: 's1', message_id: 'm7', request_id: 'm1' });
    server.say({ type: 'no_active_turn', session_id: 's1', request_id: 'm2' });
    expect([await first, await second]).toEqual(['m7', null]);
  });

  it('waits for a connection, and is sent once', async () => {
    const { client, join, comeBack, clock } = setUp();
    const aborting = outcome(client.abort());
    expect((await join()).got('abort')).toHaveLength(1);
    const { got } = await comeBack();
    await clock.settle();
    expect(got('abort')).toEqual([]);
    expect(aborting.settled).toBeInstanceOf(ConnectionError);
  });

  it.each([
    [{ type: 'aborted', session_id: 's1', message_id: 'm7' }],
    [{ type: 'no_active_turn', session_id: 's1' }],
  ])('is also the message /stop, which is answered by %j and sent once', async (answer) => {
    const { client, join, comeBack, clock } = setUp();
    const server = await join();
    const stopping = client.send('/stop');
    expect(server.got('message')).toMatchObject([{ content: '/stop', message_id: 'm1' }]);
    server.say({ ...answer, request_id: 'm1' });
    expect(await stopping).toBe('m1');

    const lost = outcome(client.send('/stop'));
    const { got } = await comeBack();
    await clock.settle();
    expect(got('message')).toEqual([]);
    expect(lost.settled).toBeInstanceOf(ConnectionError);
  });
});

describe('leaving', () => {
  it('is over when the server has taken it, and the session can be joined again', async () => {
    const { client, join, clock, states } = setUp();
    const server = await join();
    const leaving = outcome(client.leave());
    await clock.settle();
    expect([leaving.settled, client.state]).toEqual([undefined, 'connected']);
    server.say({ type: 'left', session_id: 's1', request_id: 'm1' });
    await clock.settle();
    expect(leaving.settled).toBe('resolved');
    expect(states.at(-1)).toBe('disconnected');
    expect((await join()).got('join')).toMatchObject([{ session_id: 's1', since: 0 }]);
  });

  it('is over as well when the connection breaks, or is not there', async () => {
    const { client, join, server, clock } = setUp();
    await join();
    const leaving = outcome(client.leave());
    server().drop();
    await clock.settle();
    expect(leaving.settled).toBe('resolved');
    await client.leave();
    expect(client.state).toBe('disconnected');
    expect(clock.timers).toBe(0);
  });
});

describe('a frame larger than the server takes', () => {
  const policy = { policy: { max_payload: 200 } };

  it('is refused before it is sent', async () => {
    const { client, join } = setUp();
    const server = await join(policy);
    await expect(client.send('é'.repeat(100))).rejects.toThrow(TooLargeError);
    await expect(client.send('é'.repeat(100))).rejects.toMatchObject({ code: 'too_large' });
    expect(server.got('message')).toEqual([]);
    const fits = client.send('é'.repeat(50));
    server.say({ type: 'response', status: 'accepted', session_id: 's1', message_id: 'm3' });
    expect(await fits).toBe('m3');
  });

  it('is refused when the server says how much it takes, where it waited for that', async () => {
    const { client, join } = setUp();
    const waiting = client.send('x'.repeat(200));
    const server = await join(policy);
    await expect(waiting).rejects.toThrow(TooLargeError);
    expect(server.got('message')).toEqual([]);
  });

  it('has an id that the server can repeat', async () => {
    await expect(setUp().client.send('hi', { messageId: 'x'.repeat(201) })).rejects.toThrow(/messageId/);
  });
});

describe('a listener', () => {
  it('gets the events of its type, over all connections, until it is removed', async () => {
    const { client, join, comeBack } = setUp();
    const heard: string[] = [];
    const stop = client.on('token_stream', ({ sequence }) => heard.push(`token ${sequence}`));
    client.on('response', () => heard.push('response'));
    client.on('event', ({ type }) => heard.push(type));
    (await join()).say(event(1));
    client.disconnect();
    (await join({ cursor: 1 })).say(event(2));
    stop();
    (await comeBack()).say(event(3));
    expect(heard).toEqual(['token 1', 'token_stream', 'token 2', 'token_stream', 'token_stream']);
  });

  it('gets what stands for events that are gone', async () => {
    const { client, join, comeBack } = setUp();
    const resets: (string | number)[] = [];
    client.on('snapshot', ({ reason }) => resets.push(reason));
    await join();
    await comeBack({ session_id: 's2', resumed: false });
    expect(resets).toEqual(['session']);
  });

  it('that throws hurts nobody, and is reported', async () => {
    const { client, join, errors, clock } = setUp();
    const { seen } = read(client);
    const heard: ClientEvent[] = [];
    client.on('event', () => {
      throw new Error('thrown by a listener');
    });
    client.on('event', (each) => heard.push(each));
    (await join()).say(...events(1, 2));
    await clock.settle();
    expect([seen, heard.length, client.state]).toEqual([[1, 2], 2, 'connected']);
    expect(errors).toEqual(Array.from({ length: 2 }, () => new Error('thrown by a listener')));
  });

  it('may move the position: nothing of the old one follows', async () => {
    const set = setUp();
    const { seen } = read(set.client);
    set.client.onGap = () => set.client.resync();
    const server = await set.join();
    server.say(event(1), event(4), joined({ cursor: 1 }), event(4), event(5));
    server.say(joined({ cursor: 0 }), event(1));
    await set.clock.settle();
    expect(seen).toEqual([1, 'gap', 1]);
  });
});

describe('events that come before anybody listens', () => {
  it('are for the first who does', async () => {
    const { client, join, clock } = setUp();
    (await join()).say(...events(1, 3));
    const first = read(client);
    const second = read(client);
    await clock.settle();
    expect([first.seen, second.seen]).toEqual([[1, 2, 3], []]);
  });

  it('are not kept beside a listener', async () => {
    const { client, join, clock } = setUp();
    client.on('event', () => {});
    (await join()).say(...events(1, 3));
    const { seen } = read(client);
    await clock.settle();
    expect(seen).toEqual([]);
  });
});
