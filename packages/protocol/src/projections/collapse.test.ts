import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../entry.ts';
import type { ComponentRef, Lineage, RunEvent } from '../events.ts';
import type { RunEventJson } from '../runs.ts';
import { collapseRun } from './collapse.ts';
import { draftOf } from './event-of.ts';
import { toRun } from './to-run.ts';

const AGENT: ComponentRef = { kind: 'agent', id: 'echo', name: 'Echo' };
const OWN: Lineage = { runId: 'run_1', messageId: 'm1', attempt: 1, component: AGENT };
const MEMBER: Lineage = { ...OWN, runId: 'run_1.1', parentRunId: 'run_1' };

function entryOf(event: RunEvent, index: number): Entry {
  return {
    log: 'run:me:run_1',
    epoch: 'e',
    offset: index + 1,
    id: `run_1:1.${index}`,
    at: 1_700_000_000_000 + index * 1_000,
    run: 'run_1',
    runIndex: index,
    ...draftOf(event),
  };
}

function collapse(...events: readonly RunEvent[]): RunEventJson[] {
  return collapseRun(events.map(entryOf), 's1');
}

const delta = (text: string, whose: Lineage = OWN): RunEvent => ({ type: 'text.delta', text, ...whose });

describe('a collapsed view', () => {
  it('R-14 joins deltas that follow each other, under the index and the time of the last', () => {
    const events = collapse({ type: 'run.started', ...OWN }, delta('a'), delta('b'), delta('c'));
    expect(events).toEqual([
      expect.objectContaining({ event: 'RunStarted', event_index: 0 }),
      expect.objectContaining({
        event: 'RunContent',
        event_index: 3,
        run_id: 'run_1',
        agent_id: 'echo',
        session_id: 's1',
        content: 'abc',
        content_type: 'str',
        created_at: 1_700_000_003,
      }),
    ]);
  });

  it('R-14 gives all else as it is, and joins nothing across it', () => {
    const events: readonly RunEvent[] = [
      delta('a'),
      { type: 'reasoning.delta', text: 'hm', ...OWN },
      { type: 'reasoning.delta', text: 'so', ...OWN },
      delta('b'),
      { type: 'text.completed', text: 'ab', ...OWN },
    ];
    expect(collapse(...events)).toEqual(events.map((event, index) => toRun(entryOf(event, index), 's1')));
  });

  it.each([
    ['of a member and of its team', delta('a'), delta('b', MEMBER)],
    [
      'of a member in two steps',
      delta('a', { ...MEMBER, step: 'one' }),
      delta('b', { ...MEMBER, step: 'two' }),
    ],
    ['of a member in no step and in one', delta('a', MEMBER), delta('b', { ...MEMBER, step: 'two' })],
  ])('R-14 does not join deltas %s', (_what, one, other) => {
    expect(collapse(one, other).map(({ content }) => content)).toEqual(['a', 'b']);
  });

  it('R-14 of nothing is nothing', () => {
    expect(collapse()).toEqual([]);
  });

  it('R-14 keeps every text byte for byte, every other event once, and the order', () => {
    // Any UTF-16 at all: a character may be cut in two by two deltas.
    const text = fc.string({ unit: 'binary', maxLength: 8 }).map((whole) => whole.slice(0, 5));
    const whose = fc.constantFrom(OWN, MEMBER, { ...MEMBER, step: 'one' });
    const event: fc.Arbitrary<RunEvent> = fc.oneof(
      { weight: 5, arbitrary: fc.tuple(text, whose).map(([said, by]) => delta(said, by)) },
      { weight: 1, arbitrary: fc.constantFrom<RunEvent>({ type: 'run.continued', ...OWN }) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(text, whose)
          .map<RunEvent>(([said, by]) => ({ type: 'reasoning.delta', text: said, ...by })),
      },
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const exact = events.map((each, index) => toRun(entryOf(each, index), 's1'));
        const seen = collapse(...events);
        const isContent = ({ event: name }: RunEventJson): boolean => name === 'RunContent';
        const said = (all: readonly RunEventJson[], runId: string): string =>
          all
            .flatMap((each) => (isContent(each) && each.run_id === runId ? [String(each.content)] : []))
            .join('');
        for (const runId of ['run_1', 'run_1.1']) expect(said(seen, runId)).toBe(said(exact, runId));
        expect(seen.filter((each) => !isContent(each))).toEqual(exact.filter((each) => !isContent(each)));
        const indexes = seen.map(({ event_index }) => event_index);
        expect(indexes).toEqual([...new Set(indexes)].toSorted((a, b) => a - b));
        expect(indexes.at(-1)).toBe(exact.at(-1)?.event_index);
        for (const [at, each] of seen.entries()) {
          const next = seen[at + 1];
          const isSame = next?.run_id === each.run_id && next.step_name === each.step_name;
          expect(next && isContent(each) && isContent(next) && isSame).not.toBe(true);
        }
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});
