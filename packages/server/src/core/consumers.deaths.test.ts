import type { Entry } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createWorld, deliver, KEY, LOG, pendingOf } from '../../test/consumer-world.ts';
import { range } from '../../test/pick.ts';
import type { Death } from './consumers.ts';

describe('a message whose time is over', () => {
  const TTL = 86_400_000;

  it('P-20 is told by a reset to a consumer that comes back, with all before it', async () => {
    const { clock, publish, attach, settled } = createWorld();
    const first = await attach({ since: { offset: 0 } });
    await publish(4);
    deliver(first, 1, 2);
    await settled(first.ack('e1'));
    await settled(first.detach());
    await clock.advance(TTL / 2);
    await publish(3);
    await settled((await attach()).detach()); // it was here: it is not forgotten
    await clock.advance(TTL / 2 + 1);

    const back = await attach();
    expect(back.reset).toMatchObject({ reason: 'trimmed', from: { offset: 1 }, to: { offset: 4 } });
    expect(back.after.offset).toBe(4);
    expect(pendingOf(back)).toEqual([]);
  });

  it('P-20 is not told of while it is young', async () => {
    const { clock, publish, attach, settled } = createWorld();
    await settled((await attach({ since: { offset: 0 } })).detach());
    await publish(3);
    await clock.advance(TTL - 1);
    expect((await attach()).reset).toBeNull();
  });

  it('P-20 becomes a dead letter when it grows old waiting for its ack', async () => {
    const deaths: Death[] = [];
    const { clock, publish, attach } = createWorld((store) => store, {
      retry: { ackTimeoutMs: 30_000, maxRetries: 100, retryBackoff: 1 },
      ttlMs: 100_000,
      bury: async (death) => void deaths.push(death),
    });
    const sent: number[] = [];
    const attachment = await attach({
      since: { offset: 0 },
      redeliver: (_entry, attempt) => sent.push(attempt) > 0,
    });
    await publish(1);
    deliver(attachment, 1, 1);
    await clock.advance(200_000);
    expect(sent).toEqual([2, 3, 4]);
    expect(deaths).toMatchObject([{ key: KEY, reason: 'expired', entry: { id: 'e1' } }]);
    expect(await attachment.ack('e1')).toBe(false);
  });
});

describe('a message that is given up', () => {
  it('P-18 is buried once, though its server dies in between', async () => {
    const deaths: string[] = [];
    let isDown = true;
    const { clock, publish, attach, elsewhere, settled } = createWorld((store) => store, {
      async bury({ entry, at }) {
        deaths.push(`${entry.id} ${at}`);
        if (isDown) throw new Error('nothing is stored here');
      },
      report() {},
    });
    const first = await attach({ since: { offset: 0 }, redeliver: () => true });
    await publish(1);
    deliver(first, 1, 1);
    for (const _each of range(1, 4)) await settled(first.nack('e1'));
    isDown = false;
    await attach({ redeliver: () => true }, elsewhere);
    await clock.advance(60_000);
    expect(deaths.length).toBeGreaterThan(1);
    expect(new Set(deaths).size).toBe(1);
  });

  it('P-19 is delivered again when it is wanted, wherever its consumer is', async () => {
    const { clock, publish, attach, consumers, elsewhere, settled } = createWorld();
    const at = { epoch: (await publish(0)).epoch, offset: 1 };
    const sent: string[] = [];
    const redeliver = (entry: Entry, attempt: number): boolean => sent.push(`${entry.id}/${attempt}`) > 0;
    const first = await attach({ since: { offset: 0 }, redeliver });
    await publish(2);
    deliver(first, 1, 2);
    await settled(first.ack('e1'));

    expect(await settled(consumers.reopen(KEY, LOG, at))).toBe(true);
    expect(sent).toEqual(['e1/2']);
    await settled(first.ack('e1'));
    expect(await settled(elsewhere.reopen(KEY, LOG, at))).toBe(true);
    await clock.advance(40_000);
    expect(sent.toSorted()).toEqual(['e1/2', 'e1/2', 'e2/2']);
    await settled(first.ack('e1'));
    await settled(first.detach());
    expect(await settled(elsewhere.reopen(KEY, LOG, at))).toBe(true);
    await attach({ redeliver });
    await clock.settle();
    expect(sent.slice(3).toSorted()).toEqual(['e1/2', 'e2/2']);
  });

  it('P-19 stays where it is when the channel no longer has it, or nobody knows the consumer', async () => {
    const { store, publish, attach, consumers, settled } = createWorld();
    const { epoch } = await publish(3);
    expect(await consumers.reopen(KEY, LOG, { epoch, offset: 1 })).toBe(false);
    const first = await attach({ since: { offset: 0 } });
    deliver(first, 1, 3);
    await store.logs.trim(LOG, 2);
    expect(await settled(consumers.reopen(KEY, LOG, { epoch, offset: 1 }))).toBe(false);
    expect(await settled(consumers.reopen(KEY, LOG, { epoch: 'gone', offset: 2 }))).toBe(false);
    expect(await settled(consumers.reopen(KEY, LOG, { epoch, offset: 4 }))).toBe(false);
  });
});
