import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { ClientMadeId, ErrorFrame, GatewayEvent, HelloFrame, JoinFrame, MessageFrame } from './gateway.ts';

const accepts = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;

const IDS: readonly (readonly [string, string, boolean])[] = [
  ['one letter', 'a', true],
  ['200 letters', 'x'.repeat(200), true],
  ['spaces and punctuation', 'my phone: #2', true],
  ['another script', '端末-é', true],
  ['a character of two halves', '🎻', true],
  ['a name of Object.prototype', '__proto__', true],
  ['nothing', '', false],
  ['201 letters', 'x'.repeat(201), false],
  ['a line break', 'a\nb', false],
  ['a NUL', 'a\u0000', false],
  ['a DEL', 'a\u007f', false],
  ['a control character of Latin 1', 'a\u0085', false],
  ['the first half of a pair', 'a\ud83c', false],
  ['the second half of a pair', '\udfbba', false],
];

const JOIN = { type: 'join', agent_id: 'echo' };
const JOINS: readonly (readonly [string, Readonly<Record<string, unknown>>, boolean])[] = [
  ['nothing else', {}, true],
  ['a position', { session_id: 's', since: 0, epoch: 'e' }, true],
  ['versions of any type: they are judged later', { min_version: '1', max_version: null }, true],
  ['fields of a newer client', { compression: 'zstd' }, true],
  ['no agent', { agent_id: undefined }, false],
  ['an agent without a name', { agent_id: '' }, false],
  ['an agent with a name of 201 characters', { agent_id: 'x'.repeat(201) }, false],
  ['a position below 0', { since: -1 }, false],
  ['half a position', { since: 1.5 }, false],
  ['a position in words', { since: '1' }, false],
  ['a position beyond all integers', { since: 1e300 }, false],
  ['a session of 201 characters', { session_id: 'x'.repeat(201) }, false],
  ['a client id that is not printable', { client_id: '\u0007' }, false],
  ['a token that is no text', { token: 5 }, false],
  ['capabilities that are no list', { capabilities: 'all' }, false],
];

const HELLOS: readonly (readonly [string, Readonly<Record<string, unknown>>, boolean])[] = [
  ['flat versions', { protocol_min: 1, protocol_max: 1 }, true],
  ['nested versions', { protocol: { min: 1, max: 1 }, caps: ['events'] }, true],
  ['no versions', {}, true],
  ['a nested version of one bound', { protocol: { max: 1 } }, true],
  ['null for what it does not have', { session_id: null, since: null, epoch: null, token: null }, true],
  ['no agent', { agent_id: undefined }, false],
  ['a position below 0', { since: -1 }, false],
];

const CONTENTS: readonly (readonly [string, unknown, boolean])[] = [
  ['text', 'hello', true],
  ['an object', { text: 'hello', parts: [1, null] }, true],
  ['an empty object', {}, true],
  ['empty text', '', false],
  ['a list', ['hello'], false],
  ['a number', 5, false],
  ['null', null, false],
  ['nothing', undefined, false],
];

describe('the frames of door 1', () => {
  it.each(IDS)('takes %s for an id or not (%j)', (_name, id, good) => {
    expect(accepts(ClientMadeId, id)).toBe(good);
  });

  it.each(JOINS)('G-3 reads a join with %s', (_name, fields, good) => {
    expect(accepts(JoinFrame, { ...JOIN, ...fields })).toBe(good);
  });

  it.each(HELLOS)('G-14 reads a hello with %s', (_name, fields, good) => {
    expect(accepts(HelloFrame, { type: 'hello', agent_id: 'echo', ...fields })).toBe(good);
  });

  it.each(CONTENTS)('G-8 reads a message whose content is %s', (_name, content, good) => {
    expect(accepts(MessageFrame, { type: 'message', content })).toBe(good);
  });

  it('L-12 drops the fields it does not know', () => {
    const frame = MessageFrame.parse({ type: 'message', content: 'hi', request_id: 7, priority: 'high' });
    expect(frame).toEqual({ type: 'message', content: 'hi' });
  });

  it('L-12 names the field that is wrong', () => {
    const { error } = JoinFrame.safeParse({ ...JOIN, since: -1 });
    expect(error?.issues[0]?.path).toEqual(['since']);
  });
});

describe('a field named __proto__', () => {
  const evil = '{"polluted":true}';
  const frames: readonly (readonly [string, z.ZodType, string])[] = [
    ['a join', JoinFrame, `{"type":"join","agent_id":"echo","__proto__":${evil}}`],
    ['a content', MessageFrame, `{"type":"message","content":{"a":1,"__proto__":${evil}}}`],
    ['metadata', MessageFrame, `{"type":"message","content":"a","metadata":{"__proto__":${evil}}}`],
    ['an error', ErrorFrame, `{"type":"error","code":"c","message":"m","__proto__":${evil}}`],
    [
      'an event',
      GatewayEvent,
      `{"type":"status","data":{"cursor":1,"__proto__":${evil}},"event_id":"e","timestamp":1,"source":null,"target":null,"sequence":1}`,
    ],
  ];

  it.each(frames)('does no harm in %s', (_name, schema, json) => {
    const parsed = schema.parse(JSON.parse(json));
    const objects: unknown[] = [parsed];
    for (const value of objects) {
      if (typeof value !== 'object' || value === null) continue;
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect('polluted' in value).toBe(false);
      objects.push(...Object.values(value));
    }
    expect('polluted' in {}).toBe(false);
  });

  it('does no harm under the name of constructor either', () => {
    const json = '{"type":"message","content":{"constructor":{"prototype":{"polluted":true}}}}';
    const { content } = MessageFrame.parse(JSON.parse(json));
    expect(content).toEqual({ constructor: { prototype: { polluted: true } } });
    expect('polluted' in {}).toBe(false);
  });
});
