import type { AgentOutput, RunContext } from '@continuo/protocol';
import { jsonSchema, type ModelMessage, type ProviderMetadata, streamText, type ToolSet } from 'ai';
import type { ModelSource } from './model.ts';
import { faultOf, ModelError, stallError } from './model-error.ts';
import type { Call, Step, StepPart, Usage } from './step.ts';
import type { Emit } from './together.ts';
import type { Tool } from './tool.ts';

/** Waits before the second and the third request of a step, in ms, where the endpoint does not say. */
const BACKOFF_MS = [1_000, 4_000];
/** An endpoint that asks to wait longer has failed: a person is waiting. */
const MAX_WAIT_MS = 30_000;
/** How often within `stallMs` it is looked whether something came. */
const LOOKS = 10;

export interface Question {
  readonly source: ModelSource;
  readonly instructions: string;
  readonly messages: readonly ModelMessage[];
  readonly tools: ReadonlyMap<string, Tool>;
  readonly stallMs: number;
  /** Call ids that are taken; the answer's own are added. */
  readonly takenIds: Set<string>;
  readonly context: RunContext;
  readonly signal: AbortSignal;
  /** Takes a part of the answer's text; the rest goes to `emit`. */
  say(text: string): Promise<void>;
  readonly emit: Emit;
  now(): number;
}

/**
 * Asks the model for one answer and emits it as it comes. A request that fails before anything came is made again, twice
 * at most; otherwise it throws a `ModelError`. An abort closes the request at once.
 */
export async function askModel(question: Question): Promise<Step> {
  const { source, context, signal } = question;
  for (let retry = 0; ; retry++) {
    const answer: { begun: boolean } = { begun: false };
    try {
      return await requestStep(question, answer);
    } catch (error) {
      if (signal.aborted || error instanceof ModelError) throw error;
      const { begun } = answer;
      const { name: model, secrets } = source;
      const fault = faultOf(error, { model, secrets, begun, now: question.now() });
      const waitMs = fault.retryAfterMs ?? BACKOFF_MS[retry] ?? 0;
      if (begun || !fault.passing || retry >= BACKOFF_MS.length || waitMs > MAX_WAIT_MS) throw fault.error;
      await context.sleep(waitMs);
    }
  }
}

async function requestStep(question: Question, answer: { begun: boolean }): Promise<Step> {
  const { source, instructions, messages, stallMs, context, signal, say, emit } = question;
  const request = new AbortController();
  const stall = Promise.withResolvers<never>();
  stall.promise.catch(() => {}); // nobody may be waiting when it comes
  let heard = 0;
  let sending = false;
  let over = false;

  async function watch(): Promise<void> {
    let seen = -1;
    for (let quiet = 0; quiet < LOOKS; quiet++) {
      if (seen !== heard || sending) quiet = 0; // while our own side is slow, the endpoint waits for us
      seen = heard;
      await context.sleep(stallMs / LOOKS);
      if (over) return;
    }
    stall.reject(stallError(stallMs, heard));
  }
  async function pass(work: Promise<void>): Promise<void> {
    sending = true;
    await work;
    sending = false;
    heard++;
  }

  const parts = createParts(question);
  try {
    const { stream } = streamText({
      model: source.open(() => {
        heard++;
      }),
      ...(instructions && { instructions }),
      messages: [...messages],
      tools: toolSetOf(question.tools),
      maxRetries: 0,
      abortSignal: AbortSignal.any([signal, request.signal]),
      onError() {}, // it also comes as a part
    });
    watch().catch(() => {}); // its sleep was cut off by an abort, which ends the stream too
    const reader = stream[Symbol.asyncIterator]();
    for (;;) {
      const { done, value: part } = await Promise.race([reader.next(), stall.promise]);
      signal.throwIfAborted();
      if (done) break;
      heard++;
      switch (part.type) {
        case 'error':
          throw part.error;
        case 'text-delta':
          if (part.text === '') break;
          answer.begun = true;
          await pass(emitAll(parts.endReasoning(), emit));
          parts.add('text', part);
          await pass(say(part.text));
          break;
        case 'reasoning-delta':
          if (part.text === '') break;
          answer.begun = true;
          await pass(emitAll(parts.add('reasoning', part), emit));
          break;
        case 'text-end':
          parts.close(part.providerMetadata);
          break;
        case 'reasoning-end':
          parts.close(part.providerMetadata);
          await pass(emitAll(parts.endReasoning(), emit));
          break;
        case 'tool-input-start':
          answer.begun = true;
          break;
        case 'tool-call':
          answer.begun = true;
          if (part.providerExecuted) break;
          await pass(emitAll(parts.endReasoning(), emit));
          parts.call(part);
          break;
        case 'finish-step':
          if (part.finishReason === 'error') throw new TypeError('terminated');
          if (part.finishReason === 'content-filter' && parts.list.length === 0) {
            throw new ModelError(
              'The model endpoint withheld the answer (content filter). Ask in other words.',
            );
          }
          if (part.finishReason === 'length') context.report(cutError(source.name));
          return { parts: parts.list, ...usageOf(part.usage) };
        default:
      }
    }
    throw new TypeError('terminated');
  } finally {
    over = true;
    request.abort();
  }
}

/** The run is answered all the same: what the model said stands. */
function cutError(model: string): Error {
  return new Error(`The answer of the model "${model}" was cut at its longest (finish_reason "length").`);
}

/** An endpoint that says only one of them leaves the other 0. */
function usageOf({
  inputTokens,
  outputTokens,
}: {
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
}): { readonly usage?: Usage } {
  if (inputTokens === undefined && outputTokens === undefined) return {};
  return { usage: { inputTokens: countOf(inputTokens), outputTokens: countOf(outputTokens) } };
}

function countOf(tokens: number | undefined): number {
  return tokens !== undefined && Number.isSafeInteger(tokens) && tokens > 0 ? tokens : 0;
}

async function emitAll(events: readonly AgentOutput[], emit: Emit): Promise<void> {
  for (const event of events) await emit.send(event);
}

interface Piece {
  readonly id: string;
  readonly text: string;
  readonly providerMetadata?: ProviderMetadata;
}

/** Puts an answer together from its pieces; gives the events of its reasoning. */
function createParts({ takenIds, tools, context: { runId } }: Question): {
  readonly list: readonly StepPart[];
  add(type: 'text' | 'reasoning', piece: Piece): readonly AgentOutput[];
  close(options: ProviderMetadata | undefined): void;
  endReasoning(): readonly AgentOutput[];
  call(call: AskedCall): void;
} {
  const list: StepPart[] = [];
  /** The piece that the last part came from; `null`: it is complete. */
  let open: { readonly type: 'text' | 'reasoning'; readonly id: string } | null = null;
  let reasoning: string | null = null;

  return {
    list,
    add(type, { id, text, providerMetadata }) {
      const last = list.at(-1);
      if (last && last.type !== 'call' && open?.id === id && open.type === type) {
        const options = providerMetadata ?? last.options;
        list[list.length - 1] = { type, text: last.text + text, ...(options && { options }) };
      } else list.push({ type, text, ...(providerMetadata && { options: providerMetadata }) });
      open = { type, id };
      if (type === 'text') return [];
      const began = reasoning === null;
      reasoning = (reasoning ?? '') + text;
      const delta: AgentOutput = { type: 'reasoning.delta', text };
      return began ? [{ type: 'reasoning.started' }, delta] : [delta];
    },
    close(options) {
      const last = list.at(-1);
      if (open && options && last && last.type !== 'call') list[list.length - 1] = { ...last, options };
      open = null;
    },
    endReasoning() {
      if (reasoning === null) return [];
      const text = reasoning;
      reasoning = null;
      return [{ type: 'reasoning.completed', text }];
    },
    call(asked) {
      open = null;
      list.push(callOf(asked, { runId, takenIds, tools }));
    },
  };
}

interface AskedCall {
  readonly toolCallId: string;
  readonly toolName: string;
  readonly input: unknown;
  readonly providerMetadata?: ProviderMetadata;
}

function callOf(
  asked: AskedCall,
  at: {
    readonly runId: string;
    readonly takenIds: Set<string>;
    readonly tools: ReadonlyMap<string, Tool>;
  },
): Call {
  const { toolName: name, input, providerMetadata: options } = asked;
  // Some endpoints count from 0 in every answer: a result is found by its id, so an id is given once. One that gives none
  // gets the run's, by which a call's id is unlike that of any other run, and the same when the run starts over.
  let callId = asked.toolCallId;
  for (let n = 1; callId === '' || at.takenIds.has(callId); n++) {
    callId = `${asked.toolCallId || at.runId}.${at.takenIds.size + n}`;
  }
  at.takenIds.add(callId);
  const isObject = typeof input === 'object' && input !== null;
  const isEmpty = input === undefined || input === null || input === ''; // how some endpoints write no arguments
  const wrong = at.tools.has(name) && !isObject && !isEmpty;
  return {
    type: 'call',
    callId,
    name,
    args: isObject ? input : {},
    ...(wrong && { problem: 'The arguments are wrong: they must be one JSON object.' }),
    ...(options && { options }),
  };
}

/** Without a check and without a run: both are ours, so that each call is stored by itself. */
function toolSetOf(tools: ReadonlyMap<string, Tool>): ToolSet {
  return Object.fromEntries(
    [...tools.values()].map((tool) => [
      tool.name,
      { description: tool.description, inputSchema: jsonSchema(tool.input.jsonSchema) },
    ]),
  );
}
