import { fileURLToPath } from 'node:url';

/** A place in a file; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  /** `null` where nothing points at it. */
  readonly column: number | null;
}

/**
 * Where the text is that Node could not read. Node writes it above a syntax error's stack: file and line, then lines of
 * the text with a mark below what is wrong, a tab being four spaces. `null` where it does not, as for most syntax errors
 * that are not TypeScript's.
 */
export function placeIn(stack: string): Place | null {
  const [head = '', ...below] = stack.split('\n');
  const [, where = '', line = ''] = /^(file:\/\/.+|\/.+|[A-Za-z]:\\.+):(\d+)$/.exec(head) ?? [];
  if (where === '') return null;
  const marks = below.find((text) => /^\s*\^+\s*$/.test(text));
  return {
    file: where.startsWith('file:') ? fileURLToPath(where) : where,
    line: Number(line),
    column: marks === undefined ? null : marks.indexOf('^') + 1,
  };
}
