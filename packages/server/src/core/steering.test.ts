import { createFakeClock, createSeededRandom } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { range } from '../../test/pick.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { createSteering, type Steering } from './steering.ts';

const RUN = { log: 'run:me:run_1', runId: 'run_1' };

interface World extends Steering {
  /** The run ends. */
  end(): Promise<void>;
  /** As another server does, at the same time. */
  readonly other: Steering;
  say(content: string, messageId?: string): Promise<string>;
  /** The contents of what a step takes. */
  read(step: string, last?: boolean): Promise<readonly unknown[]>;
}

function createWorld(): World {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const steering = createSteering({ ...store, clock, random: createSeededRandom(2) });
  return {
    ...steering,
    other: createSteering({ ...store, clock, random: createSeededRandom(3) }),
    say: async (content, messageId) => (await steering.send(RUN, { content, messageId })).messageId,
    read: async (step, last = false) => (await steering.take(RUN, step, last)).map(({ content }) => content),
    async end() {
      const fence = { run: 'run_1', token: 1 };
      await store.logs.append(RUN.log, [{ id: 'run_1:end', type: 'run.ended', data: {} }], {
        fence,
        end: true,
      });
    },
  };
}

describe('messages to a running agent', () => {
  it('R-21 go to the next step that reads, in their order, and to no other', async () => {
    const { say, read } = createWorld();
    await say('shorter');
    await say('in verse');
    expect(await read('step:1')).toEqual(['shorter', 'in verse']);
    expect(await read('step:2')).toEqual([]);
  });

  it('R-21 go to the same step again where the run starts over', async () => {
    const { say, read } = createWorld();
    await say('shorter');
    await read('step:1');
    await say('longer');
    await read('step:2');
    expect(await read('step:1')).toEqual(['shorter']);
    expect(await read('step:2')).toEqual(['longer']);
  });

  it('R-21 are refused once the run has looked for its last', async () => {
    const { say, read } = createWorld();
    expect(await read('step:1', true)).toEqual([]);
    await expect(say('wait')).rejects.toMatchObject({ code: 'too_late' });
    expect(await read('step:1', true)).toEqual([]);
  });

  it('R-21 keep a run from its end where they came before its last look', async () => {
    const { say, read } = createWorld();
    await say('one more');
    expect(await read('step:1', true)).toEqual(['one more']);
    await say('and another');
    expect(await read('step:2', true)).toEqual(['and another']);
    expect(await read('step:2', true)).toEqual(['and another']); // it starts over
    expect(await read('step:3', true)).toEqual([]);
    await expect(say('wait')).rejects.toMatchObject({ code: 'too_late' });
  });

  it('R-21 sent again with the same id are one, also when it is too late', async () => {
    const { say, read, end } = createWorld();
    expect(await say('shorter', 'mine')).toBe('mine');
    expect(await say('shorter', 'mine')).toBe('mine');
    expect(await read('step:1')).toEqual(['shorter']);
    await read('step:2', true);
    await end();
    expect(await say('shorter', 'mine')).toBe('mine');
  });

  it('R-21 are refused when the run has ended, whether it has looked or not', async () => {
    const { say, end } = createWorld();
    await end();
    await expect(say('hello?')).rejects.toMatchObject({ code: 'too_late' });
  });

  it.each(['message', 'look'])(
    'R-21 are read or refused when the %s comes first by nothing',
    async (first) => {
      const { say, other, read } = createWorld();
      const send = async (): Promise<boolean> => {
        const sent = await Promise.allSettled([say('now')]);
        return sent[0].status === 'fulfilled';
      };
      const look = (): Promise<unknown> => other.take(RUN, 'step:1', true);
      const looked = first === 'look' ? look() : null;
      const isAccepted = send();
      await (looked ?? look());
      expect((await read('step:1')).length === 1).toBe(await isAccepted);
    },
  );

  it('R-21 have a bound, in number and in size', async () => {
    const { say } = createWorld();
    for (const number of range(1, 100)) await say(`${number}`);
    await expect(say('101')).rejects.toMatchObject({ code: 'inbox_full' });
    const { say: tell } = createWorld();
    await expect(tell('x'.repeat(300_000))).rejects.toMatchObject({ code: 'inbox_full' });
  });

  it('R-21 are all taken that there is room for, however many come at once on two servers', async () => {
    const { say, other, read } = createWorld();
    const sent = await Promise.allSettled(
      range(1, 110).map((number) =>
        number % 2 ? say(`${number}`) : other.send(RUN, { content: `${number}` }),
      ),
    );
    const refused = sent.filter((each) => each.status === 'rejected').map(({ reason }) => reason.code);
    expect(refused).toEqual(Array(10).fill('inbox_full'));
    expect(await read('step:1')).toHaveLength(100);
  });

  it('R-21 that come at once have a bound while they wait, and later ones are heard again', async () => {
    const { say, read } = createWorld();
    const sent = Promise.allSettled(range(1, 1_200).map(() => say('me', 'same')));
    await expect(say('now', 'late')).rejects.toMatchObject({
      code: 'inbox_full',
      message: expect.stringContaining('at once'),
    });
    expect((await sent).filter(({ status }) => status === 'fulfilled')).toHaveLength(1_000);
    await say('now', 'late');
    expect(await read('step:1')).toEqual(['me', 'now']);
  });
});
