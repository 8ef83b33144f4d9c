import { decodeVectorCursor } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { openGateway, type TestGateway } from '../../test/gateway.ts';
import { range } from '../../test/pick.ts';
import { register, told } from '../../test/poller.ts';

async function publish(world: TestGateway, from: number, to: number, channel = 'news'): Promise<void> {
  for (const number of range(from, to))
    await world.post(`/api/channels/${channel}/messages`, { data: number });
  await world.clock.settle();
}

describe('the options of polling', () => {
  it('P-13 say how long a poll may wait, and how many messages it takes', async () => {
    const polling = { longPollTimeoutMs: 5_000, maxBatchSize: 10 };
    const world = openGateway({ push: { enabled: true, polling } });
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const { asked } = poller.begin(undefined, 60);
    await world.clock.advance(4_999);
    expect(asked.answered).toBe(false);
    await world.clock.advance(1);
    expect(asked.answered).toBe(true);
    await publish(world, 1, 15);
    const first = await poller.poll();
    const second = await poller.poll(first.cursor);
    expect([first, second].map(({ messages }) => messages.length)).toEqual([10, 5]);
  });

  it('P-13, P-43 may let it wait for longer than a silent client counts as there: it is there', async () => {
    const world = openGateway({ push: { enabled: true, polling: { longPollTimeoutMs: 100_000 } } });
    const [ann, bob] = [await register(world, 'ann'), await register(world, 'bob')];
    await ann.subscribe('news');
    const parked = ann.begin(undefined, 100);
    await world.clock.advance(99_000);
    expect(parked.asked.answered).toBe(false);
    const { body } = await world.get(`/api/push/poll/presence?poll_token=${bob.token}&channel=news`);
    expect(body).toMatchObject({ presence: [{ client_id: 'ann' }] });
  });

  it.each([
    ['POST', '/api/push/poll/register'],
    ['GET', '/api/push/poll/presence'],
    ['GET', '/api/push/sse?channel=news'],
  ])('P-1 may switch it off: %s %s says so, and where to go', async (method, path) => {
    const world = openGateway({ push: { enabled: true, polling: { enabled: false } } });
    const { status, body } = await world.ask(method, path).answer();
    expect([status, body]).toMatchObject([403, { error: { code: 'push_disabled' } }]);
    expect(JSON.stringify(body)).toContain('WebSocket at /ws');
    expect((await world.post('/api/channels/news/messages', { data: 1 })).status).toBe(200);
  });

  it('P-1 are not what is wrong where push is off', async () => {
    const world = openGateway({ push: { enabled: false, polling: { enabled: false } } });
    expect(JSON.stringify((await world.post('/api/push/poll/register')).body)).toContain('--push');
  });

  it('P-1 where presence is off, its routes say so, and polls go on', async () => {
    const world = openGateway({ push: { enabled: true, presence: { enabled: false } } });
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    expect(await poller.ask('heartbeat', {})).toBe('push_disabled');
    expect((await world.get(`/api/push/poll/presence?poll_token=${poller.token}`)).status).toBe(403);
    const { cursor } = await poller.poll();
    expect([...(decodeVectorCursor(cursor)?.keys() ?? [])]).toEqual(['channel:news']);
  });
});

describe('a stream that is told of nobody', () => {
  it('P-40 begins as one of one channel, goes on as one of two, and loses and doubles nothing', async () => {
    const world = openGateway({ push: { enabled: true, presence: { enabled: false } } });
    const poller = await register(world, 'tablet');
    await poller.subscribe('news');
    const stream = await world.ask('GET', `/api/push/sse?poll_token=${poller.token}`).pushStream();
    await publish(world, 1, 2);
    expect(stream.text).toMatch(/^id: channel%3Anews,[^,]+,2\ndata/m);
    await poller.subscribe('sport', { delivery: false });
    await publish(world, 3, 3);
    await publish(world, 1, 1, 'sport');
    expect(told(stream)).toEqual(['1', '2', '3', '1']);
    expect(stream.text).not.toMatch(/^id: [^\n]*,3\ndata/m);
    expect(decodeVectorCursor(stream.lastId)?.size).toBe(2);
  });
});

describe('the hooks of channels', () => {
  it('decide for who polls or streams, too: whether, and with delivery or without', async () => {
    const asked: unknown[] = [];
    const world = openGateway({
      push: {
        enabled: true,
        channels: { 'fast/*': { delivery: false } },
        onSubscribe({ channel, clientId, delivery }) {
          asked.push([channel, clientId, delivery]);
          if (channel === 'secret') return false;
          return channel === 'old' ? { since: 0 } : undefined;
        },
      },
    });
    const poller = await register(world, 'tablet');
    expect(await poller.ask('subscribe', { channel: 'secret' })).toBe('forbidden');
    expect((await world.get('/api/push/sse?channel=secret')).status).toBe(403);
    await publish(world, 1, 1, 'old');
    await poller.subscribe('old');
    await poller.subscribe('fast/1');
    await publish(world, 1, 1, 'fast/1');
    const { messages } = await poller.poll();
    expect(new Set(messages.map((message) => message.channel))).toEqual(new Set(['fast/1', 'old']));
    expect(await world.store.records.list('consumer/', { limit: 10 })).toHaveLength(1);
    expect(asked).toEqual([
      ['secret', 'tablet', true],
      ['secret', expect.stringMatching(/^cli_/), false],
      ['old', 'tablet', true],
      ['fast/1', 'tablet', false],
    ]);
  });

  it('see what is published without a socket: for a client, and for a server', async () => {
    const asked: unknown[] = [];
    const world = openGateway({
      push: {
        enabled: true,
        onPublish({ channel, data, clientId }) {
          asked.push([channel, clientId]);
          return data === 'bad' ? false : { data: { wrapped: data } };
        },
      },
    });
    const poller = await register(world, 'tablet');
    await poller.subscribe('news', { echo: true });
    expect(await poller.ask('publish', { channel: 'news', data: 'bad' })).toBe('forbidden');
    await poller.ask('publish', { channel: 'news', data: 1 });
    await world.post('/api/channels/news/messages', { data: 2 });
    expect((await world.post('/api/channels/news/messages', { data: 'bad' })).status).toBe(403);
    const { messages } = await poller.poll();
    expect(messages).toMatchObject([
      { data: { wrapped: 1 }, source: 'tablet' },
      { data: { wrapped: 2 }, source: null },
    ]);
    expect(asked).toEqual(['tablet', 'tablet', null, null].map((clientId) => ['news', clientId]));
  });
});
