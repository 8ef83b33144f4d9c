import { describe, expect, it } from 'vitest';
import { createTokens } from './tokens.ts';

/** A source that gives these tokens, one a call. */
function source(...given: (string | Error)[]) {
  const state = { asked: 0 };
  const ask = (): string => {
    const next = given[state.asked++];
    if (typeof next === 'string') return next;
    throw next ?? new Error('asked too often');
  };
  return { state, ask };
}

describe('a token', () => {
  it('that is given is there, and there is no other', () => {
    const tokens = createTokens('secret');
    expect(tokens.fetch()).toBeUndefined();
    expect(tokens.current).toBe('secret');
    expect(tokens.refused('no')).toBe(false);
  });

  it('may be none', () => {
    const tokens = createTokens(undefined);
    expect(tokens.fetch()).toBeUndefined();
    expect(tokens.current).toBeUndefined();
    expect(tokens.refused('no')).toBe(false);
  });

  it('G-25 is asked for once by those who ask at one time, and anew after that', async () => {
    const { state, ask } = source('a', 'b');
    const tokens = createTokens(ask);
    await Promise.all([tokens.fetch(), tokens.fetch(), tokens.fetch()]);
    expect([state.asked, tokens.current]).toEqual([1, 'a']);
    await tokens.fetch();
    expect([state.asked, tokens.current]).toEqual([2, 'b']);
  });

  it('that cannot be had is an error, and is asked for again', async () => {
    const { ask } = source(new Error('no network'), 'a');
    const tokens = createTokens(ask);
    await expect(tokens.fetch()).rejects.toThrow('no network');
    expect(await tokens.fetch()).toBeNull();
    expect(tokens.current).toBe('a');
  });

  it('G-25 that was refused may be replaced once by another', async () => {
    const { ask } = source('old', 'new');
    const tokens = createTokens(ask);
    await tokens.fetch();
    expect(tokens.refused('too old')).toBe(true);
    expect(await tokens.fetch()).toBeNull();
    expect(tokens.current).toBe('new');
    expect(tokens.refused('wrong')).toBe(false);
  });

  it('G-25 that was refused is not presented again: the reason is told', async () => {
    const { ask } = source('old', 'old');
    const tokens = createTokens(ask);
    await tokens.fetch();
    tokens.refused('too old');
    expect(await tokens.fetch()).toBe('too old');
  });

  it('G-25 that was taken may be refused and replaced again', async () => {
    const { ask } = source('a', 'b', 'c');
    const tokens = createTokens(ask);
    await tokens.fetch();
    tokens.refused('too old');
    await tokens.fetch();
    tokens.forgive();
    expect(tokens.refused('too old')).toBe(true);
    expect(await tokens.fetch()).toBeNull();
    expect(tokens.current).toBe('c');
  });
});
