import { PollRegistered } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { ALICE, openGateway, TWO_PEOPLE } from '../../test/gateway.ts';
import { register } from '../../test/poller.ts';

const ROUTES = ['messages', 'subscribe', 'ack'];
const BODY = { channel: 'news', event_id: 'e1' };

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
    ['messages', '{"poll_token":"x","timeout":-1}'],
  ])('L-12 a body that is wrong gets 400, at /%s: %s', async (route, body) => {
    const { post } = openGateway();
    const answer = await post(`/api/push/poll/${route}`, body);
    expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'bad_request' } }]);
  });
});
