const NO_WORDS = 'What was thrown has no words.';

/**
 * What was thrown, as an error whose message is text. Anything may be thrown: also what cannot be written as text, or
 * throws itself when it is looked at.
 */
export function errorOf(thrown: unknown): Error {
  try {
    if (thrown instanceof Error && typeof thrown.message === 'string') return thrown;
    return new Error(sentenceOf(thrown));
  } catch {
    return new Error(NO_WORDS);
  }
}

/** What it says. Never throws. */
export function sentenceOf(thrown: unknown): string {
  try {
    const message: unknown = thrown instanceof Error ? thrown.message : undefined;
    return typeof message === 'string' && message !== '' ? message : String(thrown);
  } catch {
    return NO_WORDS;
  }
}
