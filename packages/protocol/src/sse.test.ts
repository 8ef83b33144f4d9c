import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSseReader, SSE_HEADERS, SSE_HEARTBEAT, type SseEvent, writeSse } from './sse.ts';

function read(...chunks: readonly string[]): SseEvent[] {
  const reader = createSseReader();
  return chunks.flatMap((chunk) => reader.push(chunk));
}

const EVENTS: readonly SseEvent[] = [
  { event: 'catch_up', data: '{"event":"catch_up"}' },
  { event: 'RunContent', id: '0', data: '{"content":"a: b"}' },
  { event: 'RunContent', id: '1', data: '{"content":"line\\nbreak \u2028 🎻"}' },
  { event: 'RunCompleted', id: '2', data: '""' },
];

/** Line ends, comments, unknown fields, many data lines: what other servers write. */
const FOREIGN = [
  ': hello\r\n\r\n',
  'event: a\r\nid: 1\r\ndata: one\r\ndata: two\r\n\r\n',
  'data:no space\r\rdata:  two spaces\n\n',
  'retry: 10\nevent:b\nunknown\ndata\ndata\n\n',
  'id: 7\nevent: only\n\n',
  'data: last\n\n',
].join('');

const FOREIGN_EVENTS: readonly SseEvent[] = [
  { event: 'a', id: '1', data: 'one\ntwo' },
  { event: 'message', data: 'no space' },
  { event: 'message', data: ' two spaces' },
  { event: 'b', data: '\n' },
  { event: 'message', data: 'last' },
];

describe('what is written', () => {
  it('R-2 is event, id and data, each line ended by LF alone, and an empty line', () => {
    expect(writeSse({ event: 'RunContent', id: '3', data: '{}' })).toBe(
      'event: RunContent\nid: 3\ndata: {}\n\n',
    );
  });

  it('R-2 has no id where the event is no position', () => {
    expect(writeSse({ event: 'subscribed', data: '{}' })).toBe('event: subscribed\ndata: {}\n\n');
  });

  it('R-2 has an id also for the first index', () => {
    expect(writeSse({ event: 'RunStarted', id: '0', data: '{}' })).toContain('\nid: 0\n');
  });

  it('R-2 keeps an idle stream open with a comment, which is no event', () => {
    expect(SSE_HEARTBEAT).toMatch(/^:[^\r\n]*\n\n$/);
    expect(read(SSE_HEARTBEAT, SSE_HEARTBEAT)).toEqual([]);
  });

  it('R-2 goes with the headers that PROTOCOL.md names', () => {
    const rules = readFileSync(new URL('../../../PROTOCOL.md', import.meta.url), 'utf8');
    for (const [name, value] of Object.entries(SSE_HEADERS)) {
      expect(rules.toLowerCase()).toContain(`\`${name}: ${value}\``.toLowerCase());
    }
    expect(Object.keys(SSE_HEADERS)).toHaveLength(3);
  });
});

describe('a reader', () => {
  it('R-2 gives back what was written, wherever the stream was cut in two', () => {
    const stream = EVENTS.map(writeSse).join(SSE_HEARTBEAT);
    for (let at = 0; at <= stream.length; at++) {
      expect(read(stream.slice(0, at), stream.slice(at)), `cut at ${at}`).toEqual(EVENTS);
    }
  });

  it('R-2 gives back what was written when every character comes alone', () => {
    expect(read(...EVENTS.map(writeSse).join('').split(''))).toEqual(EVENTS);
  });

  it('R-2 takes CRLF, CR and LF, comments, unknown fields and many data lines, wherever it is cut', () => {
    for (let at = 0; at <= FOREIGN.length; at++) {
      expect(read(FOREIGN.slice(0, at), FOREIGN.slice(at)), `cut at ${at}`).toEqual(FOREIGN_EVENTS);
    }
    expect(read(...FOREIGN.split(''))).toEqual(FOREIGN_EVENTS);
  });

  it('R-2 takes a CR and the LF after it as one line end, also with nothing in between', () => {
    expect(read('data: a\r', '', '\ndata: b\r', '\n\r', '\n')).toEqual([{ event: 'message', data: 'a\nb' }]);
  });

  it('R-2 gives an event when its empty line is there, and not before', () => {
    const reader = createSseReader();
    expect(reader.push('event: a\ndata: 1\n')).toEqual([]);
    expect(reader.push('\n')).toEqual([{ event: 'a', data: '1' }]);
    expect(reader.push('data: 2\n\ndata: 3')).toEqual([{ event: 'message', data: '2' }]);
  });

  it('R-2 takes nothing of one event into the next', () => {
    expect(read('event: a\nid: 9\n\ndata: 1\n\n')).toEqual([{ event: 'message', data: '1' }]);
  });

  it('R-2 gives back any event that is written, cut anywhere', () => {
    const word = fc.stringMatching(/^[A-Za-z0-9_]{1,12}$/);
    const json = fc.jsonValue().map((value) => JSON.stringify(value));
    const event = fc.oneof(
      fc.record({ event: word, data: json }),
      fc.record({ event: word, id: fc.nat().map(String), data: json }),
    );
    fc.assert(
      fc.property(fc.array(event), fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (events, sizes) => {
        const stream = events.map(writeSse).join('');
        const chunks: string[] = [];
        for (let at = 0; at < stream.length; ) {
          const size = sizes.next().value;
          chunks.push(stream.slice(at, at + size));
          at += size;
        }
        expect(read(...chunks)).toEqual(events);
      }),
      { seed: 20_251_120, numRuns: 300 },
    );
  });
});
