import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { interceptStore } from '../../test/intercept.ts';
import type { Principal } from '../core/access.ts';
import type { Store } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { createPollTokens, type PollIdentity } from './poll-token.ts';

const principal: Principal = {
  subject: 'bob',
  user: 'bob',
  scopes: new Set(['read']),
  patterns: { agents: [], channels: ['news'] },
};
const identity: PollIdentity = { principal, clientId: 'device-7 é' };

function createStore(): Store {
  return createMemoryStore({ clock: createFakeClock(), random: createSeededRandom(1) });
}

describe('a poll token', () => {
  it('P-12 is good on every server of the store, and after a restart', async () => {
    const store = createStore();
    const token = await createPollTokens(store.records).sign(identity);
    expect(await createPollTokens(store.records).verify(token)).toEqual(identity);
  });

  it('P-12 is good also when two servers make the first one at once', async () => {
    const store = createStore();
    const servers = [createPollTokens(store.records), createPollTokens(store.records)];
    const tokens = await Promise.all(servers.map((server) => server.sign(identity)));
    for (const token of tokens) {
      for (const server of servers) expect(await server.verify(token)).toEqual(identity);
    }
  });

  it('P-12 is worth nothing on another store', async () => {
    const token = await createPollTokens(createStore().records).sign(identity);
    const verified = createPollTokens(createStore().records).verify(token);
    await expect(verified).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it("P-12, L-10 cannot be made into another's", async () => {
    const tokens = createPollTokens(createStore().records);
    const [payload = '', mac = ''] = (await tokens.sign(identity)).split('.');
    const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), user: 'alice' };
    const forged = Buffer.from(JSON.stringify(claims)).toString('base64url');
    for (const token of [
      `${forged}.${mac}`,
      `${forged}.`,
      forged,
      `${payload}.${mac.slice(0, -4)}`,
      `${payload}.${mac}.${mac}`,
      `${mac}.${payload}`,
      '',
      '.',
      'ä.ö',
    ]) {
      await expect(tokens.verify(token), token).rejects.toMatchObject({ code: 'unauthorized' });
    }
  });

  it('can be made as soon as the store is back', async () => {
    let isDown = true;
    const { records } = interceptStore(createStore(), async (_call, go) => {
      if (isDown) throw new Error('the disk is gone');
      return go();
    });
    const tokens = createPollTokens(records);
    await expect(tokens.sign(identity)).rejects.toThrow('the disk is gone');
    isDown = false;
    expect(await tokens.verify(await tokens.sign(identity))).toEqual(identity);
  });
});
