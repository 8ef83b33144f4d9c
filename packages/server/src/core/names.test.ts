import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOf, logOf, parseConsumer, parseLog } from './names.ts';

/** Any text with no half of a surrogate pair: what ids are made of. */
const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const RUNS = { seed: 7, numRuns: 300 };

describe('the names of logs', () => {
  it.each(['session', 'run'] as const)('%s: are read back as they were made', (kind) => {
    fc.assert(
      fc.property(id, id, (owner, name) => {
        expect(parseLog(logOf[kind](owner, name))).toEqual({ kind, owner, id: name });
      }),
      RUNS,
    );
  });

  it.each(['a', 'a:b', 'run:x:y', 'a/b..c'])('channel: are read back as they were made: %s', (name) => {
    expect(parseLog(logOf.channel(name))).toEqual({ kind: 'channel', name });
  });

  it('presence: are read back as they were made, of a channel and of all', () => {
    expect(parseLog(logOf.presence('a/b:c'))).toEqual({ kind: 'presence', name: 'a/b:c' });
    expect(parseLog(logOf.lobby())).toEqual({ kind: 'lobby' });
    expect(() => parseLog('presence:')).toThrow('no log is named');
  });

  it.each(['a', 'a:b/c'])('dead letters: are read back as they were made: %s', (name) => {
    expect(parseLog(logOf.dead(name))).toEqual({ kind: 'dead', name });
  });

  it("a consumer's: are read back as they were made", () => {
    fc.assert(
      fc.property(id, id, id, (owner, clientId, channel) => {
        expect(parseConsumer(keyOf.consumer(owner, clientId, channel))).toEqual({ owner, clientId, channel });
      }),
      RUNS,
    );
    expect(() => parseConsumer('poll/a/b')).toThrow("no consumer's key is poll/a/b");
  });

  it('L-10 differ wherever their owners do', () => {
    fc.assert(
      fc.property(id, id, id, id, (owner, name, otherOwner, otherName) => {
        fc.pre(owner !== otherOwner || name !== otherName);
        expect(logOf.session(owner, name)).not.toBe(logOf.session(otherOwner, otherName));
        expect(keyOf.consumer(owner, name, 'c')).not.toBe(keyOf.consumer(otherOwner, otherName, 'c'));
        expect(keyOf.session(owner, name)).not.toBe(keyOf.session(otherOwner, otherName));
      }),
      RUNS,
    );
  });

  it('L-10 no part of a name can reach into another: the parts of a consumer are apart', () => {
    expect(keyOf.consumer('a', 'b/c', 'd')).not.toBe(keyOf.consumer('a', 'b', 'c/d'));
    expect(logOf.run('a:b', 'c')).not.toBe(logOf.run('a', 'b:c'));
  });

  it.each(['', 'a', 'session', 'session:a', 'session::b', 'session:a:', 'run:a:b:c', 'topic:a:b'])(
    'are refused when nobody made them: "%s"',
    (name) => {
      expect(() => parseLog(name)).toThrow('no log is named');
    },
  );
});
