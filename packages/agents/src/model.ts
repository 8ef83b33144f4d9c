import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModel } from 'ai';

/** A model object of the AI SDK, whatever provider it is of. */
export type ModelObject = Exclude<LanguageModel, string>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the answers of an agent come from. */
export interface ModelSource {
  /** The model's id, for sentences. */
  readonly name: string;
  /** What must never be shown. */
  readonly secrets: readonly string[];
  /** The model for one request. `onBytes` is called for whatever the endpoint sends, keep-alives too, where that is seen. */
  open(onBytes: () => void): ModelObject;
}

const OPENAI = 'https://api.openai.com/v1';

/**
 * `model` itself, or the one with that id, or else `CONTINUO_MODEL`, at the OpenAI-compatible endpoint `OPENAI_BASE_URL`
 * (default: OpenAI's own) with `OPENAI_API_KEY`. Throws a sentence that names the variable that is missing or wrong.
 */
export function modelOf(model: ModelObject | string | undefined, env: Environment): ModelSource {
  if (typeof model === 'object') return { name: model.modelId, secrets: [], open: () => model };
  const id = model ?? env.CONTINUO_MODEL;
  if (!id) throw new Error('No model is configured: set CONTINUO_MODEL, or give the agent a model.');
  const { OPENAI_BASE_URL: baseURL = OPENAI, OPENAI_API_KEY: apiKey } = env;
  if (!/^https?:$/.test(URL.parse(baseURL)?.protocol ?? '')) {
    throw new Error('OPENAI_BASE_URL must be a URL such as http://127.0.0.1:11434/v1.');
  }
  return {
    name: id,
    secrets: apiKey ? [apiKey] : [],
    open: (onBytes) =>
      createOpenAICompatible({
        name: 'endpoint',
        baseURL,
        ...(apiKey && { apiKey }),
        fetch: watchedFetch(onBytes),
      }).chatModel(id),
  };
}

function watchedFetch(onBytes: () => void): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    onBytes();
    if (!response.body) return response;
    const watched = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        onBytes();
        controller.enqueue(chunk);
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(watched), { status, statusText, headers });
  };
}
