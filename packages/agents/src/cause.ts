import { APICallError } from 'ai';
import { redact, redactGuessing } from './redact.ts';

/** Causes of causes that are kept. */
const DEPTH = 5;
/** Characters of an error's words, and of a response's. */
const WORDS = 2_000;

/** What went wrong beneath an error, for the log. */
export class Cause extends Error {
  /** The HTTP status; `null`: there was no response. */
  readonly status: number | null;
  /** The beginning of the response; `null`: there was none, or it was a stream. */
  readonly response: string | null;

  constructor(message: string, facts: { name: string; status: number | null; response: string | null }) {
    super(message);
    this.name = facts.name;
    this.status = facts.status;
    this.response = facts.response;
  }
}

/**
 * An error as a log may hold it, with its causes: its words without keys, and nothing of the request. An error of the
 * AI SDK has the whole conversation and whatever the endpoint said, which may be the key.
 */
export function causeOf(error: unknown, secrets: readonly string[], depth: number = DEPTH): Cause {
  const words = (text: string): string => redactGuessing(text, secrets).slice(0, WORDS);
  if (!(error instanceof Error)) {
    return new Cause(words(wordsOf(error)), { name: 'Error', status: null, response: null });
  }
  const isCall = APICallError.isInstance(error);
  const cause = new Cause(words(error.message), {
    name: words(error.name),
    status: isCall ? (error.statusCode ?? null) : null,
    response: isCall && error.responseBody !== undefined ? words(error.responseBody) : null,
  });
  const frames = error.stack?.split('\n').filter((line) => /^ {4}at /.test(line)) ?? [];
  cause.stack = [`${cause.name}: ${cause.message}`, ...frames.map((line) => redact(line, secrets))].join(
    '\n',
  );
  if (error.cause !== undefined && depth > 1) cause.cause = causeOf(error.cause, secrets, depth - 1);
  return cause;
}

/** An error inside a stream is no `Error` but what the endpoint sent. */
function wordsOf(thrown: unknown): string {
  try {
    return (typeof thrown === 'string' ? thrown : JSON.stringify(thrown)) ?? String(thrown);
  } catch {
    return 'something that has no words';
  }
}
