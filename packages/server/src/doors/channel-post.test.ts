import { describe, expect, it } from 'vitest';
import { ALICE, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { only } from '../../test/pick.ts';

describe('publishing over HTTP', () => {
  it.each([
    ['news', 'news'],
    ['a/b:c', 'a/b:c'],
    ['a%2Fb%3Ac', 'a/b:c'],
    ['messages', 'messages'],
    ['a/messages', 'a/messages'],
    ['messages/messages', 'messages/messages'],
  ])('P-41 reaches the channel that its path names: %s', async (path, channel) => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const reader = await world.client('reader', ALICE);
    await reader.send({ type: 'channel.subscribe', channel });
    const { status, body } = await world.post(
      `/api/channels/${path}/messages`,
      { data: { hello: 'world' }, event_id: 'e1' },
      { token: ALICE },
    );
    expect([status, body]).toEqual([200, { event_id: 'e1', sequence: 1 }]);
    await world.clock.settle();
    const message = { channel, data: { hello: 'world' }, event_id: 'e1', source: null, sequence: 1 };
    expect(only(reader.of('channel_message'))).toMatchObject(message);
  });

  it('P-2, P-41 stores an event id once', async () => {
    const world = openGateway();
    const post = async (event_id: string): Promise<unknown> =>
      (await world.post('/api/channels/news/messages', { data: 1, event_id })).body;
    expect([await post('a'), await post('b'), await post('a')]).toEqual([
      { event_id: 'a', sequence: 1 },
      { event_id: 'b', sequence: 2 },
      { event_id: 'a', sequence: 1 },
    ]);
    expect((await world.post('/api/channels/news/messages', { data: null })).body).toMatchObject({
      sequence: 3,
    });
  });

  it.each([
    ['a wrong token', 'news', { data: 1 }, 'guess', [401, 'unauthorized']],
    ['no token', 'news', { data: 1 }, undefined, [401, 'unauthorized']],
    ['a token that may only read', 'news', { data: 1 }, 'reader', [403, 'forbidden']],
    ['a token for other channels', 'news', { data: 1 }, 'sport', [403, 'forbidden']],
    ['no data', 'news', {}, ALICE, [400, 'bad_request']],
    ['what is not JSON', 'news', '{"data":', ALICE, [400, 'bad_request']],
    ['a name that no channel has', 'a%20b', { data: 1 }, ALICE, [400, 'bad_request']],
    ['a name that is too long', 'x'.repeat(256), { data: 1 }, ALICE, [400, 'bad_request']],
  ])('P-41 is refused with %s', async (_what, path, body, token, expected) => {
    const tokens = [
      ...TWO_PEOPLE,
      { token: 'reader', scopes: ['read'] as const },
      { token: 'sport', channels: ['sport'] },
    ];
    const world = openGateway({ tokens });
    const answer = await world.post(`/api/channels/${path}/messages`, body, { token });
    const { error } = answer.body as { readonly error: { readonly code: string } };
    expect([answer.status, error.code]).toEqual(expected);
  });

  it('P-1 where push is off, says so', async () => {
    const world = openGateway({ push: false });
    const { status, body } = await world.post('/api/channels/news/messages', { data: 1 });
    expect([status, body]).toMatchObject([403, { error: { code: 'push_disabled' } }]);
  });
});
