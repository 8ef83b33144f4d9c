import type { TellsUser } from '@continuo/protocol';
import { APICallError } from 'ai';
import { causeOf } from './cause.ts';
import { redactGuessing } from './redact.ts';

/** Why a model gave no answer, in a sentence that says what to do. It holds no key; the cause is for the server's log alone. */
export class ModelError extends Error implements TellsUser {
  override readonly name = 'ModelError';
  readonly tellsUser = true;
}

/** What a failed request means. */
export interface Fault {
  readonly error: ModelError;
  /** Whether the same request may succeed later. */
  readonly passing: boolean;
  /** How long the endpoint asks to wait, in ms; `null`: it does not say. */
  readonly retryAfterMs: number | null;
}

export interface FaultTerms {
  /** The model's id. */
  readonly model: string;
  readonly secrets: readonly string[];
  /** Unix ms. */
  readonly now: number;
  /** Something of the answer had arrived. */
  readonly begun: boolean;
}

/** Characters of an endpoint's own words. */
const QUOTE_CHARACTERS = 200;
/** Words that endpoints put in an error which passes; a stream bears no status. */
const PASSING = /^(rate_limit|overloaded|server_error|internal_server_error|service_unavailable|timeout)/;

interface Facts {
  readonly status: number | null;
  readonly code: string;
  readonly words: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly retryable: boolean;
}

export function faultOf(error: unknown, terms: FaultTerms): Fault {
  const known = modelErrorIn(error);
  if (known) return { error: known, passing: false, retryAfterMs: null };
  const facts = factsOf(error);
  const { status, code, retryable } = facts;
  const broke = status === null && retryable;
  const passing =
    code !== 'insufficient_quota' &&
    (status === null ? retryable || PASSING.test(code) : status === 408 || status === 429 || status >= 500);
  const retryAfterMs = retryAfterOf(facts.headers, terms.now);
  return {
    error: new ModelError(sentenceOf(facts, { ...terms, broke, retryAfterMs }), {
      cause: causeOf(error, terms.secrets),
    }),
    passing,
    retryAfterMs,
  };
}

/** The SDK wraps what its `fetch` throws. */
function modelErrorIn(error: unknown): ModelError | null {
  let at = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    if (at instanceof ModelError) return at;
    at = at.cause;
  }
  return null;
}

/** The error for an answer that is no stream of events: a web page, or one JSON object. `answer` is how it begins. */
export function protocolError(answer: string, secrets: readonly string[]): ModelError {
  return new ModelError(
    'The model endpoint does not speak the protocol of OpenAI. Check OPENAI_BASE_URL: often its /v1 is missing.',
    { cause: causeOf(new Error(`It answered with: ${answer}`), secrets) },
  );
}

/** The error for an endpoint that sends nothing any more. `heard`: how often it had sent something. */
export function stallError(ms: number, heard: number): ModelError {
  return new ModelError(
    `The model endpoint sent nothing for ${ms / 1_000} s. Send the message again, or look whether the endpoint works.`,
    {
      cause: new Error(
        heard === 0 ? 'There was no response.' : `The response fell silent after ${heard} pieces.`,
      ),
    },
  );
}

function sentenceOf(
  { status, code, words }: Facts,
  terms: FaultTerms & { readonly broke: boolean; readonly retryAfterMs: number | null },
): string {
  const { model, begun, broke, retryAfterMs } = terms;
  const quote = quoteOf(words, terms.secrets);
  const shown = status ?? code;
  // What the process itself ran into, with its addresses, is for the log: only an endpoint's words are told.
  const said = quote && !broke ? `: ${quote}` : '';
  if (status === 401 || status === 403 || code === 'invalid_api_key') {
    return `The model endpoint refused the API key (${shown}). Check OPENAI_API_KEY.`;
  }
  if (status === 402 || code === 'insufficient_quota') {
    return `The account at the model endpoint has no credit left (${shown}). Add some, or use another key.`;
  }
  if (status === 404 || code === 'model_not_found') {
    return `The model endpoint has no model "${model}" (${shown}). Check CONTINUO_MODEL and OPENAI_BASE_URL.`;
  }
  if (status === 429 || code.startsWith('rate_limit')) {
    const when = retryAfterMs === null ? 'later' : `in ${Math.ceil(retryAfterMs / 1_000)} s`;
    return `The model endpoint takes no more requests for now (${shown}). Send the message again ${when}.`;
  }
  if (begun) return `The model's answer broke off${said}. Send the message again.`;
  if (status !== null && status < 500) return `The model endpoint refused the request (${status})${said}.`;
  if (broke) return `The model endpoint cannot be reached. Check OPENAI_BASE_URL and whether it runs.`;
  if (status !== null || code)
    return `The model endpoint failed (${shown})${said}. Send the message again later.`;
  return `The model "${model}" could not be asked. The server has noted why.`;
}

function factsOf(error: unknown): Facts {
  const field = (name: string, of: unknown = error): unknown =>
    typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined;
  const told = field('error', field('data')) ?? error;
  const status = field('statusCode');
  const code = field('code', told) ?? field('type', told);
  return {
    status: typeof status === 'number' && status >= 400 ? status : null, // else the answer itself broke
    code: typeof code === 'string' ? code : '',
    words: error instanceof Error ? error.message : String(field('message', told) ?? 'no reason given'),
    headers: APICallError.isInstance(error) ? (error.responseHeaders ?? {}) : {},
    retryable: field('isRetryable') === true || isBroken(error),
  };
}

/** A connection that was cut, or an answer without an end: what `fetch` and the provider throw then. */
function isBroken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    (error instanceof TypeError && /terminated|fetch failed|network/i.test(error.message)) ||
    /^AI_(InvalidResponseData|NoOutputGenerated)Error$/.test(error.name) ||
    ('code' in error && /^(ECONN|EPIPE|ENOTFOUND|EAI_|ETIMEDOUT|UND_ERR)/.test(String(error.code)))
  );
}

/** Seconds or a date; a date is compared with the endpoint's own clock where it tells it. */
function retryAfterOf(headers: Readonly<Record<string, string>>, now: number): number | null {
  const value = headers['retry-after']?.trim();
  if (!value) return null;
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1_000;
  const until = Date.parse(value);
  const from = Date.parse(headers.date ?? '');
  return Number.isNaN(until) ? null : Math.max(0, until - (Number.isNaN(from) ? now : from));
}

/** An endpoint's own words, without what looks like a key. */
function quoteOf(words: string, secrets: readonly string[]): string {
  return redactGuessing(words.replace(/\s+/g, ' ').trim(), secrets)
    .slice(0, QUOTE_CHARACTERS)
    .replace(/[.\s]+$/, '');
}
