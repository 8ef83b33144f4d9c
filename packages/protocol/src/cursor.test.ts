import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeVectorCursor, encodeVectorCursor, mergeVectorCursors, type VectorCursor } from './cursor.ts';

const PINNED = { seed: 20_251_120, numRuns: 500 };

/** Any text that has a UTF-8 form: separators, escapes, control characters, characters beyond the first plane. */
const text = (minLength: number) =>
  fc.oneof(fc.string({ unit: 'binary', minLength }), fc.stringMatching(/^[,;%a-c1\n ]{1,8}$/));

const cursors = fc
  .array(fc.tuple(text(1), fc.record({ epoch: text(0), offset: fc.nat({ max: 999_999_999_999_999 }) })))
  .map((entries): VectorCursor => new Map(entries));

const WEIRD: readonly (readonly [string, VectorCursor])[] = [
  ['no log at all', new Map()],
  ['a log named like the separators', new Map([[';,;,%2C', { epoch: ',;%', offset: 7 }]])],
  ['an epoch without characters', new Map([['a', { epoch: '', offset: 0 }]])],
  ['a log named __proto__', new Map([['__proto__', { epoch: 'constructor', offset: 3 }]])],
  [
    'a control character, an emoji and a line break',
    new Map([['\u0000🎻\n', { epoch: '\u2028', offset: 1 }]]),
  ],
  [
    'several logs, in their order',
    new Map([
      ['z', { epoch: 'e1', offset: 9 }],
      ['a', { epoch: 'e2', offset: 1 }],
    ]),
  ],
];

const GARBAGE = [
  'nonsense',
  'a,b',
  'a,b,1,2',
  'a,b,',
  ',b,1',
  'a,b,-1',
  'a,b,+1',
  'a,b,1.5',
  'a,b,1e3',
  'a,b,0x10',
  'a,b, 1',
  'a,b,١',
  'a,b,99999999999999999999',
  'a,b,NaN',
  '%,b,1',
  'a,%E0%A4%A,1',
  'a,b,1;',
  ';',
  'a,b,1;;c,d,2',
  'a,b,1;c',
  '{"a":1}',
];

describe('a vector cursor', () => {
  it.each(WEIRD)('L-13 comes back with %s', (_name, cursor) => {
    expect([...(decodeVectorCursor(encodeVectorCursor(cursor)) ?? [])]).toEqual([...cursor]);
  });

  it('L-13 comes back as it was, whatever the logs and epochs are called', () => {
    fc.assert(
      fc.property(cursors, (cursor) => {
        expect([...(decodeVectorCursor(encodeVectorCursor(cursor)) ?? [])]).toEqual([...cursor]);
      }),
      PINNED,
    );
  });

  it('L-13 is one line of printable ASCII: safe in an SSE id, in JSON and in a header', () => {
    fc.assert(
      fc.property(cursors, (cursor) => {
        expect(encodeVectorCursor(cursor)).toMatch(/^[!-~]*$/);
        expect(encodeVectorCursor(cursor)).not.toMatch(/["\\]/);
      }),
      PINNED,
    );
  });

  it.each(GARBAGE)('L-13 is null for %j, which nobody made', (garbage) => {
    expect(decodeVectorCursor(garbage)).toBeNull();
  });

  it('L-13 is null for text that holds two positions of one log: neither can be trusted', () => {
    expect(decodeVectorCursor('a,b,1;a,b,2')).toBeNull();
  });

  it('L-13 never throws, and what is not null is a cursor that comes back', () => {
    const pieces = fc.string({ unit: fc.constantFrom('a', ',', ';', '%', '2', 'C', 'é', '0') });
    fc.assert(
      fc.property(fc.oneof(fc.string(), pieces), (garbage) => {
        const cursor = decodeVectorCursor(garbage);
        if (cursor) expect(decodeVectorCursor(encodeVectorCursor(cursor))).toEqual(cursor);
      }),
      { ...PINNED, numRuns: 5_000 },
    );
  });
});

describe('two cursors', () => {
  it('L-13 merge to the positions of both, the newer ones where they name the same log', () => {
    fc.assert(
      fc.property(cursors, cursors, (held, newer) => {
        const merged = mergeVectorCursors(encodeVectorCursor(held), encodeVectorCursor(newer));
        expect(decodeVectorCursor(merged)).toEqual(new Map([...held, ...newer]));
      }),
      PINNED,
    );
  });
});
