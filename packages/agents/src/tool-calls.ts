import { MAX_ENTRY_DATA, type RunContext } from '@continuo/protocol';
import { type Verdict, verdictOf } from './confirmation.ts';
import { Paused } from './paused.ts';
import { redact } from './redact.ts';
import type { Call } from './step.ts';
import type { Emit } from './together.ts';
import { errorOf, sentenceOf } from './thrown.ts';
import type { Tool } from './tool.ts';
import { UNUSED, type Used, usageOf } from './used.ts';

/** Bytes of JSON that a result or a report of progress may have: it must fit its entry. */
const VALUE_BYTES = MAX_ENTRY_DATA - 8 * 1024;
/** Characters of what a tool threw. */
const ERROR_CHARACTERS = 2_000;

/** How a call ended: with a result, or an error in words. Stored as it is. */
type Outcome = ({ readonly result: unknown; readonly error?: never } | { readonly error: string }) & {
  /** By the members that worked in it: shown where they are not. */
  readonly used?: Used;
};

interface CheckedCall {
  readonly call: Call;
  /** `null`: nobody has to confirm it. */
  readonly verdict: Verdict | null;
}

export type ToolOutcome = Outcome & { readonly callId: string; readonly name: string };

/**
 * Runs the calls of one step side by side. A call that finished, well or badly, is stored and not run again when the run
 * starts over; one that was cut off is. What a call throws is its outcome; only an abort rejects. Resolves with `null`
 * when all are settled and one of them waits for a person. What must be confirmed is asked for, once, and not begun.
 */
export async function runCalls(
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

  function shown(sentence: string): string {
    return redact(sentence, secrets).slice(0, ERROR_CHARACTERS);
  }

  async function perform({ callId, name, args, problem }: Call): Promise<Outcome> {
    if (problem !== undefined) return { error: problem };
    const tool = tools.get(name);
    if (!tool) return { error: `There is no tool "${name}". ${listOf(tools)}` };
    let over = false;
    let used = UNUSED;
    const ended = (outcome: Outcome): Outcome => (used === UNUSED ? outcome : { ...outcome, used });
    try {
      const result = await tool.run(args, {
        signal,
        callId,
        idempotencyKey: `${context.runId}:${callId}`,
        user: context.user,
        run: { ...context, signal },
        emit,
        took(taken) {
          used = taken;
        },
        progress(value) {
          const progress = checkSize('progress', jsonOf(value));
          if (!over) emit.offer({ type: 'tool.progress', callId, name, progress });
        },
      });
      return ended({ result: checkSize('result', jsonOf(result)) });
    } catch (thrown) {
      const error = errorOf(thrown);
      if (signal.aborted || error instanceof Paused) throw error; // it did not end
      return ended({ error: shown(sentenceOf(error)) });
    } finally {
      over = true;
    }
  }

  /** Within one attempt a call's start is shown once, also where the call is cut by a pause. */
  async function start({ callId, name, args }: Call, confirmed: boolean): Promise<void> {
    let isNew = true;
    if (tools.get(name)?.delegates) {
      isNew = !context.continues;
      await context.once(`shown:${callId}`, async () => {
        isNew = true;
        return true;
      });
    }
    if (!isNew) return;
    await emit.send({ type: 'tool.started', callId, name, args, ...(confirmed && { confirmed }) });
  }

  /** What is wrong with the call itself is told to the model at once: nobody is asked. */
  async function check(call: Call): Promise<CheckedCall> {
    const tool = tools.get(call.name);
    if (!tool?.requiresConfirmation || call.problem !== undefined) return { call, verdict: null };
    const verdict = verdictOf(call, context);
    if (verdict.kind !== 'ask') return { call, verdict };
    const problem = await tool.problemWith(call.args).catch(sentenceOf);
    return problem === null
      ? { call, verdict }
      : { call: { ...call, problem: shown(problem) }, verdict: null };
  }

  /** `null`: it waits for a person. */
  async function finish({ call, verdict }: CheckedCall): Promise<ToolOutcome | null> {
    const { callId, name, args } = call;
    const kind = verdict?.kind ?? 'run';
    if (kind === 'ask') {
      const expiresInMs = tools.get(name)?.confirmWithinMs;
      const within = expiresInMs !== undefined && { expiresInMs };
      await emit.send({ type: 'approval.requested', callId, name, args, ...within });
    }
    if (kind === 'ask' || kind === 'wait') return null;

    const begin = async (): Promise<void> => {
      if (kind === 'run') await start(call, verdict !== null);
    };
    let isNew = false;
    if (!context.continues) await begin();
    const outcome = await unlessPaused(
      context.once<Outcome>(`tool:${callId}`, async () => {
        signal.throwIfAborted();
        isNew = true;
        if (verdict?.kind === 'refuse') return { error: verdict.error };
        if (context.continues) await begin();
        return perform(call);
      }),
    );
    if (outcome === null) return null;
    if (context.continues && !isNew) return { ...outcome, callId, name }; // it was shown before the pause
    if (!isNew) for (const usage of usageOf(outcome.used ?? UNUSED)) await emit.send(usage);
    if (outcome.error === undefined) {
      await emit.send({ type: 'tool.completed', callId, name, result: outcome.result });
    } else await emit.send({ type: 'tool.failed', callId, name, error: outcome.error });
    return { ...outcome, callId, name };
  }

  const checked = await Promise.all(calls.map(check)); // before the first is shown, so that they are shown in their order
  const outcomes = await Promise.all(checked.map(finish));
  const done = outcomes.filter((outcome) => outcome !== null);
  return done.length === calls.length ? done : null;
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

function checkSize(what: 'result' | 'progress', value: unknown): unknown {
  const bytes = new TextEncoder().encode(JSON.stringify(value)).byteLength;
  if (bytes <= VALUE_BYTES) return value;
  const instead = what === 'result' ? 'Return less, or a reference.' : 'Report less.';
  throw new Error(`The ${what} has ${bytes} bytes, more than ${VALUE_BYTES}. ${instead}`);
}
