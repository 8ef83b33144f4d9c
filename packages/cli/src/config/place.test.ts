import { describe, expect, it } from 'vitest';
import { placeIn } from './place.ts';

describe('the place of a syntax error', () => {
  it('is the file, the line and the mark above the stack', () => {
    expect(
      placeIn(
        '/a/b c.ts:3\n  port: ;\n        ^\n\nSyntaxError [X]: Expression expected\n    at f (node:x:1:2)',
      ),
    ).toEqual({ file: '/a/b c.ts', line: 3, column: 9 });
  });

  it('may be named by its URL', () => {
    expect(placeIn('file:///a/b%20c.mjs:1\nimport { no };\n         ^^\nSyntaxError: no')).toEqual({
      file: '/a/b c.mjs',
      line: 1,
      column: 10,
    });
  });

  it('has no column where nothing is marked', () => {
    expect(placeIn('/a.ts:1\nexport default {\n\nSyntaxError: end')).toEqual({
      file: '/a.ts',
      line: 1,
      column: null,
    });
  });

  it.each(['', 'SyntaxError: Unexpected end of input\n    at f (node:internal/modules:319:16)'])(
    'is not known where the stack does not begin with it: %j',
    (stack) => {
      expect(placeIn(stack)).toBeNull();
    },
  );
});
