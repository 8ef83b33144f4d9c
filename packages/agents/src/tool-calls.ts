import { MAX_ENTRY_DATA, type RunContext } from '@continuo/protocol';
import { Paused } from './paused.ts';
import { redact } from './redact.ts';
import type { Call } from './step.ts';
import type { Emit } from './together.ts';
import type { Tool } from './tool.ts';

/** Bytes of JSON that a result may have: it must fit its entry. */
const RESULT_BYTES = MAX_ENTRY_DATA - 8 * 1024;
/** Characters of what a tool threw. */
const ERROR_CHARACTERS = 2_000;

/** How a call ended: with a result, or an error in words. Stored as it is. */
type Outcome = { readonly result: unknown; readonly error?: never } | { readonly error: string };

export type ToolOutcome = Outcome & { readonly callId: string; readonly name: string };

/**
 * Runs the calls of one step side by side. A call that finished, well or badly, is stored and not run again when the run
 * starts over; one that was cut off is. What a call throws is its outcome; only an abort rejects. Resolves with `null`
 * when all are settled and one of them waits for a person.
 */
export function runCalls(
  calls: readonly Call[],
  deps: {
    readonly tools: ReadonlyMap<string, Tool>;
    /** Taken out of what a tool throws: the model and the person are told of it. */
    readonly secrets: readonly string[];
    readonly context: RunContext;
    readonly signal: AbortSignal;
    readonly emit: Emit;
  },
): Promise<readonly ToolOutcome[] | null> {
  const { tools, secrets, context, signal, emit } = deps;

  async function perform({ callId, name, args, problem }: Call): Promise<Outcome> {
    if (problem !== undefined) return { error: problem };
    const tool = tools.get(name);
    if (!tool) return { error: `There is no tool "${name}". ${listOf(tools)}` };
    let over = false;
    try {
      const result = await tool.run(args, {
        signal,
        callId,
        user: context.user,
        run: { ...context, signal },
        emit,
        progress(value) {
          if (!over) emit.offer({ type: 'tool.progress', callId, name, progress: jsonOf(value) });
        },
      });
      return { result: checkSize(jsonOf(result)) };
    } catch (error) {
      if (signal.aborted || error instanceof Paused) throw error; // it did not end
      return { error: redact(sentenceOf(error), secrets).slice(0, ERROR_CHARACTERS) };
    } finally {
      over = true;
    }
  }

  /** Within one attempt a call's start is shown once, also where the call is cut by a pause. */
  async function start({ callId, name, args }: Call): Promise<void> {
    let isNew = true;
    if (tools.get(name)?.delegates) {
      isNew = !context.continues;
      await context.once(`shown:${callId}`, async () => {
        isNew = true;
        return true;
      });
    }
    if (isNew) await emit.send({ type: 'tool.started', callId, name, args });
  }

  /** `null`: it waits for a person. */
  async function finish(call: Call): Promise<ToolOutcome | null> {
    const { callId, name } = call;
    let isNew = false;
    if (!context.continues) await start(call);
    const outcome = await unlessPaused(
      context.once(`tool:${callId}`, async () => {
        signal.throwIfAborted();
        isNew = true;
        if (context.continues) await start(call);
        return perform(call);
      }),
    );
    if (outcome === null) return null;
    if (context.continues && !isNew) return { ...outcome, callId, name }; // it was shown before the pause
    if (outcome.error === undefined) {
      await emit.send({ type: 'tool.completed', callId, name, result: outcome.result });
    } else await emit.send({ type: 'tool.failed', callId, name, error: outcome.error });
    return { ...outcome, callId, name };
  }

  return Promise.all(calls.map(finish)).then((outcomes) => {
    const done = outcomes.filter((outcome) => outcome !== null);
    return done.length === calls.length ? done : null;
  });
}

/** `null` where the work threw `Paused`. */
async function unlessPaused<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Paused) return null;
    throw error;
  }
}

function listOf(tools: ReadonlyMap<string, Tool>): string {
  return tools.size === 0 ? 'There are none.' : `The tools are: ${[...tools.keys()].join(', ')}.`;
}

/** As it will be read back: what is no JSON is refused here, not when the run starts over. */
function jsonOf(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value) ?? 'null');
  } catch (error) {
    throw new Error(`That is not JSON: ${sentenceOf(error)}`, { cause: error });
  }
}

function checkSize(result: unknown): unknown {
  const bytes = new TextEncoder().encode(JSON.stringify(result)).byteLength;
  if (bytes <= RESULT_BYTES) return result;
  throw new Error(`The result has ${bytes} bytes, more than ${RESULT_BYTES}. Return less, or a reference.`);
}

function sentenceOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error);
}
