import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { interceptStore } from '../../test/intercept.ts';
import type { Principal } from '../core/access.ts';
import type { Store } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { createPollTokens, type PollIdentity, type PollTokens } from './poll-token.ts';

const principal: Principal = {
  subject: 'bob',
  user: 'bob',
  scopes: new Set(['read']),
  patterns: { agents: [], channels: ['news'] },
};
const identity: PollIdentity = { principal, clientId: 'device-7 é', registration: 'reg_1', reader: 'r1' };

function createStore(): Store {
  return createMemoryStore({ clock: createFakeClock(), random: createSeededRandom(1) });
}

function tokensOn({ records }: Store, fingerprint = 'a'): PollTokens {
  return createPollTokens({ records, clock: createFakeClock(), fingerprint });
}

describe('a poll token', () => {
  it('P-12 is good on every server of the store, and after a restart', async () => {
    const store = createStore();
    const token = await tokensOn(store).sign(identity);
    expect(await tokensOn(store).verify(token)).toEqual(identity);
  });

  it('P-12 is good also when two servers make the first one at once', async () => {
    const store = createStore();
    const servers = [tokensOn(store), tokensOn(store)];
    const tokens = await Promise.all(servers.map((server) => server.sign(identity)));
    for (const token of tokens) {
      for (const server of servers) expect(await server.verify(token)).toEqual(identity);
    }
  });

  it('P-12 is worth nothing on another store', async () => {
    const token = await tokensOn(createStore()).sign(identity);
    const verified = tokensOn(createStore()).verify(token);
    await expect(verified).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('P-12 is over when other credentials are good, and when its own is', async () => {
    const store = createStore();
    const token = await tokensOn(store).sign(identity);
    await expect(tokensOn(store, 'b').verify(token)).rejects.toMatchObject({ code: 'unauthorized' });
    const { now } = createFakeClock();
    const sign = (expiresAt: number): Promise<string> =>
      tokensOn(store).sign({ ...identity, principal: { ...principal, expiresAt } });
    await expect(tokensOn(store).verify(await sign(now()))).rejects.toMatchObject({ code: 'unauthorized' });
    expect((await tokensOn(store).verify(await sign(now() + 1))).principal.expiresAt).toBe(now() + 1);
  });

  it("P-12, L-10 cannot be made into another's", async () => {
    const tokens = tokensOn(createStore());
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
    const tokens = createPollTokens({ records, clock: createFakeClock(), fingerprint: 'a' });
    await expect(tokens.sign(identity)).rejects.toThrow('the disk is gone');
    isDown = false;
    expect(await tokens.verify(await tokens.sign(identity))).toEqual(identity);
  });
});
