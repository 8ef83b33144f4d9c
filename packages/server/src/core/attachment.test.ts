import type { Entry, Reset } from '@continuo/protocol';
import { createFakeClock, type FakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { nth, range } from '../../test/pick.ts';
import { entryOf } from '../../test/reading.ts';
import { type Attachment, type AttachmentOptions, createAttachment } from './attachment.ts';
import type { ConsumerRecord, ConsumerState } from './consumer.ts';
import { RETRY_TERMS } from './redelivery.ts';

type Stored = Omit<ConsumerRecord, 'holder'>;

interface World {
  readonly clock: FakeClock;
  readonly attachment: Attachment;
  /** What was stored, in order. */
  readonly puts: Stored[];
  readonly events: string[];
  readonly problems: string[];
  deliver(from: number, to: number): void;
}

const MAX = 10;
const FRESH = { handed: [], retries: [] };

function attach(more: Partial<AttachmentOptions> = {}): World {
  const clock = createFakeClock();
  const puts: Stored[] = [];
  const events: string[] = [];
  const problems: string[] = [];
  const attachment = createAttachment({
    log: 'channel:a',
    state: { ...FRESH, epoch: 'e', delivered: 0, unacked: [], reset: null },
    received: undefined,
    seenReset: undefined,
    maxInFlight: MAX,
    terms: RETRY_TERMS,
    ttlMs: 86_400_000,
    sync: async () => true,
    read: async (_epoch, offset) => entryOf(offset),
    redeliver: () => true,
    bury: async () => {},
    onLost() {},
    clock,
    report: (problem, error) => void problems.push(`${problem}: ${String(error)}`),
    locate: async () => null,
    onRoom: () => void events.push('room'),
    onTakenOver: () => void events.push('taken over'),
    onOver: () => void events.push('over'),
    ...more,
    store: async (record) => {
      puts.push(record);
      return more.store ? more.store(record) : true;
    },
  });
  return {
    clock,
    attachment,
    puts,
    events,
    problems,
    deliver: (from, to) => attachment.onMoved(entries(from, to), from - 1, to),
  };
}

function entries(from: number, to: number): Entry[] {
  return range(from, to).map((offset) => entryOf(offset));
}

function reset(from: number, to: number): Reset {
  return { log: 'channel:a', reason: 'trimmed', from: { offset: from }, to: { epoch: 'e', offset: to } };
}

describe('what is handed out', () => {
  it('P-5 waits for its ack, which is answered when it is stored', async () => {
    let answer = (_stored: boolean): void => {};
    const { clock, attachment, puts, deliver } = attach({
      store: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    deliver(1, 3);
    const answers: boolean[] = [];
    const acked = attachment.ack('e2').then((ok) => answers.push(ok));
    await clock.settle();
    expect(nth(puts, -1)).toMatchObject({
      delivered: 3,
      unacked: [
        [1, 1],
        [3, 3],
      ],
    });
    expect(answers).toEqual([]);
    answer(true);
    await acked;
    expect(answers).toEqual([true]);
  });

  it('P-5 is acked together with what else is acked in the same tick', async () => {
    const { clock, attachment, puts, deliver } = attach();
    deliver(1, 4);
    const acks = ['e1', 'e2', 'e4'].map((id) => attachment.ack(id));
    await clock.settle();
    expect(await Promise.all(acks)).toEqual([true, true, true]);
    expect(puts.map(({ unacked }) => unacked)).toEqual([[[3, 3]]]);
  });

  it.each([
    ['was never handed out', 'e9'],
    ['has been acked', 'e1'],
  ])('P-5 is not acked when it %s', async (_what, id) => {
    const { clock, attachment, deliver } = attach();
    deliver(1, 2);
    const first = attachment.ack('e1');
    await clock.settle();
    expect(await first).toBe(true);
    expect(await attachment.ack(id)).toBe(false);
  });

  it('P-5 is acked also when another attachment handed it out', async () => {
    const { clock, attachment, puts } = attach({
      state: { ...FRESH, epoch: 'e', delivered: 3, unacked: [[1, 3]], reset: null },
      locate: async (_state, id) => (id === 'e2' ? 2 : null),
    });
    const acked = attachment.ack('e2');
    await clock.settle();
    expect(await acked).toBe(true);
    expect(nth(puts, -1).unacked).toEqual([
      [1, 1],
      [3, 3],
    ]);
  });

  it('P-5 can be acked again when its ack could not be stored', async () => {
    let isDown = true;
    const { clock, attachment, puts, deliver } = attach({
      store: async () => {
        if (isDown) throw new Error('the disk is gone');
        return true;
      },
    });
    deliver(1, 3);
    const failed = expect(attachment.ack('e1')).rejects.toThrow('the disk is gone');
    await clock.settle();
    await failed;
    isDown = false;
    const acked = attachment.ack('e1');
    await clock.settle();
    expect(await acked).toBe(true);
    expect(nth(puts, -1).unacked).toEqual([[2, 3]]);
  });

  it('P-8 does not hold the position back when it was not meant for this consumer', async () => {
    const { clock, attachment, puts } = attach();
    attachment.onMoved([], 0, 2);
    attachment.onMoved([entryOf(4)], 2, 6);
    attachment.onMoved([], 6, 7);
    const acked = attachment.ack('e4');
    await clock.settle();
    expect(await acked).toBe(true);
    expect(nth(puts, -1)).toMatchObject({ delivered: 7, unacked: [] });
  });

  it('P-8 does not hold it back either when it was taken for handed out', async () => {
    const state = { ...FRESH, epoch: 'e', delivered: 6, unacked: [[1, 6] as const], reset: null };
    const { clock, attachment, puts } = attach({ state });
    attachment.onMoved([entryOf(2), entryOf(4)], 0, 5); // 1, 3 and 5 are its own
    const acked = attachment.ack('e2');
    await clock.settle();
    expect(await acked).toBe(true);
    expect(nth(puts, -1).unacked).toEqual([
      [4, 4],
      [6, 6],
    ]);
  });
});

describe('room', () => {
  it('P-11 goes down with what is handed out, and up with what is acked', async () => {
    const { clock, attachment, events, deliver } = attach();
    expect(attachment.room()).toBe(MAX);
    deliver(1, 4);
    expect(attachment.room()).toBe(MAX - 4);
    deliver(5, MAX);
    expect(attachment.room()).toBe(0);
    await clock.settle();
    events.length = 0;
    const acks = [attachment.ack('e3'), attachment.ack('e7')];
    await clock.settle();
    await Promise.all(acks);
    expect(attachment.room()).toBe(2);
    expect(events).toContain('room');
  });

  it('P-11 says nothing when there was room before', async () => {
    const { clock, attachment, events, deliver } = attach();
    deliver(1, 2);
    const acked = attachment.ack('e1');
    await clock.settle();
    await acked;
    expect(events).toEqual([]);
  });

  it('P-6 never goes further than what is stored allows to mark', async () => {
    let answer = (_stored: boolean): void => {};
    const { clock, attachment, events } = attach({
      store: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    // Nothing of this needs an ack, so only the stored mark holds it back.
    attachment.onMoved([], 0, MAX);
    await clock.settle();
    expect(attachment.room()).toBe(0);
    answer(true);
    await clock.settle();
    expect(attachment.room()).toBe(MAX);
    expect(events).toEqual(['room']);
  });

  it('P-3 comes again when the mark could not be stored, though nothing waits for an ack', async () => {
    let failures = 1;
    const { clock, attachment, events } = attach({
      store: async () => {
        if (failures-- > 0) throw new Error('the disk is gone');
        return true;
      },
    });
    attachment.onMoved([], 0, MAX); // its own messages: no ack will ever come
    await clock.advance(10_000);
    expect(attachment.room()).toBe(MAX);
    expect(events).toEqual(['room']);
  });

  it('is none when it is over', async () => {
    const { attachment, clock } = attach();
    attachment.takeOver();
    await clock.settle();
    expect(attachment.room()).toBe(0);
  });
});

describe('where it begins', () => {
  const state = { ...FRESH, epoch: 'e', delivered: 8, unacked: [[3, 5]] as const, reset: null };

  it('P-5 is after what is acked, marked up to what was handed out', () => {
    const { attachment } = attach({ state: { ...state, unacked: [[3, 5]] } });
    expect(attachment.after).toEqual({ epoch: 'e', offset: 2 });
    expect(attachment.until).toBe(8);
    expect(range(3, 8).filter((offset) => !attachment.skip(entryOf(offset)))).toEqual([3, 4, 5]);
  });

  it.each([
    ['what its owner has received, acked or not', { epoch: 'e', offset: 7 }, 7, 8],
    ['where the mark is, when its owner says that it has more', { epoch: 'e', offset: 11 }, 8, 8],
    ['the acked position, when what it received is of another epoch', { epoch: 'f', offset: 7 }, 2, 8],
    ['the acked position, when it received less', { epoch: 'e', offset: 1 }, 2, 8],
  ])('P-14 is after %s', (_what, received, after, until) => {
    const { attachment } = attach({ state: { ...state, unacked: [[3, 5]] }, received });
    expect([attachment.after.offset, attachment.until]).toEqual([after, until]);
  });

  it('P-5 keeps as unacked what its owner has received and not acked', async () => {
    const state: ConsumerState = { ...FRESH, epoch: 'e', delivered: 4, unacked: [[1, 4]], reset: null };
    const { attachment, puts, clock } = attach({ state, received: { epoch: 'e', offset: 4 } });
    const detached = attachment.detach();
    await clock.settle();
    expect(await detached).toBe(true);
    expect(nth(puts, -1)).toMatchObject({ delivered: 4, unacked: [[1, 4]] });
  });
});

describe('a lost position', () => {
  const lost = {
    ...FRESH,
    epoch: 'e',
    delivered: 9,
    unacked: [],
    reset: { reason: 'trimmed', from: 2, to: 9 },
  } as const;

  it('P-9 is stored, and with it what went with it', async () => {
    const { clock, attachment, puts, deliver } = attach();
    deliver(1, 5);
    attachment.onReset(reset(5, 8));
    await clock.settle();
    expect(nth(puts, -1)).toMatchObject({
      delivered: 8,
      unacked: [],
      reset: { reason: 'trimmed', from: 5, to: 8 },
    });
    expect(attachment.room()).toBe(MAX);
  });

  it('P-9 is told again by the next attachment', () => {
    const { attachment } = attach({ state: { ...lost, unacked: [] } });
    expect(attachment.reset).toEqual(reset(2, 9));
  });

  it('P-9 is told until something newer is acked', async () => {
    const { clock, attachment, puts, deliver } = attach({ state: { ...lost, unacked: [] } });
    deliver(10, 11);
    const acked = attachment.ack('e10');
    await clock.settle();
    expect(await acked).toBe(true);
    expect(nth(puts, -1).reset).toBeNull();
  });

  it('P-9 is told again after an ack of what may have been handed out before it', async () => {
    const { clock, attachment, puts, deliver } = attach({
      state: { ...lost, delivered: 12, unacked: [[10, 12]] },
    });
    deliver(10, 12);
    const acked = attachment.ack('e11');
    await clock.settle();
    expect(await acked).toBe(true);
    expect(nth(puts, -1).reset).not.toBeNull();
  });

  it.each([
    ['no more, when its owner shows that it arrived', { epoch: 'e', offset: 9 }, false],
    ['again, when another one arrived', { epoch: 'e', offset: 5 }, true],
    ['again, when one of another epoch arrived', { epoch: 'f', offset: 9 }, true],
  ])('P-9 is told %s', (_what, seenReset, told) => {
    const { attachment } = attach({ state: { ...lost, unacked: [] }, seenReset });
    expect(attachment.reset !== null).toBe(told);
  });
});

describe('the end of an attachment', () => {
  it('stores in good order how far it came, once', async () => {
    const { clock, attachment, puts, events, deliver } = attach();
    deliver(1, 2);
    const detached = attachment.detach();
    await clock.settle();
    expect(await detached).toBe(true);
    expect(puts).toMatchObject([{ epoch: 'e', delivered: 2, unacked: [[1, 2]], reset: null, clean: true }]);
    expect(await attachment.detach()).toBe(false);
    expect(events).toEqual(['over']);
    expect(await attachment.ack('e1')).toBe(false);
  });

  it('waits for what is being stored, so that the last word is the last', async () => {
    const order: string[] = [];
    let answer = (): void => {};
    const { clock, attachment, deliver } = attach({
      store: (record) =>
        new Promise((resolve) => {
          order.push(record.clean ? 'detach begins' : 'ack begins');
          answer = () => {
            order.push(record.clean ? 'detach ends' : 'ack ends');
            resolve(true);
          };
        }),
    });
    deliver(1, 2);
    const acked = attachment.ack('e1');
    await clock.settle();
    const detached = attachment.detach();
    await clock.settle();
    answer();
    await clock.settle();
    answer();
    await Promise.all([acked, detached]);
    expect(order).toEqual(['ack begins', 'ack ends', 'detach begins', 'detach ends']);
  });

  it('P-10 comes when another has the consumer: nothing of it counts any more', async () => {
    const { clock, attachment, events, deliver } = attach({ store: async () => false });
    deliver(1, 2);
    const acked = attachment.ack('e1');
    await clock.settle();
    expect(await acked).toBe(false);
    expect(events).toEqual(['over', 'taken over']);
    expect(await attachment.detach()).toBe(false);
  });

  it('P-10 is told once', async () => {
    const { attachment, events } = attach();
    attachment.takeOver();
    attachment.takeOver();
    expect(events).toEqual(['over', 'taken over']);
  });

  it('reports what could not be stored when nobody waits for it', async () => {
    const { clock, problems, deliver } = attach({
      store: async () => {
        throw new Error('the disk is gone');
      },
    });
    deliver(1, MAX);
    await clock.settle();
    expect(problems).toEqual([expect.stringContaining('the disk is gone')]);
  });
});
