import { type ErrorCode, WireError } from '@continuo/protocol';
import { describe, expect, it } from 'vitest';
import { createChannelWorld } from '../../test/channel-world.ts';
import { range } from '../../test/pick.ts';
import { ALL_SCOPES, type Principal, type Scope } from './access.ts';
import type { Asker } from './channels.ts';
import type { OnPublish, OnSubscribe, PublishEvent, SubscribeEvent } from './hooks.ts';

function askerOf(scopes: readonly Scope[] = ALL_SCOPES, channels: readonly string[] = ['*']): Asker {
  const principal: Principal = {
    subject: 'ann',
    user: 'ann',
    scopes: new Set(scopes),
    patterns: { agents: ['*'], channels },
  };
  return { principal, clientId: 'device', source: 'ann/device' };
}
const ANN = askerOf();
const code = (wanted: ErrorCode): object => ({ code: wanted });

describe('who subscribes', () => {
  it('P-7 gets what was asked for, at least once where nothing is said', async () => {
    const { channels } = createChannelWorld();
    expect(await channels.admit(ANN, 'news', {})).toEqual({
      delivery: true,
      echo: false,
      since: undefined,
      epoch: undefined,
      presence: true,
    });
    const wish = { delivery: false, echo: true, since: 7, epoch: 'x' };
    expect(await channels.admit(ANN, 'news', wish)).toEqual({ ...wish, presence: true });
  });

  it('L-10 needs the scope read on that channel', async () => {
    const { channels } = createChannelWorld();
    for (const asker of [askerOf(['publish']), askerOf(ALL_SCOPES, ['sport*'])])
      await expect(channels.admit(asker, 'news', {})).rejects.toMatchObject(code('forbidden'));
  });

  it('P-31 is at most once, and not told of, where the channel is so, whatever is asked and whatever the hook says', async () => {
    const patterns = { 'live*': { delivery: false, presence: false } };
    const onSubscribe: OnSubscribe = () => ({ delivery: true });
    const plain = createChannelWorld({ patterns });
    const hooked = createChannelWorld({ patterns, hooks: { onSubscribe } });
    for (const { channels } of [plain, hooked]) {
      const admission = await channels.admit(ANN, 'live.1', { delivery: true });
      expect(admission).toMatchObject({ delivery: false, presence: false });
    }
  });

  it('may be changed by the hook, which is told all of it', async () => {
    const events: SubscribeEvent[] = [];
    const { channels } = createChannelWorld({
      hooks: {
        async onSubscribe(event) {
          events.push(event);
          return { delivery: false, echo: true, since: 3 };
        },
      },
    });
    const changed = await channels.admit(ANN, 'news', { since: 9, epoch: 'old' });
    expect(changed).toMatchObject({ delivery: false, echo: true, since: 3, epoch: undefined });
    const { principal, clientId } = ANN;
    const asked = { delivery: true, echo: false, since: 9 };
    expect(events).toEqual([{ channel: 'news', clientId, principal, ...asked }]);
  });

  it('is asked about only after the token was looked at', async () => {
    let asked = 0;
    const onSubscribe: OnSubscribe = () => {
      asked++;
      return true;
    };
    const { channels } = createChannelWorld({ hooks: { onSubscribe } });
    await expect(channels.admit(askerOf([]), 'news', {})).rejects.toMatchObject(code('forbidden'));
    expect(asked).toBe(0);
  });
});

describe('who publishes', () => {
  it('L-10 needs the scope publish on that channel', async () => {
    const { channels, counted } = createChannelWorld();
    for (const asker of [askerOf(['read', 'admin']), askerOf(ALL_SCOPES, ['sport*'])])
      await expect(channels.accept(asker, 'news', { data: 1 })).rejects.toMatchObject(code('forbidden'));
    expect(counted.calls('append')).toEqual([]);
  });

  it('has it stored under its own name', async () => {
    const { channels } = createChannelWorld();
    await channels.accept(ANN, 'news', { data: 1, eventId: 'e1' });
    await channels.accept({ ...ANN, clientId: null, source: undefined }, 'news', { data: 2 });
    const { messages } = await channels.history('news');
    expect(messages).toMatchObject([
      { event_id: 'e1', data: 1, source: 'device' },
      { data: 2, source: null },
    ]);
  });

  it('may have its message changed by the hook, which is told all of it, also the id it will have', async () => {
    const events: PublishEvent[] = [];
    const { channels } = createChannelWorld({
      hooks: {
        onPublish(event) {
          events.push(event);
          return { data: { text: event.data, by: event.principal.user } };
        },
      },
    });
    const { eventId } = await channels.accept(ANN, 'news', { data: 'hello' });
    const { principal, clientId } = ANN;
    expect(events).toEqual([{ channel: 'news', data: 'hello', eventId, clientId, principal }]);
    const { messages } = await channels.history('news');
    expect(messages).toMatchObject([{ event_id: eventId, data: { text: 'hello', by: 'ann' } }]);
  });

  it.each<[string, OnPublish]>([
    ['nothing', () => undefined],
    ['nothing, later', async () => {}],
    ['true', () => true],
    ['no data', () => ({})],
    ['data that is not there', () => ({ data: undefined })],
  ])('has it stored as it is where the hook says %s', async (_what, onPublish) => {
    const { channels } = createChannelWorld({ hooks: { onPublish } });
    await channels.accept(ANN, 'news', { data: 'hello' });
    expect((await channels.history('news')).messages).toMatchObject([{ data: 'hello' }]);
  });

  it('may send null by the hook', async () => {
    const { channels } = createChannelWorld({ hooks: { onPublish: () => ({ data: null }) } });
    await channels.accept(ANN, 'news', { data: 'hello' });
    expect((await channels.history('news')).messages).toMatchObject([{ data: null }]);
  });

  it('has its messages stored in the order of its calls, however long the hook takes', async () => {
    const { clock, channels } = createChannelWorld({
      hooks: {
        onPublish: ({ data }) =>
          new Promise((resolve) =>
            clock.schedule(clock.now() + 100 - 10 * Number(data), () => resolve(undefined)),
          ),
      },
    });
    const published = range(1, 5).map((data) => channels.accept(ANN, 'news', { data }));
    await clock.advance(1_000);
    expect((await Promise.all(published)).map(({ sequence }) => sequence)).toEqual(range(1, 5));
  });

  it('does not wait for the hook of another client, nor for one that failed', async () => {
    const { clock, channels } = createChannelWorld({
      hooks: {
        async onPublish({ data }) {
          if (data === 'slow') await new Promise<void>(() => {});
          if (data === 'bad') throw new WireError('invalid', 'Not this.');
        },
      },
    });
    for (const asker of [ANN, { ...ANN, clientId: null }])
      void channels.accept(asker, 'news', { data: 'slow' });
    const other: Asker = { ...ANN, clientId: 'other' };
    await expect(channels.accept(other, 'news', { data: 'bad' })).rejects.toMatchObject(code('invalid'));
    expect(await channels.accept(other, 'news', { data: 'good' })).toMatchObject({ sequence: 1 });
    expect(await channels.accept({ ...ANN, clientId: null }, 'news', { data: 1 })).toMatchObject({
      sequence: 2,
    });
    await clock.settle();
  });
});

describe('a hook', () => {
  const refusing = { onPublish: () => false, onSubscribe: async () => false };

  it('P-31 that refuses is told with a sentence, and nothing is stored', async () => {
    const { channels, counted } = createChannelWorld({ hooks: refusing });
    await expect(channels.accept(ANN, 'news', { data: 1 })).rejects.toMatchObject({
      code: 'forbidden',
      message: 'You may not publish this to channel "news".',
    });
    await expect(channels.admit(ANN, 'news', {})).rejects.toMatchObject({
      code: 'forbidden',
      message: 'You may not subscribe to channel "news".',
    });
    expect(counted.calls('append')).toEqual([]);
  });

  it('P-31 that throws a wire error is told in its own words', async () => {
    const refusal = new WireError('rate_limited', 'Ten a minute are enough.');
    const fail = (): never => {
      throw refusal;
    };
    const { channels, problems } = createChannelWorld({ hooks: { onPublish: fail, onSubscribe: fail } });
    await expect(channels.accept(ANN, 'news', { data: 1 })).rejects.toBe(refusal);
    await expect(channels.admit(ANN, 'news', {})).rejects.toBe(refusal);
    expect(problems).toEqual([]);
  });

  it('that fails is reported, and its client told nothing of it', async () => {
    const fail = async (): Promise<never> => {
      throw new Error('the password is 1234');
    };
    const { channels, problems } = createChannelWorld({ hooks: { onPublish: fail, onSubscribe: fail } });
    for (const asked of [channels.accept(ANN, 'news', { data: 1 }), channels.admit(ANN, 'news', {})]) {
      await expect(asked).rejects.toMatchObject({
        code: 'internal',
        message: expect.not.stringContaining('1234'),
      });
    }
    expect(problems.toSorted()).toEqual([
      'the hook onPublish: Error: the password is 1234',
      'the hook onSubscribe: Error: the password is 1234',
    ]);
  });
});
