import type { Environment } from '../config/settings.ts';
import type { Finding } from './finding.ts';

const OPENAI = 'https://api.openai.com/v1';
const MODEL_MS = 3_000;

/** Asks the model's endpoint for its list of models, when one is configured. The key is never shown. */
export async function lookAtModel(environment: Environment, withinMs: number = MODEL_MS): Promise<Finding> {
  const { OPENAI_BASE_URL, OPENAI_API_KEY, CONTINUO_MODEL } = environment;
  const what = 'model';
  if (!OPENAI_BASE_URL && !OPENAI_API_KEY && !CONTINUO_MODEL) {
    return { what, found: 'none configured (CONTINUO_MODEL, OPENAI_BASE_URL, OPENAI_API_KEY)' };
  }
  const base = (OPENAI_BASE_URL || OPENAI).replace(/\/+$/, '');
  const shown = withoutCredentials(base);
  if (shown === null) {
    return { what, found: `OPENAI_BASE_URL is no URL`, remedy: `write it as ${OPENAI}` };
  }
  let response: Response;
  try {
    response = await fetch(`${base}/models`, {
      headers: OPENAI_API_KEY ? { authorization: `Bearer ${OPENAI_API_KEY}` } : {},
      signal: AbortSignal.timeout(withinMs),
    });
  } catch (error) {
    return {
      what,
      found: `${shown} ${failureOf(error, withinMs)}`,
      remedy: 'check OPENAI_BASE_URL and the network',
    };
  }
  if (response.status === 401 || response.status === 403) {
    await response.body?.cancel();
    return {
      what,
      found: `${shown} refuses the key (${response.status})`,
      remedy: 'set OPENAI_API_KEY to a good one',
    };
  }
  if (!response.ok) {
    await response.body?.cancel();
    const remedy = 'check OPENAI_BASE_URL: it ends before /models, mostly in /v1';
    return { what, found: `${shown}/models answers ${response.status}`, remedy };
  }
  const names = await namesOf(response);
  if (!CONTINUO_MODEL) {
    return { what, found: `${shown} answers, but no model is named`, remedy: 'name one with CONTINUO_MODEL' };
  }
  if (names !== null && !names.includes(CONTINUO_MODEL)) {
    const remedy = `set CONTINUO_MODEL to one of its models: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`;
    return { what, found: `${shown} has no model "${CONTINUO_MODEL}"`, remedy };
  }
  return { what, found: `${CONTINUO_MODEL} at ${shown}` };
}

/** Names and passwords can stand in a URL: they are not for a table. */
function withoutCredentials(url: string): string | null {
  if (!URL.canParse(url)) return null;
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`;
}

function failureOf(error: unknown, withinMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError')
    return `does not answer within ${withinMs / 1000} s`;
  const cause = error instanceof Error ? error.cause : undefined;
  const code =
    typeof cause === 'object' && cause !== null && 'code' in cause ? ` (${String(cause.code)})` : '';
  return `cannot be reached${code}`;
}

/** The ids that the endpoint lists; `null` when it lists them in no form that is known. */
async function namesOf(response: Response): Promise<readonly string[] | null> {
  try {
    const body: unknown = await response.json();
    if (typeof body !== 'object' || body === null || !('data' in body) || !Array.isArray(body.data))
      return null;
    const names = body.data.map((model: unknown) =>
      typeof model === 'object' && model !== null && 'id' in model ? String(model.id) : '',
    );
    return names.length > 0 ? names : null;
  } catch {
    return null; // it answered: what it says is its own matter
  }
}
