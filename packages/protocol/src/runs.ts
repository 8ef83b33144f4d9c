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

export const RunStatus = z.enum(['PENDING', 'RUNNING', 'PAUSED', 'COMPLETED', 'CANCELLED', 'ERROR']);
export type RunStatus = z.infer<typeof RunStatus>;

export const RunAccepted = z.object({
  run_id: z.string(),
  session_id: z.string(),
  status: z.literal('PENDING'),
});

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

export const RunOutput = z.object({
  run_id: z.string(),
  session_id: z.string(),
  agent_id: z.string().optional(),
  team_id: z.string().optional(),
  workflow_id: z.string().optional(),
  content: z.string(),
  status: RunStatus,
  error_type: z.string().optional(),
  /** The newest. */
  events: z.array(RunEventJson),
  /** Whether older events are left out. */
  events_truncated: z.boolean(),
  messages: z.array(z.object({ role: z.enum(['user', 'assistant']), content: Content })),
  metrics: z.looseObject({}),
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
export const ResumeError = z.object({ event: z.literal('error'), error: z.string() });
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
