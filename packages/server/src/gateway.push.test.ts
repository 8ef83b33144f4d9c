import { WireError } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { openGateway } from '../test/gateway.ts';
import { range } from '../test/pick.ts';

const SUBSCRIBE = { type: 'channel.subscribe', channel: 'news' };
const PUBLISH = { type: 'channel.publish', channel: 'news', data: 'hello' };

describe('a gateway with options of push', () => {
  it('P-1 is off where it is not switched on, and then has no timer of its own', async () => {
    const off = openGateway({ push: { delivery: { maxRetries: 1 } } });
    const before = off.clock.timers;
    const client = await off.socket('/ws');
    await client.send(SUBSCRIBE);
    expect(client.last('error').code).toBe('push_disabled');
    await client.hangUp();
    expect(off.clock.timers).toBe(before);
  });

  it('is not made with options that make no sense', () => {
    expect(() => openGateway({ push: { polling: { maxBatchSize: 0 } } })).toThrow(
      '"push.polling.maxBatchSize" is 0',
    );
    expect(() => openGateway({ push: { delivery: { storeBackend: 'sqlite' } } })).toThrow(
      "the gateway's store is memory",
    );
  });

  it('P-31 asks its hooks, whose refusals clients are told of', async () => {
    const { client } = openGateway({
      push: {
        enabled: true,
        async onPublish({ data, clientId }) {
          if (clientId === 'eve') throw new WireError('rate_limited', 'That is enough.');
          return { data: `${clientId} says ${data}` };
        },
        onSubscribe: ({ clientId }) => (clientId === 'eve' ? false : { echo: true }),
      },
    });
    const ann = await client('ann');
    await ann.send(SUBSCRIBE);
    await ann.send(PUBLISH);
    expect(ann.last('channel_message').data).toBe('ann says hello');
    const eve = await client('eve');
    await eve.send({ ...SUBSCRIBE, request_id: 1 });
    expect(eve.last('error')).toMatchObject({ code: 'forbidden', request_id: 1 });
    await eve.send({ ...PUBLISH, request_id: 2 });
    expect(eve.last('error')).toMatchObject({ code: 'rate_limited', message: 'That is enough.' });
    expect(ann.of('channel_message')).toHaveLength(1);
  });

  it('P-30 keeps of each channel what its pattern says, else what the gateway says', async () => {
    const { client, clock, store } = openGateway({
      retention: { channel: { maxEntries: 5 } },
      push: { enabled: true, channels: { 'live*': { maxEntries: 2, delivery: false } } },
    });
    const ann = await client('ann');
    for (const channel of ['live.1', 'news'])
      for (const data of range(1, 10)) await ann.send({ ...PUBLISH, channel, data });
    await clock.advance(1_000);
    const heads = await store.logs.heads(['channel:live.1', 'channel:news']);
    expect(heads.map((head) => head?.oldest)).toEqual([9, 6]);
  });

  it('tracks nothing of a channel that is at most once', async () => {
    const { client, store } = openGateway({ push: { enabled: true, delivery: { enabled: false } } });
    const ann = await client('ann');
    await ann.send({ ...SUBSCRIBE, delivery: true });
    expect(ann.last('channel.subscribed').ok).toBe(true);
    expect(await store.records.list('consumer/', { limit: 10 })).toEqual([]);
  });

  it('P-3 keeps a silent channel for as long as somebody is subscribed', async () => {
    const { client, clock, store } = openGateway({
      push: { enabled: true, channels: { news: { maxAgeMs: 60_000 } } },
    });
    const ann = await client('ann');
    await ann.send(SUBSCRIBE);
    const { epoch } = ann.last('channel.subscribed');
    await clock.advance(30 * 60_000);
    expect(await store.logs.heads(['channel:news'])).toMatchObject([{ epoch }]);
    expect(ann.of('channel.reset')).toEqual([]);
    await ann.hangUp();
    await clock.advance(3 * 60_000);
    expect(await store.logs.heads(['channel:news'])).toEqual([null]);
  });
});
