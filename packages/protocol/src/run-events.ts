import { z } from 'zod';
import { whose } from './runs.ts';
import { Content } from './events.ts';

/**
 * The events of a run on door 4, by their names: what {@link RunEventJson} holds in full. More names and fields may come:
 * who reads takes no notice of what it does not know.
 */

const base = {
  /** From 0, without holes, over all events of the run. */
  event_index: z.int(),
  /** Whose event it is: the run's, or a member's. */
  run_id: z.string(),
  /** Of a member: the run whose member it is. */
  parent_run_id: z.string().optional(),
  /** Of a member within a step of a workflow: the workflow's run, and the step. */
  workflow_run_id: z.string().optional(),
  step_name: z.string().optional(),
  ...whose,
  session_id: z.string(),
  /** Unix seconds. */
  created_at: z.int(),
};

/** An event of agents, and of teams by its name with the prefix `Team`. Where workflows have it, it is called as agents'. */
function named<Name extends string, Fields extends z.ZodRawShape>(name: Name, fields: Fields) {
  return z.object({ ...base, ...fields, event: z.enum([name, `Team${name}`]) });
}

/** An event that workflows alone have. */
function ofWorkflow<Name extends string, Fields extends z.ZodRawShape>(name: Name, fields: Fields) {
  return z.object({ ...base, ...fields, event: z.literal(name) });
}

const tool = { tool_call_id: z.string(), tool_name: z.string() };
/** A call as it is asked for: `/continue` takes it back with `confirmed`. */
const AskedTool = z.object({
  ...tool,
  /** Of a question: members choose the ids of their calls by themselves. */
  approval_id: z.string().optional(),
  tool_args: z.unknown().optional(),
  requires_confirmation: z.boolean(),
});
const CalledTool = z.object(tool);

const content = { content: z.string() };
const model = { model: z.string().optional() };
/** `duration` in seconds; empty where the run has not counted. */
const Metrics = z.object({
  input_tokens: z.int().optional(),
  output_tokens: z.int().optional(),
  total_tokens: z.int().optional(),
  tool_calls: z.int().optional(),
  duration: z.number().optional(),
});
const completed = { ...content, metrics: Metrics };
/** `content` says why, `partial_content` is what was said. */
const failed = { ...content, error_type: z.string(), partial_content: z.string() };
const cancelled = { ...content, reason: z.string() };
const step = { step_name: z.string(), step_index: z.int() };

/** Unix seconds. */
const expires = { expires_at: z.number() };
const Requirement = z.object({
  kind: z.literal('confirmation'),
  approval_id: z.string(),
  tool_call_id: z.string(),
  ...expires,
});

export const RunStreamEvent = z.discriminatedUnion('event', [
  named('RunStarted', model),
  named('RunContent', { ...content, content_type: z.literal('str') }),
  named('RunContentCompleted', content),
  named('ReasoningStarted', {}),
  named('ReasoningContentDelta', content),
  named('ReasoningCompleted', content),
  named('ToolCallStarted', { tool: AskedTool }),
  named('ToolCallProgress', { tool: CalledTool, progress: z.unknown().optional() }),
  named('ToolCallCompleted', { tool: CalledTool.extend({ result: z.unknown().optional() }), ...content }),
  named('ToolCallError', { tool: CalledTool, error: z.string() }),
  named('MemoryUpdateStarted', {}),
  named('MemoryUpdateCompleted', {}),
  named('ApprovalRequested', { approval_id: z.string(), tool: AskedTool, ...expires }),
  named('ApprovalResolved', {
    approval_id: z.string(),
    approved: z.boolean(),
    resolved_by: z.string(),
    note: z.string().optional(),
    expired: z.literal(true).optional(),
  }),
  named('RunPaused', { tools: z.array(AskedTool), requirements: z.array(Requirement) }),
  named('RunContinued', {}),
  named('RunAttempt', { attempt: z.int(), reason: z.string() }),
  named('StepStarted', step),
  named('StepCompleted', { ...step, content: z.string().optional() }),
  /** All else, by its `kind`: `message` and `steered` have `content`, `usage` has tokens. */
  named('RunStatus', {
    kind: z.string(),
    content: Content.optional(),
    message_id: z.string().optional(),
    input_tokens: z.int().optional(),
    output_tokens: z.int().optional(),
  }),
  named('RunCompleted', completed),
  named('RunError', failed),
  named('RunCancelled', cancelled),
  ofWorkflow('WorkflowStarted', model),
  ofWorkflow('WorkflowCompleted', completed),
  ofWorkflow('WorkflowError', failed),
  ofWorkflow('WorkflowCancelled', cancelled),
]);
export type RunStreamEvent = z.infer<typeof RunStreamEvent>;
