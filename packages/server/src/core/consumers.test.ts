import { createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { createWorld, deliver, KEY, LOG, MAX, pendingOf } from '../../test/consumer-world.ts';
import { interceptStore } from '../../test/intercept.ts';
import { nth, range } from '../../test/pick.ts';
import { createConsumers } from './consumers.ts';

describe('a consumer that is not known', () => {
  it('P-7 begins at the head', async () => {
    const { publish, attach } = createWorld();
    await publish(5);
    const { after, until, reset } = await attach();
    expect([after.offset, until, reset]).toEqual([5, 5, null]);
  });

  it('P-7 begins where it says', async () => {
    const { publish, attach } = createWorld();
    const { epoch } = await publish(5);
    expect((await attach({ since: { epoch, offset: 2 } })).after).toEqual({ epoch, offset: 2 });
  });
});

describe('a consumer that comes back', () => {
  it('P-5 gets again exactly what it has not acked', async () => {
    const { publish, attach, settled } = createWorld();
    const first = await attach();
    await publish(5);
    deliver(first, 1, 5);
    await settled(Promise.all([first.ack('e2'), first.ack('e4')]));
    await settled(first.detach());
    await publish(2);

    const second = await attach();
    expect(second.after.offset).toBe(0);
    expect(pendingOf(second)).toEqual([1, 3, 5]);
    expect(second.until).toBe(5); // 6 and 7 are new
  });

  it('P-7 goes on from its own position, whatever it says', async () => {
    const { publish, attach, settled } = createWorld();
    const { epoch } = await publish(5);
    const first = await attach({ since: { epoch, offset: 2 } });
    await settled(first.detach());
    expect((await attach({ since: { epoch, offset: 4 } })).after.offset).toBe(2);
  });

  it('P-6 has everything marked that a server may have handed out before it died', async () => {
    const { publish, attach, elsewhere } = createWorld();
    await attach();
    await publish(MAX * 3);
    const { after, until } = await attach({}, elsewhere); // the first server is gone without a word
    expect([after.offset, until]).toEqual([0, MAX]);
  });

  it('P-6 has nothing marked that the log never had', async () => {
    const { publish, attach, elsewhere } = createWorld();
    await attach();
    await publish(3);
    expect((await attach({}, elsewhere)).until).toBe(3);
  });

  it('is forgotten when it made nothing known of itself that lasts', async () => {
    const { store, attach, settled } = createWorld();
    const attachment = await attach({ temporary: true });
    await settled(attachment.detach());
    expect(await store.records.get(KEY)).toBeNull();
  });

  it('is forgotten when it was idle for a day', async () => {
    const { clock, publish, attach, settled } = createWorld();
    const { epoch } = await publish(5);
    const first = await attach({ since: { epoch, offset: 1 } });
    await settled(first.detach());
    await clock.advance(24 * 3_600_000 - 1);
    const second = await attach();
    expect(second.after.offset).toBe(1);
    await settled(second.detach());
    await clock.advance(24 * 3_600_000);
    expect((await attach()).after.offset).toBe(5);
  });
});

describe('one consumer, several attachments', () => {
  it('P-10 the newest takes over, and the older one hands out nothing more', async () => {
    const { publish, attach, settled } = createWorld();
    let takenOver = 0;
    const older = await attach({ onTakenOver: () => takenOver++ });
    await publish(3);
    deliver(older, 1, 3);
    const newer = await attach();
    expect([takenOver, older.room(), newer.room()]).toEqual([1, 0, MAX]);
    expect(await settled(older.ack('e1'))).toBe(false);
    expect(await settled(older.detach())).toBe(false);
    expect(pendingOf(newer)).toEqual([1, 2, 3]);
  });

  it('P-10 the older one on another server learns of it when it stores', async () => {
    const { publish, attach, elsewhere, settled } = createWorld();
    let takenOver = 0;
    const older = await attach({ onTakenOver: () => takenOver++ });
    await publish(3);
    deliver(older, 1, 3);
    const newer = await attach({}, elsewhere);
    expect(await settled(older.ack('e1'))).toBe(false);
    expect(takenOver).toBe(1);
    expect(pendingOf(newer)).toEqual([1, 2, 3]);
    deliver(newer, 1, 3);
    expect(await settled(newer.ack('e1'))).toBe(true);
  });

  it('P-10 of many at once one has it, and all of them come to an end', async () => {
    const { publish, attach, settled } = createWorld();
    await publish(1);
    const over: number[] = [];
    const all = await Promise.all(
      range(1, 8).map((number) => attach({ onTakenOver: () => over.push(number) })),
    );
    expect(over).toEqual(range(1, 7));
    expect(all.filter((attachment) => attachment.room() > 0)).toEqual([nth(all, -1)]);
    expect(await settled(nth(all, -1).detach())).toBe(true);
  });

  it('an attach that failed does not stop the next', async () => {
    let isDown = false;
    const { attach } = createWorld((store) =>
      interceptStore(store, (call, go) => {
        if (isDown && call.name === 'put') throw new Error('the disk is gone');
        return go();
      }),
    );
    isDown = true;
    const failing = attach();
    const also = attach();
    await expect(failing).rejects.toThrow('the disk is gone');
    await expect(also).rejects.toThrow('the disk is gone');
    isDown = false;
    expect((await attach()).room()).toBe(MAX);
  });
});

describe('an ack from anywhere', () => {
  it('P-5 is stored when nobody is attached', async () => {
    const { publish, attach, consumers, settled } = createWorld();
    const attachment = await attach();
    await publish(3);
    deliver(attachment, 1, 3);
    await settled(attachment.detach());
    expect(await consumers.ack(KEY, LOG, 'e2')).toBe(true);
    expect(await consumers.ack(KEY, LOG, 'e2')).toBe(false);
    expect(pendingOf(await attach())).toEqual([1, 3]);
  });

  it('P-5 goes to whoever is attached here', async () => {
    const { publish, attach, consumers, settled } = createWorld();
    const attachment = await attach();
    await publish(2);
    deliver(attachment, 1, 2);
    expect(await settled(consumers.ack(KEY, LOG, 'e1'))).toBe(true);
    expect(attachment.isInFlight('e1')).toBe(false);
    expect(attachment.room()).toBe(MAX - 1);
  });

  it('P-5 is stored while another server has the consumer, and that one keeps it', async () => {
    const { publish, attach, consumers, elsewhere, settled } = createWorld();
    const first = await attach();
    await publish(3);
    deliver(first, 1, 3);
    await settled(first.detach());
    const second = await attach({ received: { epoch: first.after.epoch, offset: 3 } }, elsewhere);
    expect(await consumers.ack(KEY, LOG, 'e2')).toBe(true);
    expect(await settled(second.ack('e3'))).toBe(true);
    expect(await settled(second.detach())).toBe(true);
    expect(pendingOf(await attach())).toEqual([1]);
  });

  it('P-5 is waited for by an attachment that comes while it is stored', async () => {
    let goOn = (): void => {};
    let held: Promise<void> | null = null;
    const { publish, attach, consumers, settled } = createWorld((store) =>
      interceptStore(store, async (call, go) => {
        const waiting = call.name === 'put' ? held : null;
        if (waiting) held = null;
        await waiting;
        return go();
      }),
    );
    const first = await attach();
    await publish(3);
    deliver(first, 1, 3);
    await settled(first.detach());
    held = new Promise((resolve) => {
      goOn = resolve;
    });
    const acked = consumers.ack(KEY, LOG, 'e2');
    const second = attach();
    await settled(Promise.resolve());
    goOn();
    expect(await acked).toBe(true);
    expect(pendingOf(await settled(second))).toEqual([1, 3]);
  });

  it.each([
    ['of a consumer that is not known', 'consumer/me/other/a', 'e1'],
    ['of a message that was not handed out', KEY, 'e4'],
    ['of a message that never was', KEY, 'x'],
  ])('P-5 is refused: %s', async (_what, key, id) => {
    const { publish, attach, consumers, settled } = createWorld();
    const attachment = await attach();
    await publish(3);
    deliver(attachment, 1, 3);
    await settled(attachment.detach());
    await publish(2);
    expect(await consumers.ack(key, LOG, id)).toBe(false);
  });

  it('P-5 is refused when the message was trimmed away', async () => {
    const { store, publish, attach, consumers, settled } = createWorld();
    const attachment = await attach();
    await publish(3);
    deliver(attachment, 1, 3);
    await settled(attachment.detach());
    await store.logs.trim(LOG, 3);
    expect(await consumers.ack(KEY, LOG, 'e1')).toBe(false);
  });

  it('gives up when others change the record all the time', async () => {
    const { publish, attach, consumers, settled } = createWorld((store) =>
      interceptStore(store, async (call, go) => {
        if (call.name === 'get' && isBusy) {
          const answer = await go();
          const { version: _, ...rest } = (await store.records.get(KEY)) ?? { version: 0, value: null };
          await store.records.put(KEY, rest.value);
          return answer;
        }
        return go();
      }),
    );
    let isBusy = false;
    const attachment = await attach();
    await publish(1);
    deliver(attachment, 1, 1);
    await settled(attachment.detach());
    isBusy = true;
    await expect(consumers.ack(KEY, LOG, 'e1')).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a record whose answer was lost', () => {
  it("is still its holder's: the next put counts", async () => {
    let loseAnswer = false;
    const { publish, attach, settled } = createWorld((store) =>
      interceptStore(store, async (call, go) => {
        const answer = await go();
        if (loseAnswer && call.name === 'put') throw new Error('the answer was lost');
        return answer;
      }),
    );
    let takenOver = 0;
    const attachment = await attach({ onTakenOver: () => takenOver++ });
    await publish(3);
    deliver(attachment, 1, 3);
    loseAnswer = true;
    await expect(settled(attachment.ack('e1'))).rejects.toThrow('the answer was lost');
    loseAnswer = false;
    expect(await settled(attachment.ack('e2'))).toBe(true);
    expect(takenOver).toBe(0);
  });
});

describe('a consumer that is changed elsewhere again and again', () => {
  it('P-10 stays with who holds it, though its own changes come too late many times', async () => {
    let meanwhile: (() => Promise<unknown>)[] = [];
    const takeOvers: string[] = [];
    const world = createWorld((store) =>
      interceptStore(store, async (call, go) => {
        if (call.name === 'put') await meanwhile.shift()?.();
        return go();
      }),
    );
    const { publish, attach, consumers, settled, store, clock } = world;
    const attachment = await attach({ onTakenOver: () => void takeOvers.push('taken') });
    await publish(9);
    deliver(attachment, 1, 9);
    await settled(attachment.ack('e9'));
    const bystander = createConsumers({
      ...store,
      clock,
      random: createSeededRandom(9),
      report() {},
      maxInFlight: MAX,
    });
    meanwhile = [1, 3, 5].map((number) => () => bystander.ack(KEY, LOG, `e${number}`));
    expect(await settled(attachment.ack('e7'))).toBe(true);
    expect([takeOvers, meanwhile]).toEqual([[], []]);
    await settled(attachment.detach());
    expect(await consumers.committed(KEY)).toMatchObject({ offset: 1 });
    expect(pendingOf(await attach())).toEqual([2, 4, 6, 8]);
  });
});

describe('an ack that meets the end of what held its consumer', () => {
  it('P-5 is stored all the same', async () => {
    let meanwhile = async (): Promise<unknown> => null;
    const { publish, attach, consumers, settled } = createWorld((store) =>
      interceptStore(store, async (call, go) => {
        const found = await go();
        if (call.name === 'find') await meanwhile();
        return found;
      }),
    );
    const first = await attach({ since: { offset: 0 } });
    await publish(3);
    deliver(first, 1, 3);
    await settled(first.detach());
    const second = await attach();
    meanwhile = () => second.detach();
    expect(await settled(consumers.ack(KEY, LOG, 'e2'))).toBe(true);
    meanwhile = async () => null;
    expect(pendingOf(await attach())).toEqual([1, 3]);
  });
});
