import { type ErrorCode, WireError } from '@continuo/protocol';

/** Levels of arrays and objects in what a peer sends: deeper, and whoever walks through it would run out of stack. */
const MAX_DEPTH = 100;

/** Parses what a peer sent. Throws `code` when it is not JSON, with a `problem` of its own, or nested too deep. */
export function parseJson(text: string, code: ErrorCode, problem = 'This is not JSON.'): unknown {
  if (text.length > MAX_DEPTH * 2 && isDeep(text))
    throw new WireError(code, `JSON may be nested ${MAX_DEPTH} levels deep, no more.`);
  try {
    return JSON.parse(text);
  } catch {
    throw new WireError(code, problem);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function isDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > MAX_DEPTH) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}

/** The closing quote of the string that begins at `from`. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return at;
  }
  return text.length;
}

/** Whether two JSON values are the same, whatever the order of their keys. */
export function sameJson(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null)
    return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [ones, others] = [Object.entries(one), new Map(Object.entries(other))];
  return (
    ones.length === others.size &&
    ones.every(([key, value]) => others.has(key) && sameJson(value, others.get(key)))
  );
}
