import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModel } from 'ai';
import { ModelError, protocolError } from './model-error.ts';

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

/** The model's id, as far as it is known now. */
export function modelNameOf(model: ModelObject | string | undefined, env: Environment): string | undefined {
  if (typeof model === 'object') return model.modelId;
  return model ?? (env.CONTINUO_MODEL || undefined);
}

const OPENAI = 'https://api.openai.com/v1';

/**
 * `model` itself, or the one with that id, or else `CONTINUO_MODEL`, at the OpenAI-compatible endpoint `OPENAI_BASE_URL`
 * (default: OpenAI's own) with `OPENAI_API_KEY`. Throws a sentence that names the variable that is missing or wrong.
 */
export function modelOf(model: ModelObject | string | undefined, env: Environment): ModelSource {
  const { OPENAI_BASE_URL: baseURL = OPENAI, OPENAI_API_KEY: apiKey } = env;
  const secrets = apiKey ? [apiKey] : [];
  if (typeof model === 'object') return { name: model.modelId, secrets, open: () => model };
  const id = modelNameOf(model, env);
  if (!id) throw new ModelError('No model is configured: set CONTINUO_MODEL, or give the agent a model.');
  if (!/^https?:$/.test(URL.parse(baseURL)?.protocol ?? '')) {
    throw new ModelError('OPENAI_BASE_URL must be a URL such as http://127.0.0.1:11434/v1.');
  }
  return {
    name: id,
    secrets,
    open: (onBytes) =>
      createOpenAICompatible({
        name: 'endpoint',
        baseURL,
        includeUsage: true, // OpenAI counts tokens in a stream only where it is asked to
        ...(apiKey && { apiKey }),
        fetch: watchedFetch(onBytes, secrets),
      }).chatModel(id),
  };
}

/** Characters of an answer by which it is known whether it is a stream of events. */
const HEAD = 300;

function watchedFetch(onBytes: () => void, secrets: readonly string[]): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    onBytes();
    if (!response.body) return response;
    const type = response.headers.get('content-type') ?? 'no type';
    const decoder = new TextDecoder();
    let head = '';
    const refusal = (): ModelError => protocolError(`${response.status}, ${type}: ${head}`, secrets);
    const watched = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        onBytes();
        if (response.ok && head.length < HEAD) {
          head = (head + decoder.decode(chunk, { stream: true })).trimStart().slice(0, HEAD);
          if (/^[<{[]/.test(head)) return controller.error(refusal());
        }
        controller.enqueue(chunk);
      },
      flush(controller) {
        if (head !== '' && !/^(:|data|event|id|retry)/m.test(head)) controller.error(refusal());
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(watched), { status, statusText, headers });
  };
}
