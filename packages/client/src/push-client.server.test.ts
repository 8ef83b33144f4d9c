import { describe, expect, it } from 'vitest';
import { openGateway } from '../../server/test/gateway.ts';
import { outcome } from '../test/client.ts';
import { openNetwork } from '../test/real.ts';
import type { PushClientOptions } from './push/options.ts';
import { PushClient } from './push-client.ts';

/** A real gateway under a fake clock, and push clients of it over a network that can be cut. */
function openWorld() {
  const server = openGateway();
  const { platform, settle, cutAll } = openNetwork(server, '/ws');
  const errors: unknown[] = [];

  async function open(clientId: string, more: Partial<PushClientOptions> = {}): Promise<PushClient> {
    const client = new PushClient({
      url: 'ws://there/ws',
      clientId,
      fallbackToPolling: false,
      onError: (error) => errors.push(error),
      ...more,
      platform,
    });
    await settle(client.connect());
    return client;
  }

  return { clock: server.clock, errors, open, settle, cutAll };
}

describe('a push client of a real gateway', () => {
  it('P-3 gets every message once and in order, over connections that are cut all the time', async () => {
    const { clock, open, settle, cutAll, errors } = openWorld();
    const publisher = await open('a');
    const subscriber = await open('b');
    const shown: unknown[] = [];
    await settle(subscriber.subscribe('news', ({ data }) => shown.push(data)));
    const published: Promise<unknown>[] = [];
    for (let number = 1; number <= 60; number++) {
      published.push(publisher.publish('news', number));
      await clock.advance(50);
      if (number % 10 === 0) cutAll();
    }
    await clock.advance(60_000);
    await Promise.all(published);
    expect(shown).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
    expect(errors).toEqual([]);
  });

  it('P-5 is shown again what it did not handle, and nothing that it did', async () => {
    const { clock, open, settle } = openWorld();
    const publisher = await open('a');
    const first = await open('b');
    const handled: unknown[] = [];
    await settle(
      first.subscribe('news', ({ data }) => (data === 2 ? new Promise(() => {}) : handled.push(data))),
    );
    for (const data of [1, 2, 3]) await settle(publisher.publish('news', data));
    expect(handled).toEqual([1, 3]);
    first.disconnect();
    await clock.advance(1_000);
    const second = await open('b');
    const shown: unknown[] = [];
    await settle(second.subscribe('news', ({ data, redelivered }) => shown.push([data, redelivered])));
    expect(shown).toEqual([[2, true]]);
  });

  it('P-8 gets its own messages where it asked for them, in the order of its calls', async () => {
    const { open, settle } = openWorld();
    const client = await open('a');
    const shown: unknown[] = [];
    const subscribed = client.subscribe('news', ({ data }) => shown.push(data), { echo: true });
    const published = client.publish('news', 1);
    await settle(subscribed);
    expect(await published).toMatchObject({ sequence: 1 });
    expect(shown).toEqual([1]);
  });

  it('P-10 ends when another of its id takes over', async () => {
    const { open, settle } = openWorld();
    const older = await open('b');
    await settle(older.subscribe('news', () => {}));
    const newer = await open('b');
    const closed = outcome(older.waitClosed());
    await settle(newer.subscribe('news', () => {}));
    expect(closed.settled).toMatchObject({ code: 'taken_over' });
    expect(newer.isConnected).toBe(true);
  });
});
