import { describe, expect, it } from 'vitest';
import { fieldOf } from './sse-blocks.ts';

describe('a field of a block', () => {
  it.each(['\u2028', '\u2029', '\u0085'])('R-2 ends with LF alone, not with %j', (separator) => {
    const data = `{"t":"a${separator}id: 9"}`;
    expect(fieldOf(`event: message\ndata: ${data}\nid: 7`, 'data')).toBe(data);
    expect(fieldOf(`event: message\ndata: ${data}\nid: 7`, 'id')).toBe('7');
  });

  it('is not there in a comment, nor where its name stands within a line', () => {
    expect(fieldOf(': heartbeat', 'data')).toBeUndefined();
    expect(fieldOf(': data: 1', 'data')).toBeUndefined();
  });
});
