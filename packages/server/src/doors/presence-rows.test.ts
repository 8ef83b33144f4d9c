import { PresenceBatchFrame, PresenceChangeFrame, PresenceListFrame } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, type Answer, BOB, openGateway, type TestGateway, TWO_PEOPLE } from '../../test/gateway.ts';

const subscribe = (channel: string): object => ({ type: 'channel.subscribe', channel });

describe('presence on a socket', () => {
  it('P-21, P-21 a subscriber sees who is there, and who comes, changes and goes', async () => {
    const { client } = openGateway();
    const ann = await client('ann');
    await ann.send(subscribe('a'));
    await ann.send({ type: 'presence.query', channel: 'a', request_id: 7 });
    const list = ann.last('presence.list');
    expect(PresenceListFrame.parse(list)).toEqual(list);
    expect(list).toMatchObject({ channel: 'a', total: 1, request_id: 7 });
    expect(list.clients).toEqual(list.presence);
    expect(list.presence).toMatchObject([
      { client_id: 'ann', status: 'online', metadata: {}, channels: ['a'] },
    ]);
    const bob = await client('bob');
    ann.take();
    await bob.send(subscribe('a'));
    await bob.send({
      type: 'presence.heartbeat',
      status: 'busy',
      metadata: { role: 'agent' },
      request_id: 8,
    });
    expect(bob.last('presence.heartbeat_ack')).toEqual({
      type: 'presence.heartbeat_ack',
      ok: true,
      request_id: 8,
    });
    await bob.hangUp();
    const frames = ann.take();
    const data = (status: string, metadata: object = {}): object => ({ client_id: 'bob', status, metadata });
    const role = { role: 'agent' };
    expect(frames).toEqual([
      { type: 'presence_join', channel: 'a', data: data('online') },
      { type: 'presence_update', channel: 'a', data: data('busy', role) },
      { type: 'presence_leave', channel: 'a', data: data('offline', role) },
    ]);
    for (const frame of frames) expect(PresenceChangeFrame.parse(frame)).toEqual(frame);
  });

  it('P-21 changes come as one frame for a client that named the capability', async () => {
    const { client, socket } = openGateway();
    const ann = await socket('/ws');
    await ann.send({ type: 'auth', client_id: 'ann', capabilities: ['presence_batch'] });
    await ann.send(subscribe('a'));
    const bob = await client('bob');
    ann.take();
    await bob.send(subscribe('a'));
    const [frame] = ann.take();
    expect(PresenceBatchFrame.parse(frame)).toEqual(frame);
    expect(frame).toMatchObject({
      type: 'presence_batch',
      channel: 'a',
      changes: [{ type: 'presence_join' }],
    });
  });

  it('P-21 who unsubscribes is not there any more, and is told nothing more', async () => {
    const { client } = openGateway();
    const [ann, bob] = [await client('ann'), await client('bob')];
    for (const each of [ann, bob]) await each.send(subscribe('a'));
    ann.take();
    await bob.send({ type: 'channel.unsubscribe', channel: 'a' });
    expect(ann.take()).toMatchObject([{ type: 'presence_leave', data: { client_id: 'bob' } }]);
    bob.take();
    await ann.send({ type: 'presence.heartbeat', status: 'busy' });
    expect(bob.take()).toEqual([]);
  });

  it('P-21 who becomes another client is the other one', async () => {
    const { client } = openGateway();
    const ann = await client('ann');
    await ann.send(subscribe('a'));
    await ann.send({ type: 'auth', client_id: 'bob' });
    await ann.send(subscribe('b'));
    await ann.send({ type: 'presence.query', channel: null });
    expect(ann.last('presence.list').presence).toMatchObject([{ client_id: 'bob', channels: ['b'] }]);
  });

  it('P-24 a poller is there from its subscribe on, on whatever server it asks, until it deregisters', async () => {
    const here = openGateway();
    const there = openGateway({ beside: here });
    const asked = await here.post('/api/push/poll/register', { client_id: 'ann' });
    const { poll_token } = asked.body as { poll_token: string };
    const ask = (world: TestGateway, what: string, body: object = {}): Promise<Answer> =>
      world.post(`/api/push/poll/${what}`, { poll_token, ...body });
    await ask(here, 'subscribe', { channel: 'a' });
    const bob = await there.client('bob');
    const known = async (): Promise<unknown> => {
      await bob.send({ type: 'presence.query', channel: 'a' });
      return bob.last('presence.list').presence.map(({ client_id, status }) => `${client_id} ${status}`);
    };
    expect(await known()).toEqual(['ann online']);
    await ask(there, 'heartbeat', { status: 'busy' });
    await here.clock.advance(40_000);
    await ask(there, 'messages', { timeout: 0 });
    await here.clock.advance(40_000);
    expect(await known()).toEqual(['ann busy']);
    const large = await ask(there, 'heartbeat', { metadata: { text: 'x'.repeat(5_000) } });
    expect(large.body).toMatchObject({ error: { code: 'too_large' } });
    const { body } = await here.get(`/api/push/poll/presence?poll_token=${poll_token}&channel=a`);
    expect(body).toMatchObject({ presence: [{ client_id: 'ann', status: 'busy' }] });
    await ask(here, 'deregister');
    expect(await known()).toEqual([]);
  });

  it('P-22, L-10 needs the right to read the channel, and shows no other one', async () => {
    const tokens = [
      { ...TWO_PEOPLE[0], token: ALICE, subject: 'alice', channels: ['a'] },
      { token: BOB, subject: 'bob' },
    ];
    const { client } = openGateway({ tokens });
    const [ann, bob] = [await client('ann', ALICE), await client('bob', BOB)];
    for (const channel of ['a', 'b']) await bob.send(subscribe(channel));
    await ann.send({ type: 'presence.query', channel: 'b' });
    expect(ann.last('error').code).toBe('forbidden');
    await ann.send({ type: 'presence.query' });
    expect(ann.last('presence.list')).toMatchObject({
      channel: null,
      total: 1,
      presence: [{ client_id: 'bob', channels: ['a'] }],
    });
  });

  it('P-24 any frame is a sign of life of a client that beats', async () => {
    const { client, clock } = openGateway();
    const ann = await client('ann');
    await ann.send(subscribe('a'));
    await ann.send({ type: 'presence.heartbeat' });
    await clock.advance(40_000);
    await ann.send({ type: 'ping' });
    await clock.advance(40_000);
    const bob = await client('bob');
    await bob.send({ type: 'presence.query', channel: 'a' });
    expect(bob.last('presence.list').total).toBe(1);
    await clock.advance(7_000);
    await bob.send({ type: 'presence.query', channel: 'a' });
    expect(bob.last('presence.list').total).toBe(0);
  });

  it.each([{ type: 'presence.heartbeat' }, { type: 'presence.query', channel: 'a' }])(
    'P-1 is told that push is off, at %j',
    async (frame) => {
      const { socket } = openGateway({ push: false });
      const client = await socket('/ws');
      await client.send(frame);
      expect(client.last('error').code).toBe('push_disabled');
    },
  );
});
