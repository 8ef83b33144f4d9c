import type { RunContext } from '@continuo/protocol';
import { asSchema, type FlexibleSchema, type Schema } from 'ai';
import type { Emit } from './together.ts';
import type { Used } from './used.ts';

/** What a tool is given beside its input. */
export interface ToolContext {
  /** Aborts when the run is stopped: pass it on to whatever the tool waits for. */
  readonly signal: AbortSignal;
  /** One for each call of the run, the same when the run starts over. */
  readonly callId: string;
  /** Run and call: the same when the run starts over, and of no other call anywhere. */
  readonly idempotencyKey: string;
  /** The owner on whose behalf the run acts. */
  readonly user: string;
  /**
   * Shown to whoever watches, at most once, in order; any JSON of at most 1 MiB less 16 KiB, else it throws. While many
   * wait, a newer report replaces an older.
   */
  progress(value: unknown): void;
}

/** What a tool of this package is given: it may run a member of the run, and emit its events. */
export interface CallContext extends ToolContext {
  /** Its `signal` is that of the call. */
  readonly run: RunContext;
  readonly emit: Emit;
  /** To be called with all that its members took, before it ends: its call is then shown with it when the run starts over. */
  took(used: Used): void;
}

export interface ToolOptions<Input> {
  /** 1 to 64 letters, digits, `_` and `-`. */
  readonly name: string;
  /** For the model: what the tool does, and when to use it. */
  readonly description: string;
  /** A zod schema, or any other standard schema that can be written as JSON schema. */
  readonly input: FlexibleSchema<Input>;
  /** Whether a person must allow each call, with its exact arguments, before it is run. Default false. */
  readonly requiresConfirmation?: boolean;
  /** How long a person may take to answer, in ms; then the run ends. Default 24 h. */
  readonly confirmWithinMs?: number;
  /** Its result must be JSON, at most 1 MiB less 16 KiB. What it throws, the model is told. */
  run(input: Input, context: ToolContext): unknown;
}

/** A tool of this package, which sees the run. */
export interface InnerToolOptions<Input> extends Omit<ToolOptions<Input>, 'run'> {
  /** It may throw `Paused`. */
  readonly delegates?: boolean;
  run(input: Input, context: CallContext): unknown;
}

/** A tool as an agent holds it; the type of its input is its own matter. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly input: Schema;
  /** Its call may end the agent's turn unfinished, and be run again after the pause. */
  readonly delegates: boolean;
  readonly requiresConfirmation: boolean;
  readonly confirmWithinMs?: number;
  /** A sentence that names each wrong field; `null`: they are right. */
  problemWith(args: unknown): Promise<string | null>;
  /** Checks `args` too: throws that sentence. */
  run(args: unknown, context: CallContext): Promise<unknown>;
}

/** Something a model may call. Throws when the name or the description is no good. */
export function defineTool<Input>(options: ToolOptions<Input>): Tool {
  return createTool<Input>({
    ...options,
    run: (input, { signal, callId, idempotencyKey, user, progress }) =>
      options.run(input, { signal, callId, idempotencyKey, user, progress }),
  });
}

/** `defineTool`, for a tool that sees the run. */
export function createTool<Input>(options: InnerToolOptions<Input>): Tool {
  const { name, description, delegates = false, requiresConfirmation = false, confirmWithinMs } = options;
  if (!/^[\w-]{1,64}$/.test(name)) {
    throw new Error(`defineTool: the name "${name}" must be 1 to 64 letters, digits, _ and -`);
  }
  if (!description) throw new Error(`defineTool: "${name}" needs a description: the model goes by it`);
  if (confirmWithinMs !== undefined && !(Number.isSafeInteger(confirmWithinMs) && confirmWithinMs > 0)) {
    throw new Error(
      `defineTool: confirmWithinMs of "${name}" must be a whole number above 0, not ${confirmWithinMs}`,
    );
  }
  const schema = asSchema(options.input);
  const { validate } = schema;
  if (!validate)
    throw new Error(`defineTool: the input of "${name}" must be a schema that checks, such as zod's`);
  const problem = unspeakable(schema);
  if (problem !== null)
    throw new Error(`defineTool: the input of "${name}" cannot be told to a model: ${problem}`);
  return {
    name,
    description,
    input: schema,
    delegates,
    requiresConfirmation,
    ...(confirmWithinMs !== undefined && { confirmWithinMs }),
    async problemWith(args) {
      const checked = await validate(args);
      return checked.success ? null : wrongArguments(checked.error);
    },
    async run(args, context) {
      const checked = await validate(args);
      if (!checked.success) throw new Error(wrongArguments(checked.error));
      return options.run(checked.value, context);
    },
  };
}

/** What keeps a schema from being written as JSON schema; `null`: nothing. */
function unspeakable(schema: Schema): string | null {
  try {
    return schema.jsonSchema ? null : 'it is empty'; // built when it is read
  } catch (error) {
    return String(error);
  }
}

function wrongArguments(error: Error): string {
  return `The arguments are wrong: ${problemsOf(error)}`;
}

/** `city: expected string; days: too big`. */
function problemsOf(error: Error): string {
  const issues = issuesOf(error) ?? issuesOf(error.cause);
  if (!issues) return error.message;
  return issues
    .map(({ path, message }) =>
      path && path.length > 0 ? `${path.map(keyOf).join('.')}: ${message}` : message,
    )
    .join('; ');
}

interface Issue {
  readonly message: string;
  readonly path?: readonly unknown[];
}

function issuesOf(error: unknown): readonly Issue[] | null {
  const issues =
    typeof error === 'object' && error !== null && 'issues' in error
      ? error.issues
      : Array.isArray(error)
        ? error
        : null;
  return Array.isArray(issues) ? issues : null;
}

function keyOf(segment: unknown): string {
  return String(typeof segment === 'object' && segment !== null && 'key' in segment ? segment.key : segment);
}
