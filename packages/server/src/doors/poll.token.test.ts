import { PollRegistered } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { register, told } from '../../test/poller.ts';

const ROUTES = [
  'messages',
  'ack',
  'nack',
  'subscribe',
  'unsubscribe',
  'publish',
  'heartbeat',
  'deregister',
] as const;
const BODY = { channel: 'news', event_id: 'e1', data: 1 };

describe('the token of a poll', () => {
  it('P-12 is given to whoever registers, under the id it asks for or one of its own', async () => {
    const { post } = openGateway();
    const named = PollRegistered.parse((await post('/api/push/poll/register', { client_id: 'tablet' })).body);
    expect(named.client_id).toBe('tablet');
    const other = PollRegistered.parse((await post('/api/push/poll/register')).body);
    expect(other.client_id).toMatch(/^cli_/);
    expect(other.poll_token).not.toBe(named.poll_token);
  });

  it.each([
    ['in the body', { auth_token: ALICE }, {}, 200],
    ['as Bearer', {}, { token: ALICE }, 200],
    ['not at all', {}, {}, 401],
    ['wrongly', { auth_token: 'guess' }, { token: ALICE }, 401],
  ])('L-15 costs a token, presented %s', async (_how, body, ask, status) => {
    const { post } = openGateway({ tokens: TWO_PEOPLE });
    expect((await post('/api/push/poll/register', body, ask)).status).toBe(status);
  });

  it('P-12 is good as it was given, and no other spelling of it', async () => {
    const { post } = openGateway();
    const { poll_token } = PollRegistered.parse((await post('/api/push/poll/register')).body);
    for (const more of ['A', '=', '.', ' '])
      expect(
        (await post('/api/push/poll/messages', { poll_token: poll_token + more, timeout: 0 })).status,
      ).toBe(401);
  });

  it.each(ROUTES)('P-12 alone is the credential of /%s: a wrong one gets 401', async (route) => {
    const { post } = openGateway({ tokens: TWO_PEOPLE });
    for (const poll_token of ['', 'guess', 'a.b']) {
      const { status, body } = await post(
        `/api/push/poll/${route}`,
        { ...BODY, poll_token },
        { token: ALICE },
      );
      expect([status, body]).toMatchObject([401, { error: { code: 'unauthorized' } }]);
    }
  });

  it('P-12 is the credential of /presence and of a stream as a query', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const { token } = await register(world, 'tablet', ALICE);
    const ask = async (query: string): Promise<unknown> => {
      const { status, body } = await world.get(`/api/push/poll/presence?${query}`, { token: ALICE });
      return [status, body];
    };
    expect(await ask(`poll_token=${token}&channel=news`)).toEqual([200, { presence: [] }]);
    expect(await ask(`poll_token=${token}&channel=`)).toEqual([200, { presence: [] }]);
    expect(await ask('poll_token=a.b')).toMatchObject([401, { error: { code: 'unauthorized' } }]);
    expect(await ask('channel=news')).toMatchObject([400, { error: { code: 'bad_request' } }]);
    expect(await ask(`poll_token=${token}&channel=a%20b`)).toMatchObject([400, {}]);
  });

  it.each(ROUTES)(
    'P-12 is worth nothing when its client has deregistered, on any server: /%s',
    async (route) => {
      const world = openGateway();
      const elsewhere = openGateway({ beside: world });
      const poller = await register(world, 'tablet');
      await poller.subscribe('news');
      expect(await poller.ask('deregister')).toEqual({ ok: true });
      for (const server of [world, elsewhere])
        expect(await poller.at(server).ask(route, BODY)).toBe('unauthorized');
      await register(world, 'tablet'); // under another token
      expect(await poller.ask(route, BODY)).toBe('unauthorized');
    },
  );

  it('P-12 is worth nothing also to the poll that is parked: here at once, elsewhere within 5 s', async () => {
    const world = openGateway();
    const poller = await register(world, 'tablet');
    await poller.subscribe('news', { delivery: false });
    const here = poller.begin();
    const there = poller.at(openGateway({ beside: world })).begin();
    await world.clock.settle();
    await poller.ask('deregister');
    await world.clock.settle();
    expect([here.asked.answered, there.asked.answered]).toEqual([true, false]);
    await world.clock.advance(5_000);
    for (const { asked } of [here, there]) expect((await asked.answer()).status).toBe(401);
  });

  it('P-12 that ends does not take the consumers with it', async () => {
    const world = openGateway();
    const first = await register(world, 'tablet');
    await first.subscribe('news');
    await first.ask('publish', { channel: 'sport', data: 1 });
    await first.ask('deregister');
    const other = await register(world, 'phone');
    await other.ask('publish', { channel: 'news', data: 1 });
    const second = await register(world, 'tablet');
    await second.subscribe('news');
    expect(told(await second.poll())).toEqual(['1']);
  });

  it('P-12 that another asks for under the same id leaves the first as it is', async () => {
    const world = openGateway();
    const first = await register(world, 'tablet');
    await first.subscribe('news');
    const second = await register(world, 'tablet');
    await second.subscribe('sport');
    await (await register(world, 'phone')).ask('publish', { channel: 'sport', data: 1 });
    expect(told(await first.poll())).toEqual(['1']);
  });

  it('P-12 is good on every server of the store', async () => {
    const world = openGateway({ tokens: TWO_PEOPLE });
    const poller = await register(world, 'tablet', ALICE);
    const elsewhere = poller.at(openGateway({ beside: world, tokens: TWO_PEOPLE }));
    await elsewhere.subscribe('news');
    expect((await elsewhere.poll()).messages).toEqual([]);
  });

  it.each(['register', ...ROUTES])('P-1 where push is off, /%s says so', async (route) => {
    const { post } = openGateway({ push: false });
    const { status, body } = await post(`/api/push/poll/${route}`, { ...BODY, poll_token: 'x' });
    expect([status, body]).toMatchObject([403, { error: { code: 'push_disabled' } }]);
  });

  it.each([
    ['messages', '{"poll_token":'],
    ['messages', '[]'],
    ['messages', '{}'],
    ['subscribe', '{"poll_token":"x","channel":"a b"}'],
    ['publish', '{"poll_token":"x","channel":"news"}'],
    ['heartbeat', '{"poll_token":"x","status":""}'],
    ['nack', '{"poll_token":"x"}'],
    ['messages', '{"poll_token":"x","timeout":-1}'],
  ])('L-12 a body that is wrong gets 400, at /%s: %s', async (route, body) => {
    const { post } = openGateway();
    const answer = await post(`/api/push/poll/${route}`, body);
    expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'bad_request' } }]);
  });
});
