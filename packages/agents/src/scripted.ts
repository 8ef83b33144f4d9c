import type { ModelObject } from './model.ts';

type Model = Extract<ModelObject, { readonly specificationVersion: 'v4' }>;
type Options = Parameters<Model['doStream']>[0];
type Part = Awaited<ReturnType<Model['doStream']>>['stream'] extends ReadableStream<infer P> ? P : never;

/** What a script answers by. */
export interface Scene {
  /** The message of the run, and what was sent to the run since. At least one. */
  readonly messages: readonly string[];
  /** How the calls of the run ended, in their order. */
  readonly results: readonly {
    readonly callId: string;
    readonly name: string;
    readonly failed: boolean;
    /** The result, or the sentence of the error. */
    readonly output: unknown;
  }[];
}

/** What an answer says, and what it calls. */
export type Line = { readonly text: string } | { readonly call: string; readonly input: object };

/** The same scene gives the same answer: a run that starts over says what it said. */
export type Script = (scene: Scene) => readonly Line[];

/**
 * A model that answers from a script, word by word. It names no ids for its calls: the loop does, by the run's. Its usage
 * counts words.
 */
export function scriptedModel(script: Script, modelId = 'scripted'): ModelObject {
  return {
    specificationVersion: 'v4',
    provider: 'script',
    modelId,
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('A scripted model only streams.')),
    async doStream({ prompt }) {
      const scene = sceneOf(prompt);
      const parts = partsOf(script(scene), wordsOf(scene.messages.join(' ')).length);
      return {
        stream: new ReadableStream<Part>({
          start(controller) {
            for (const part of parts) controller.enqueue(part);
            controller.close();
          },
        }),
      };
    },
  };
}

/** Of earlier turns only texts are kept, so the first call in the prompt is this run's, and what it answers stands before it. */
function sceneOf(prompt: Options['prompt']): Scene {
  const firstCall = prompt.findIndex(
    ({ role, content }) =>
      role === 'assistant' && content.some((part) => typeof part === 'object' && part.type === 'tool-call'),
  );
  const before = firstCall < 0 ? prompt : prompt.slice(0, firstCall);
  const begin = before.findLastIndex(({ role }) => role === 'user');
  const messages: string[] = [];
  const results: Scene['results'][number][] = [];
  for (const message of prompt.slice(begin)) {
    if (message.role === 'user') {
      messages.push(message.content.map((part) => (part.type === 'text' ? part.text : '')).join(''));
    }
    if (message.role !== 'tool') continue;
    for (const part of message.content) {
      if (part.type !== 'tool-result') continue;
      const { toolCallId: callId, toolName: name, output } = part;
      const failed = output.type === 'error-text';
      results.push({ callId, name, failed, output: 'value' in output ? output.value : null });
    }
  }
  return { messages, results };
}

function partsOf(lines: readonly Line[], inputWords: number): readonly Part[] {
  let outputWords = 0;
  const said = lines.flatMap((line, index): readonly Part[] => {
    if ('call' in line) {
      return [{ type: 'tool-call', toolCallId: '', toolName: line.call, input: JSON.stringify(line.input) }];
    }
    const words = wordsOf(line.text);
    outputWords += words.length;
    const id = String(index);
    return [
      { type: 'text-start', id },
      ...words.map((delta): Part => ({ type: 'text-delta', id, delta })),
      { type: 'text-end', id },
    ];
  });
  const calls = lines.some((line) => 'call' in line);
  const cache = { noCache: undefined, cacheRead: undefined, cacheWrite: undefined };
  return [
    { type: 'stream-start', warnings: [] },
    ...said,
    {
      type: 'finish',
      finishReason: { unified: calls ? 'tool-calls' : 'stop', raw: undefined },
      usage: {
        inputTokens: { total: inputWords, ...cache },
        outputTokens: { total: outputWords, text: outputWords, reasoning: 0 },
      },
    },
  ];
}

/** Words with the space behind them, so that they join to the text again. */
function wordsOf(text: string): readonly string[] {
  return text.match(/\S+\s*|\s+/g) ?? [];
}
