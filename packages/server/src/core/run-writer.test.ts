import { type Entry, type Lineage, MAX_ENTRY_DATA } from '@continuo/protocol';
import { createFakeClock, createSeededRandom, type FakeClock } from '@continuo/testing';
import { describe, expect, it } from 'vitest';
import { type Around, type CountedStore, countCalls, interceptStore } from '../../test/intercept.ts';
import { range } from '../../test/pick.ts';
import { StoreError } from '../ports.ts';
import { createMemoryStore } from '../stores/memory.ts';
import { createJournal } from './log.ts';
import { createRunWriter, type RunWriter, type RunWriterOptions, type WritableEvent } from './run-writer.ts';

const LOG = 'run:me:run_1';
const LINEAGE: Lineage = {
  runId: 'run_1',
  messageId: 'm1',
  attempt: 1,
  component: { kind: 'agent', id: 'echo', name: 'Echo' },
};

interface World {
  readonly clock: FakeClock;
  readonly counted: CountedStore;
  readonly writer: RunWriter;
  entries(): Promise<readonly Entry[]>;
  /** `type text` of every entry. */
  told(): Promise<string[]>;
}

function createWorld(more: Partial<RunWriterOptions> = {}, around: Around = (_call, go) => go()): World {
  const clock = createFakeClock();
  const store = createMemoryStore({ clock, random: createSeededRandom(1) });
  const counted = countCalls(interceptStore(store, around));
  const journal = createJournal({
    logs: counted.store.logs,
    bus: store.bus,
    clock,
    report: () => {},
    retentionOf: () => ({ maxEntries: 1_000_000, maxBytes: 1 << 30 }),
  });
  const writer = createRunWriter({
    journal,
    clock,
    log: LOG,
    ownLog: true,
    fence: { run: 'run_1', token: 3 },
    serial: 0,
    lineage: LINEAGE,
    joinMs: 0,
    isLost: () => false,
    ...more,
  });
  async function entries(): Promise<readonly Entry[]> {
    const page = await store.logs.read(LOG, { offset: 0 }, { entries: 100_000, bytes: 1 << 30 });
    return page.kind === 'page' ? page.entries : [];
  }
  return {
    clock,
    counted,
    writer,
    entries,
    async told() {
      return (await entries()).map(({ type, data }) => {
        const { text, content } = data as { text?: string; content?: string };
        return `${type} ${text ?? content ?? ''}`.trim();
      });
    },
  };
}

function delta(text: string): WritableEvent {
  return { type: 'text.delta', text };
}

describe('what a run says', () => {
  it('L-7 is stored in order, under the fence, with ids of its own', async () => {
    const { clock, writer, entries } = createWorld();
    for (const word of ['a', 'b', 'c']) await writer.write(delta(word));
    await writer.end({ status: 'completed' });
    await clock.settle();
    const all = await entries();
    expect(all.map(({ type, run, runIndex }) => [type, run, runIndex])).toEqual([
      ['text.delta', 'run_1', 0],
      ['text.delta', 'run_1', 1],
      ['text.delta', 'run_1', 2],
      ['text.completed', 'run_1', 3],
      ['run.ended', 'run_1', 4],
    ]);
    expect(new Set(all.map(({ id }) => id)).size).toBe(5);
    expect(all.at(-1)).toMatchObject({
      id: 'run_1:end',
      source: 'echo',
      data: { content: 'abc', status: 'completed' },
    });
  });

  it('is gathered while an append is under way', async () => {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { clock, counted, writer } = createWorld({}, async (_call, go) => {
      await opened;
      return go();
    });
    for (const word of range(1, 50)) await writer.write(delta(`${word} `));
    open();
    await clock.settle();
    expect(counted.calls('append').map(({ drafts }) => drafts?.length)).toEqual([1, 49]);
  });

  it('is joined as long as it comes within the time, and not after something else', async () => {
    const { clock, writer, told } = createWorld({ joinMs: 30 });
    await writer.write(delta('a'));
    await clock.advance(20);
    await writer.write(delta('b'));
    await clock.advance(9);
    expect(await told()).toEqual([]);
    await clock.advance(1);
    expect(await told()).toEqual(['text.delta ab']);
    await writer.write(delta('c'));
    await writer.write({ type: 'tool.failed', callId: 'c', name: 't', error: 'no' });
    await writer.write(delta('d'));
    await writer.write(delta('e'));
    await writer.end({ status: 'completed' });
    expect(await told()).toEqual([
      'text.delta ab',
      'text.delta c',
      'tool.failed',
      'text.delta de',
      'text.completed abcde',
      'run.ended abcde',
    ]);
  });

  it('is joined for each of its members by itself', async () => {
    const { clock, writer, told } = createWorld({ joinMs: 30 });
    const by = { runId: 'run_1.1', component: LINEAGE.component };
    await writer.write({ ...delta('a'), by } as WritableEvent);
    await writer.write({ ...delta('b'), by } as WritableEvent);
    await writer.write(delta('c'));
    await clock.advance(30);
    expect(await told()).toEqual(['text.delta ab', 'text.delta c']);
  });

  it('is not joined beyond a size that a reader can take', async () => {
    const { clock, writer, entries } = createWorld({ joinMs: 30 });
    for (let count = 0; count < 100; count++) await writer.write(delta('x'.repeat(1_000)));
    await clock.advance(30);
    const sizes = (await entries()).map(({ data }) => (data as { text: string }).text.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(100_000);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(16 * 1024);
  });

  it('of a member bears its own lineage and the run it is part of', async () => {
    const { writer, entries } = createWorld();
    const by = { runId: 'run_1.1', component: { kind: 'agent' as const, id: 'poet', name: 'Poet' } };
    await writer.write({ type: 'run.started', by });
    await writer.end({ status: 'completed' });
    const [started] = await entries();
    expect(started).toMatchObject({
      source: 'poet',
      run: 'run_1',
      data: { runId: 'run_1.1', parentRunId: 'run_1', messageId: 'm1', component: by.component },
    });
  });

  it('has a whole text at its end, unless the agent gave one', async () => {
    const { writer, told } = createWorld();
    await writer.write(delta('draft'));
    await writer.write({ type: 'text.completed', text: 'final' });
    await writer.end({ status: 'completed' });
    expect(await told()).toEqual(['text.delta draft', 'text.completed final', 'run.ended final']);
  });

  it('L-9 ends with the text of before when nothing was written here', async () => {
    const { writer, told } = createWorld({ said: 'what it had said' });
    await writer.end({ status: 'interrupted', reason: 'died' });
    expect(await told()).toEqual(['run.ended what it had said']);
  });
});

describe('the queue of a run', () => {
  it('is bounded: an agent waits until the store has taken what it said', async () => {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { clock, writer, entries } = createWorld({}, async (_call, go) => {
      await opened;
      return go();
    });
    let written = 0;
    const agent = (async () => {
      for (; written < 2_000; written++) await writer.write(delta('x'));
    })();
    await clock.settle();
    expect(written).toBeGreaterThan(200);
    expect(written).toBeLessThan(300);
    open();
    for (let turns = 0; turns < 100 && written < 2_000; turns++) await clock.settle();
    await agent;
    await writer.end({ status: 'completed' });
    expect(await entries()).toHaveLength(2_002);
  });

  it('lets others have their turn though its agent never waits', async () => {
    const { clock, writer } = createWorld();
    let turns = 0;
    const spin = (): void => {
      turns++;
      if (turns < 1_000) clock.soon(spin);
    };
    clock.soon(spin);
    const agent = (async () => {
      for (let count = 0; count < 2_000; count++) await writer.write(delta('x'));
    })();
    await clock.settle();
    await agent;
    expect(turns).toBeGreaterThan(5);
  });
});

describe('what is too large', () => {
  const HUGE = 'x'.repeat(MAX_ENTRY_DATA);

  it.each<[string, WritableEvent]>([
    ['a delta', delta(HUGE)],
    ['a completed text', { type: 'text.completed', text: HUGE }],
    ['the result of a tool', { type: 'tool.completed', callId: 'c', name: 't', result: HUGE }],
    [
      'what a member says',
      { type: 'text.delta', text: HUGE, by: { runId: 'r.1', component: LINEAGE.component } },
    ],
  ])('L-17 is refused before anything is stored of it: %s', async (_what, output) => {
    const { clock, writer, told } = createWorld();
    await writer.write(delta('before'));
    await expect(writer.write(output)).rejects.toMatchObject({ code: 'too_large' });
    expect(writer.failure).toBeNull();
    await writer.end({ status: 'failed', reason: 'too large' });
    await clock.settle();
    expect(await told()).toEqual(['text.delta before', 'text.completed before', 'run.ended before']);
  });

  it('L-17 is an answer that grows beyond what its last entry can hold', async () => {
    const { writer, entries } = createWorld();
    const piece = 'x'.repeat(100_000);
    let pieces = 0;
    await expect(
      (async () => {
        for (; pieces < 20; pieces++) await writer.write(delta(piece));
      })(),
    ).rejects.toMatchObject({ code: 'too_large', message: expect.stringContaining('longer than') });
    expect(pieces).toBe(10);
    await writer.end({ status: 'failed', reason: 'too large' });
    expect((await entries()).at(-1)?.data).toMatchObject({ content: piece.repeat(10) });
  });

  it('L-17 counts the answer, not its pieces: many small ones make no long answer', async () => {
    const { clock, writer } = createWorld({ joinMs: 30 });
    // A hundred thousand words of ten bytes are 1,000,000 bytes: less than an entry holds.
    for (let count = 0; count < 100_000; count++) {
      const written = writer.write(delta('ten bytes '));
      if (count % 1_000 === 0) await clock.advance(30);
      await written;
    }
    await clock.advance(30);
    await expect(writer.end({ status: 'completed' })).resolves.toBeUndefined();
  });

  it('L-17 counts what a completed text was, also when more is said after it', async () => {
    const { writer, entries } = createWorld();
    const half = 'x'.repeat(600_000);
    await writer.write({ type: 'text.completed', text: half });
    await expect(writer.write(delta(half))).rejects.toMatchObject({ code: 'too_large' });
    await writer.end({ status: 'failed', reason: 'too large' });
    expect((await entries()).at(-1)?.data).toMatchObject({ status: 'failed', content: half });
  });

  it('L-6 is no reason for a run to have no end: a long reason is cut', async () => {
    const { writer, entries } = createWorld();
    await writer.write(delta('x'));
    await writer.end({ status: 'failed', reason: `no such file: ${HUGE}` });
    const end = (await entries()).at(-1);
    expect(end?.type).toBe('run.ended');
    expect(end?.data).toMatchObject({ status: 'failed', reason: expect.stringContaining('no such file') });
  });
});

describe('a store that fails', () => {
  it('is asked again with the same ids, so that everything is stored once', async () => {
    let failures = 2;
    let answersLost = 1;
    const { clock, counted, writer, told } = createWorld({}, async (call, go) => {
      if (call.name === 'append' && failures-- > 0) throw new StoreError('unavailable', 'the disk is gone');
      const answer = await go();
      if (call.name === 'append' && answersLost-- > 0)
        throw new StoreError('unavailable', 'the answer was lost');
      return answer;
    });
    await writer.write(delta('a'));
    await writer.write(delta('b'));
    const ended = writer.end({ status: 'completed' });
    await clock.advance(2_000);
    await ended;
    expect(await told()).toEqual(['text.delta a', 'text.delta b', 'text.completed ab', 'run.ended ab']);
    const [first, second, third] = counted.calls('append').map(({ drafts }) => drafts?.map(({ id }) => id));
    expect([second, third]).toEqual([first, first]);
  });

  it("L-7 is not asked again when the lease is another's", async () => {
    let lost = false;
    const { clock, counted, writer } = createWorld({ isLost: () => lost }, async (call, go) => {
      if (call.name === 'append') throw new StoreError('unavailable', 'the disk is gone');
      return go();
    });
    await writer.write(delta('a'));
    await clock.settle();
    lost = true;
    await clock.advance(5_000);
    expect(counted.calls('append')).toHaveLength(1);
    await expect(writer.write(delta('b'))).rejects.toThrow('the disk is gone');
    expect(writer.failure).toMatchObject({ code: 'unavailable' });
  });

  it('L-7 that has seen a higher token takes nothing more', async () => {
    const { clock, counted, writer, told } = createWorld();
    await writer.write(delta('a'));
    await clock.settle();
    await counted.store.logs.append(LOG, [], { fence: { run: 'run_1', token: 4 } });
    await writer.write(delta('b'));
    await clock.settle();
    await expect(writer.write(delta('c'))).rejects.toMatchObject({ code: 'fenced' });
    await expect(writer.end({ status: 'completed' })).rejects.toMatchObject({ code: 'fenced' });
    expect(await told()).toEqual(['text.delta a']);
  });

  it('L-6 takes nothing of a run after its end', async () => {
    const { clock, writer, told } = createWorld();
    await writer.write(delta('a'));
    await writer.end({ status: 'completed' });
    await writer.write(delta('late'));
    await clock.settle();
    expect(writer.failure).toMatchObject({ code: 'ended' });
    expect(await told()).toEqual(['text.delta a', 'text.completed a', 'run.ended a']);
  });
});
