import { MAX_ENTRY_DATA, type RunContext } from '@continuo/protocol';
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
 * starts over; one that was cut off is. What a call throws is its outcome; only an abort rejects.
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
): Promise<readonly ToolOutcome[]> {
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
        progress(value) {
          if (!over) emit.offer({ type: 'tool.progress', callId, name, progress: jsonOf(value) });
        },
      });
      return { result: checkSize(jsonOf(result)) };
    } catch (error) {
      if (signal.aborted) throw error; // it did not end by itself
      return { error: redact(sentenceOf(error), secrets).slice(0, ERROR_CHARACTERS) };
    } finally {
      over = true;
    }
  }

  return Promise.all(
    calls.map(async (call) => {
      const { callId, name, args } = call;
      const start = (): Promise<void> => emit.send({ type: 'tool.started', callId, name, args });
      let isNew = false;
      if (!context.continues) await start();
      const outcome = await context.once(`tool:${callId}`, async () => {
        signal.throwIfAborted();
        isNew = true;
        if (context.continues) await start();
        return perform(call);
      });
      if (context.continues && !isNew) return { ...outcome, callId, name }; // it was shown before the pause
      if (outcome.error === undefined) {
        await emit.send({ type: 'tool.completed', callId, name, result: outcome.result });
      } else await emit.send({ type: 'tool.failed', callId, name, error: outcome.error });
      return { ...outcome, callId, name };
    }),
  );
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
