import { z } from 'zod';

/** What kind of thing acts: it decides the names on door 4 (`RunStarted` or `TeamRunStarted`). */
export const ComponentRef = z.object({
  kind: z.enum(['agent', 'team', 'workflow']),
  id: z.string(),
  name: z.string(),
});
export type ComponentRef = z.infer<typeof ComponentRef>;

/** How a run ended. */
export const EndStatus = z.enum(['completed', 'failed', 'cancelled', 'interrupted', 'rejected']);
export type EndStatus = z.infer<typeof EndStatus>;

/** A message's content: text, or any JSON object the agent understands. */
export const Content = z.union([z.string(), z.record(z.string(), z.unknown())]);
export type Content = z.infer<typeof Content>;

const text = { text: z.string() };
const call = { callId: z.string(), name: z.string() };
const step = { step: z.string(), index: z.int() };
/** What a run took, own and members' together. */
export const RunMetrics = z.object({
  inputTokens: z.int(),
  outputTokens: z.int(),
  toolCalls: z.int(),
  /** From its start, or its last continuation, to its end, in ms. */
  durationMs: z.int(),
});
export type RunMetrics = z.infer<typeof RunMetrics>;

const ended = {
  status: EndStatus,
  content: z.string(),
  reason: z.string().optional(),
  /** Why, for programs, where the status alone does not say it: `time_limit`, `approval_expired`. */
  code: z.string().optional(),
};

/** A member of a team, or a step of a workflow, with a run of its own inside the run. */
export const Member = z.object({
  runId: z.string(),
  component: ComponentRef,
  /** Whose member it is. Default: the run's own. */
  parentRunId: z.string().optional(),
  /** The step of the workflow within which it works. */
  step: z.string().optional(),
  /** Whose step that is. Default: the run's own. */
  workflowRunId: z.string().optional(),
});
export type Member = z.infer<typeof Member>;
const by = { by: Member.optional() };

/**
 * What an agent may yield: the engine adds the lineage and appends it. The start and the end of the run itself are
 * the engine's own words; with `by`, they are a member's.
 */
export const AgentOutput = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text.delta'), ...text, ...by }),
  z.object({ type: z.literal('text.completed'), ...text, ...by }),
  z.object({ type: z.literal('reasoning.started'), ...by }),
  z.object({ type: z.literal('reasoning.delta'), ...text, ...by }),
  z.object({ type: z.literal('reasoning.completed'), ...text, ...by }),
  z.object({
    type: z.literal('tool.started'),
    ...call,
    args: z.unknown().optional(),
    /** A person allowed this call. */
    confirmed: z.boolean().optional(),
    ...by,
  }),
  z.object({ type: z.literal('tool.progress'), ...call, progress: z.unknown().optional(), ...by }),
  z.object({ type: z.literal('tool.completed'), ...call, result: z.unknown().optional(), ...by }),
  z.object({ type: z.literal('tool.failed'), ...call, error: z.string(), ...by }),
  /** A question to a person. The run pauses when its agent returns, and is run again when all its questions are answered. */
  z.object({
    type: z.literal('approval.requested'),
    ...call,
    /** The answer is for exactly these. */
    args: z.unknown().optional(),
    /** How long it can be answered, in ms. Default 24 h; at most six days, in a turn of a session 23 h. Unanswered, the run ends `rejected`. */
    expiresInMs: z.int().positive().optional(),
    ...by,
  }),
  z.object({ type: z.literal('step.started'), ...step, ...by }),
  z.object({ type: z.literal('step.completed'), ...step, content: z.string().optional(), ...by }),
  /** What an answer of a model took, or what is shown in brief. */
  z.object({
    type: z.literal('usage'),
    inputTokens: z.int().nonnegative(),
    outputTokens: z.int().nonnegative(),
    /** Of what is shown in brief: its calls are not shown. */
    toolCalls: z.int().nonnegative().optional(),
    ...by,
  }),
  /** A message to the running agent, which it read: see `RunContext.steered`. */
  z.object({ type: z.literal('steered'), steerId: z.string(), content: Content, ...by }),
  z.object({ type: z.literal('memory.started'), ...by }),
  z.object({ type: z.literal('memory.completed'), ...by }),
  z.object({ type: z.literal('run.started'), model: z.string().optional(), by: Member }),
  z.object({ type: z.literal('run.ended'), ...ended, by: Member }),
]);
export type AgentOutput = z.infer<typeof AgentOutput>;

/** Whose event it is. */
export interface Lineage {
  readonly runId: string;
  /** The run this one is a member of. */
  readonly parentRunId?: string;
  /** A member's: the step of the workflow within which it works. */
  readonly step?: string;
  /** Whose step that is, where it is not the run's own. */
  readonly workflowRunId?: string;
  /** The message this run answers. */
  readonly messageId: string;
  /** From 1; a higher attempt starts over what a lower one left unfinished. */
  readonly attempt: number;
  readonly component: ComponentRef;
}

/** What only the engine says. */
export type EngineEvent =
  | { readonly type: 'run.started'; readonly model?: string }
  | { readonly type: 'run.paused'; readonly questions: readonly Question[] }
  | { readonly type: 'run.continued' }
  /** Its server closes: another one, or the same when it is back, goes on with it. */
  | { readonly type: 'run.handed_over' }
  | { readonly type: 'run.attempt'; readonly reason: string }
  | {
      readonly type: 'run.ended';
      readonly status: EndStatus;
      readonly content: string;
      readonly reason?: string;
      readonly code?: string;
      readonly metrics?: RunMetrics;
      /** The trace, in a session, of the end of a run that has its own log. */
      readonly copy?: true;
    }
  | ({ readonly type: 'approval.requested'; readonly copy?: true } & Question)
  | {
      readonly type: 'approval.resolved';
      readonly approvalId: string;
      readonly approved: boolean;
      readonly note?: string;
      /** Who answered: a client, or a person; the server's own `expiry` where nobody did in time. */
      readonly resolvedBy: string;
      readonly expired?: true;
      /** The trace, in a session, of a question of a run that has its own log. */
      readonly copy?: true;
    };

/** What a person is asked. */
export interface Question {
  readonly approvalId: string;
  readonly callId: string;
  readonly name: string;
  readonly args?: unknown;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

type WithoutBy<T> = T extends { by?: unknown } ? Omit<T, 'by'> : T;

/** A person's (or program's) message. It asks for a turn, unless it is the copy of a message to a run with its own log. */
export interface MessageEvent {
  readonly type: 'message';
  readonly messageId: string;
  /** The run that will answer it. */
  readonly runId: string;
  readonly content: Content;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly copy?: true;
}

/** An event of a run. */
export type RunEvent = (
  | EngineEvent
  | WithoutBy<Exclude<AgentOutput, { by: Member } | { type: 'approval.requested' }>>
) &
  Lineage;

/** The one vocabulary: all that a session's or a run's log holds. Doors 1, 4 and 5 are projections of it. */
export type AgentEvent = MessageEvent | RunEvent;
export type AgentEventType = AgentEvent['type'];
