import { MockLanguageModelV4 } from 'ai/test';

type StreamResult = Awaited<ReturnType<MockLanguageModelV4['doStream']>>;
export type ModelPart = StreamResult['stream'] extends ReadableStream<infer Part> ? Part : never;
export type ModelOptions = MockLanguageModelV4['doStreamCalls'][number];
/** One answer of a scripted model: its parts, or what the request fails with; a promise is waited for. */
export type Answer = readonly (ModelPart | Error | Promise<void>)[] | Error;

/** The end of an answer. Default: the endpoint does not say what it took. */
export function finish(
  reason: 'stop' | 'tool-calls' | 'content-filter' | 'length' | 'error' = 'stop',
  took: { readonly input?: number; readonly output?: number } = {},
): ModelPart {
  const cache = { noCache: undefined, cacheRead: undefined, cacheWrite: undefined };
  const usage = {
    inputTokens: { total: took.input, ...cache },
    outputTokens: { total: took.output, text: undefined, reasoning: undefined },
  };
  return { type: 'finish', finishReason: { unified: reason, raw: reason }, usage };
}

/** A text in pieces. */
export function text(...pieces: readonly string[]): readonly ModelPart[] {
  return [
    { type: 'text-start', id: 't' },
    ...pieces.map((delta): ModelPart => ({ type: 'text-delta', id: 't', delta })),
    { type: 'text-end', id: 't' },
  ];
}

export function reasoning(...pieces: readonly string[]): readonly ModelPart[] {
  return [
    { type: 'reasoning-start', id: 'r' },
    ...pieces.map((delta): ModelPart => ({ type: 'reasoning-delta', id: 'r', delta })),
    { type: 'reasoning-end', id: 'r' },
  ];
}

export function call(toolCallId: string, toolName: string, input: unknown): ModelPart {
  return {
    type: 'tool-call',
    toolCallId,
    toolName,
    input: typeof input === 'string' ? input : JSON.stringify(input),
  };
}

/** A model that gives these answers, one a request. Above them it fails. */
export function scripted(...answers: readonly Answer[]): MockLanguageModelV4 {
  let count = 0;
  return new MockLanguageModelV4({
    modelId: 'scripted',
    async doStream() {
      const answer = answers[count++] ?? new Error('the script is over');
      if (answer instanceof Error) throw answer;
      return {
        stream: new ReadableStream<ModelPart>({
          async start(controller) {
            controller.enqueue({ type: 'stream-start', warnings: [] });
            for (const part of answer) {
              if (part instanceof Promise) await part;
              else if (part instanceof Error) controller.enqueue({ type: 'error', error: part });
              else controller.enqueue(part);
            }
            controller.close();
          },
        }),
      };
    },
  });
}

export const NEVER: Promise<void> = new Promise(() => {});
