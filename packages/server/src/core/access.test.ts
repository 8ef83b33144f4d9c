import { describe, expect, it } from 'vitest';
import { demand, may, type Principal, type Scope } from './access.ts';

function principal(
  scopes: readonly Scope[],
  agents: readonly string[],
  channels: readonly string[],
): Principal {
  return { subject: 's', user: 's', scopes: new Set(scopes), patterns: { agents, channels } };
}

describe('what a principal may', () => {
  it.each([
    ['echo', 'echo', true],
    ['echo', 'echo2', false],
    ['echo*', 'echo2', true],
    ['echo*', 'echo', true],
    ['echo*', 'my-echo', false],
    ['*', 'anything', true],
    ['ec*o', 'echo', false],
    ['', 'echo', false],
  ])('a pattern "%s" and the agent "%s": %s', (pattern, agent, allowed) => {
    expect(may(principal(['write'], [pattern], []), 'write', 'agents', agent)).toBe(allowed);
  });

  it('needs the scope and one of the patterns of that kind', () => {
    const who = principal(['read'], ['a', 'b'], ['c']);
    expect(may(who, 'read', 'agents', 'b')).toBe(true);
    expect(may(who, 'write', 'agents', 'b')).toBe(false);
    expect(may(who, 'read', 'channels', 'b')).toBe(false);
    expect(may(who, 'read', 'channels', 'c')).toBe(true);
  });

  it('is demanded with a sentence that says what was missing', () => {
    const who = principal(['read'], [], ['news']);
    expect(() => demand(who, 'read', 'channels', 'news')).not.toThrow();
    expect(() => demand(who, 'publish', 'channels', 'news')).toThrow(
      expect.objectContaining({
        code: 'forbidden',
        message: 'This token does not allow publish on channel "news".',
      }),
    );
  });
});
