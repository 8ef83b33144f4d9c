import { z } from 'zod';
import { Content } from './events.ts';
import { ClientMadeId } from './gateway.ts';

/** Door 4: runs over HTTP and SSE. */

/** A form has only text: `true`, `1`, `yes`, `on` and their opposites. */
const Flag = z.union([
  z.boolean(),
  z
    .string()
    .toLowerCase()
    .pipe(z.enum(['true', '1', 'yes', 'on', 'false', '0', 'no', 'off']))
    .transform((word) => ['true', '1', 'yes', 'on'].includes(word)),
]);

export const RunRequest = z.object({
  message: z
    .unknown()
    .refine((message) => message !== undefined && message !== '', 'is required, and must not be empty')
    .pipe(Content),
  stream: Flag.default(true),
  background: Flag.default(false),
  session_id: ClientMadeId.optional(),
  user_id: z.string().max(200).optional(),
  /** An alias of the header `Idempotency-Key`. */
  run_id: ClientMadeId.optional(),
});
export type RunRequest = z.infer<typeof RunRequest>;

/** An index, as a number or as a form's text. Negative means "from the oldest kept". */
const Index = z.union([
  z.int(),
  z
    .string()
    .regex(/^-?\d+$/, 'must be an integer')
    .transform(Number),
]);

export const ResumeRequest = z.object({
  last_event_index: Index.optional(),
  session_id: z.string().max(200).optional(),
});
export type ResumeRequest = z.infer<typeof ResumeRequest>;

const SessionId = z.string().max(200).optional();

/** A tool call as `RunPaused` showed it, with the answer. */
export const ConfirmedTool = z.object({
  tool_call_id: z.string().max(200),
  /** Which question is answered, where members have calls of the same id. */
  approval_id: z.string().max(200).optional(),
  tool_name: z.string().max(200).optional(),
  /** Where present, exactly what was asked for: an answer is for these arguments and no others. */
  tool_args: z.unknown().optional(),
  confirmed: z.boolean(),
  note: z.string().max(2_000).optional(),
});
export type ConfirmedTool = z.infer<typeof ConfirmedTool>;

/** JSON, or the text of JSON, as a form has it. */
const Tools = z
  .union([
    z.array(ConfirmedTool),
    z
      .string()
      .transform((text, context) => {
        try {
          return JSON.parse(text) as unknown;
        } catch {
          context.addIssue({ code: 'custom', message: 'must be a JSON array' });
          return z.NEVER;
        }
      })
      .pipe(z.array(ConfirmedTool)),
  ])
  .default([]);

export const ContinueRequest = z.object({
  tools: Tools,
  session_id: SessionId,
  stream: Flag.default(true),
  background: Flag.default(false),
});
export type ContinueRequest = z.infer<typeof ContinueRequest>;

export const CancelRequest = z.object({ session_id: SessionId, reason: z.string().max(400).optional() });
export type CancelRequest = z.infer<typeof CancelRequest>;

export const SteerRequest = z.object({
  message: RunRequest.shape.message,
  /** An idempotency key. */
  message_id: ClientMadeId.optional(),
  session_id: SessionId,
});
export type SteerRequest = z.infer<typeof SteerRequest>;

export const SteerAccepted = z.object({
  run_id: z.string(),
  message_id: z.string(),
  status: z.literal('ACCEPTED'),
});
export type SteerAccepted = z.infer<typeof SteerAccepted>;

/** Asked of `GET .../events`; `after` counts where there is no `Last-Event-ID`. */
export const EventsQuery = z.object({
  after: Index.optional(),
  session_id: SessionId,
  view: z.enum(['exact', 'collapsed']).default('exact'),
  /** Answer with JSON, a {@link RunEventsPage}, as soon as there is something, after so many ms at the latest. */
  poll: z
    .string()
    .regex(/^\d+$/, 'must be a whole number of milliseconds')
    .transform(Number)
    .pipe(z.int().max(30_000))
    .optional(),
});
export type EventsQuery = z.infer<typeof EventsQuery>;

/** Headers that say what a body or a query may say too. */
export const RunHeaders = z.object({
  'idempotency-key': ClientMadeId.optional(),
  'last-event-id': Index.optional(),
});
export type RunHeaders = z.infer<typeof RunHeaders>;

export const RunStatus = z.enum(['PENDING', 'RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED', 'ERROR']);
export type RunStatus = z.infer<typeof RunStatus>;

/** `PENDING`, or how the run stands that an idempotency key has started before. */
export const RunAccepted = z.object({
  run_id: z.string(),
  session_id: z.string(),
  status: RunStatus,
});
export type RunAccepted = z.infer<typeof RunAccepted>;

/** One event of a run: the JSON of an SSE `data` line. The rest depends on `event`. */
export const RunEventJson = z.looseObject({
  event: z.string(),
  event_index: z.int(),
  run_id: z.string(),
  session_id: z.string(),
  /** Unix seconds. */
  created_at: z.int(),
});
export type RunEventJson = z.infer<typeof RunEventJson>;

/** Of what kind the component is, and which one. */
export const whose = {
  agent_id: z.string().optional(),
  agent_name: z.string().optional(),
  team_id: z.string().optional(),
  team_name: z.string().optional(),
  workflow_id: z.string().optional(),
  workflow_name: z.string().optional(),
};

export const RunOutput = z.object({
  run_id: z.string(),
  session_id: z.string(),
  ...whose,
  content: z.string(),
  status: RunStatus,
  error_type: z.string().optional(),
  /** Why it ended as `ERROR`. */
  error: z.string().optional(),
  /** The newest. */
  events: z.array(RunEventJson),
  /** Whether older events are left out. */
  events_truncated: z.boolean(),
  messages: z.array(z.object({ role: z.enum(['user', 'assistant']), content: Content })),
  metrics: z.looseObject({}),
  /** Unix seconds. */
  created_at: z.int(),
});
export type RunOutput = z.infer<typeof RunOutput>;

export const CatchUp = z.object({
  event: z.literal('catch_up'),
  run_id: z.string(),
  status: z.literal('running'),
  missed_events: z.int(),
  current_event_count: z.int(),
  message: z.string(),
});
export const Subscribed = z.object({
  event: z.literal('subscribed'),
  run_id: z.string(),
  status: z.literal('running'),
  current_event_count: z.int(),
  message: z.string(),
});
export const Replay = z.object({
  event: z.literal('replay'),
  run_id: z.string(),
  status: RunStatus,
  total_events: z.int(),
  total_buffered: z.int(),
  last_event_index_requested: z.int(),
  message: z.string(),
});
export const Gap = z.object({
  event: z.literal('gap'),
  run_id: z.string(),
  reason: z.enum(['epoch', 'trimmed', 'ahead']),
  from: z.int(),
  to: z.int(),
});
export const ResumeError = z.object({
  event: z.literal('error'),
  error: z.string(),
  /** From the table of errors. */
  code: z.string().optional(),
});
/** What a resumed stream says about itself: none of these is an event of the run, none bears an index. */
export type RunMeta =
  | z.infer<typeof CatchUp>
  | z.infer<typeof Subscribed>
  | z.infer<typeof Replay>
  | z.infer<typeof Gap>
  | z.infer<typeof ResumeError>;

export const ComponentJson = z.object({
  id: z.string(),
  name: z.string(),
  db_id: z.string(),
  description: z.string().optional(),
  mode: z.enum(['coordinate', 'route', 'broadcast']).optional(),
  members: z.array(z.object({ id: z.string(), name: z.string() })).optional(),
});
export type ComponentJson = z.infer<typeof ComponentJson>;

/** A part of a run's events, for who polls. */
export const RunEventsPage = z.object({
  run_id: z.string(),
  status: RunStatus,
  events: z.array(RunEventJson),
  /** What to ask for as `after` next. */
  last_event_index: z.int(),
  /** Whether nothing will come after `last_event_index`. */
  ended: z.boolean(),
  gap: Gap.optional(),
});
export type RunEventsPage = z.infer<typeof RunEventsPage>;

/** A run in a list. */
export const RunSummary = z.object({
  run_id: z.string(),
  session_id: z.string(),
  kind: z.enum(['agent', 'team', 'workflow']),
  ...whose,
  status: RunStatus,
  /** Of a long one the beginning, as text. */
  message: Content,
  message_truncated: z.boolean().optional(),
  /** Unix seconds. */
  created_at: z.int(),
});
export type RunSummary = z.infer<typeof RunSummary>;

export const SessionJson = z.object({
  session_id: z.string(),
  kind: z.enum(['agent', 'team', 'workflow']),
  ...whose,
  /** Unix seconds. */
  created_at: z.int(),
});
export type SessionJson = z.infer<typeof SessionJson>;

/** What a person is, or was, asked. */
export const ApprovalJson = z.object({
  approval_id: z.string(),
  status: z.enum(['pending', 'approved', 'denied', 'expired']),
  /** The run that waits. Of a turn, the turn's. */
  run_id: z.string(),
  session_id: z.string(),
  message_id: z.string(),
  ...whose,
  tool: z.object({ tool_call_id: z.string(), tool_name: z.string(), tool_args: z.unknown().optional() }),
  note: z.string().optional(),
  resolved_by: z.string().optional(),
  /** Unix seconds. */
  requested_at: z.number(),
  expires_at: z.number(),
});
export type ApprovalJson = z.infer<typeof ApprovalJson>;

export const ApprovalsQuery = z.object({
  status: z.enum(['pending', 'approved', 'denied', 'expired', 'all']).default('pending'),
});
export type ApprovalsQuery = z.infer<typeof ApprovalsQuery>;

export const ApprovalRequest = z.object({ approved: Flag, note: z.string().max(2_000).optional() });
export type ApprovalRequest = z.infer<typeof ApprovalRequest>;

/** What an agent keeps about a person. */
export const MemoryJson = z.object({
  memory_id: z.string(),
  memory: z.string(),
  /** Unix seconds. */
  created_at: z.int(),
});
export type MemoryJson = z.infer<typeof MemoryJson>;

/** Asked of the lists of runs. */
export const SessionQuery = z.object({ session_id: SessionId });
export type SessionQuery = z.infer<typeof SessionQuery>;

/** What a second answer to an approval is told: the first, which counts. */
export const ApprovalConflict = z.object({
  detail: z.string(),
  approval_id: z.string(),
  approved: z.boolean(),
  resolved_by: z.string(),
  note: z.string().optional(),
  /** Nobody answered in time: it is the server's own answer. */
  expired: z.literal(true).optional(),
  /** From the table of errors. */
  code: z.literal('conflict'),
});
export type ApprovalConflict = z.infer<typeof ApprovalConflict>;

const NamedJson = z.object({ id: z.string(), name: z.string() });

/** What runs on a gateway. */
export const ConfigJson = z.object({
  os_id: z.string(),
  name: z.string(),
  version: z.string(),
  /** The store: `memory`, `sqlite`. */
  databases: z.array(z.string()),
  agents: z.array(NamedJson),
  teams: z.array(NamedJson),
  workflows: z.array(NamedJson),
  doors: z.object({ gateway: z.boolean(), push: z.boolean(), runs: z.boolean() }),
});
export type ConfigJson = z.infer<typeof ConfigJson>;

export const ErrorJson = z.looseObject({
  detail: z.string(),
  /** From the table of errors. */
  code: z.string().optional(),
});
export type ErrorJson = z.infer<typeof ErrorJson>;
