import { z } from 'zod';
import { Content } from './events.ts';
import {
  ApprovalConflict,
  ApprovalJson,
  ApprovalRequest,
  ApprovalsQuery,
  CancelRequest,
  CatchUp,
  ComponentJson,
  ConfigJson,
  ConfirmedTool,
  ContinueRequest,
  ErrorJson,
  EventsQuery,
  Gap,
  MemoryJson,
  Replay,
  ResumeError,
  ResumeRequest,
  RunAccepted,
  RunEventJson,
  RunEventsPage,
  RunOutput,
  RunRequest,
  RunStatus,
  RunSummary,
  SessionJson,
  SessionQuery,
  SteerAccepted,
  SteerRequest,
  Subscribed,
} from './runs.ts';

/** Door 4 as one table: what /openapi.json says, and what its tests ask for. */

/** What bodies and queries are made of, under the names they have in /openapi.json. */
export const RUN_SCHEMAS = {
  ApprovalConflict,
  ApprovalJson,
  ApprovalRequest,
  ApprovalsQuery,
  CancelRequest,
  CatchUp,
  ComponentJson,
  ConfigJson,
  ConfirmedTool,
  Content,
  ContinueRequest,
  ErrorJson,
  EventsQuery,
  Gap,
  JsonObject: z.looseObject({}),
  MemoryJson,
  Replay,
  ResumeError,
  ResumeRequest,
  RunAccepted,
  RunEventJson,
  RunEventsPage,
  RunOutput,
  RunRequest,
  RunStatus,
  RunSummary,
  SessionJson,
  SessionQuery,
  SteerAccepted,
  SteerRequest,
  Subscribed,
} as const satisfies Readonly<Record<string, z.ZodType>>;
export type RunSchemaName = keyof typeof RUN_SCHEMAS;

type QueryName = 'ApprovalsQuery' | 'EventsQuery' | 'SessionQuery';
type BodyName =
  | 'ApprovalRequest'
  | 'CancelRequest'
  | 'ContinueRequest'
  | 'ResumeRequest'
  | 'RunRequest'
  | 'SteerRequest';

/** One answer that is no refusal, or a refusal that says more than `{"detail"}`. */
export interface RunAnswer {
  readonly status: number;
  readonly what: string;
  /** JSON of this schema; none: no body, or a stream. */
  readonly schema?: RunSchemaName;
  /** The body is an array of `schema`. */
  readonly isList?: true;
  /** The body is server-sent events: R-2. */
  readonly isStream?: true;
}

export interface RunRoute {
  readonly method: 'get' | 'post' | 'delete';
  /** With `{name}` for a part that is the asker's. */
  readonly path: string;
  /** Unlike that of any other route. */
  readonly name: string;
  /** A sentence. */
  readonly does: string;
  readonly query?: QueryName;
  /** Names, and what each is. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A form or JSON. */
  readonly body?: BodyName;
  readonly answers: readonly RunAnswer[];
  /** Statuses answered with `{"detail", "code"}`, and when. */
  readonly refusals: Readonly<Record<number, string>>;
  /** Needs no token. */
  readonly isOpen?: true;
}

/** What any route may be answered with. */
const ANY = {
  403: 'The request comes from a web page, or under a host name, that may not ask here.',
  500: 'The server has a fault.',
  503: 'The server is about to close, or its store cannot be reached.',
};
const TOKEN = { 401: 'A token is needed, and none or a wrong one was given.', ...ANY };
const ALLOWED = { ...TOKEN, 403: 'The token does not allow it, or not from that web page or host name.' };
const UNKNOWN = { 404: "Unknown, or another owner's." };
const WRONG = { 422: 'A field is missing or wrong: the sentence names it.' };
const BODY = {
  ...WRONG,
  400: 'The body is not what its content-type says.',
  413: 'The body is too large, or a form with too many fields.',
};

const KINDS = ['agent', 'team', 'workflow'] as const;

function ofKind(kind: (typeof KINDS)[number]): readonly RunRoute[] {
  const all = `/${kind}s`;
  const one = `${all}/{id}`;
  const run = `${one}/runs/{run_id}`;
  const Kind = `${kind[0]?.toUpperCase()}${kind.slice(1)}`;
  return [
    {
      method: 'get',
      path: all,
      name: `list${Kind}s`,
      does: `Lists the ${kind}s.`,
      answers: [
        { status: 200, what: `All ${kind}s, in their order.`, schema: 'ComponentJson', isList: true },
      ],
      refusals: TOKEN,
    },
    {
      method: 'get',
      path: one,
      name: `get${Kind}`,
      does: `Shows one ${kind}.`,
      answers: [{ status: 200, what: `The ${kind}.`, schema: 'ComponentJson' }],
      refusals: { ...TOKEN, ...UNKNOWN },
    },
    {
      method: 'post',
      path: `${one}/runs`,
      name: `start${Kind}Run`,
      does: `Starts a run of the ${kind}.`,
      headers: { 'Idempotency-Key': 'The same key again gives the same run.' },
      body: 'RunRequest',
      answers: [
        { status: 200, what: 'With `stream`: its events.', isStream: true },
        {
          status: 200,
          what: 'Without `stream` and `background`: the run, ended or paused.',
          schema: 'RunOutput',
        },
        { status: 202, what: 'In the background, without `stream`: it was accepted.', schema: 'RunAccepted' },
      ],
      refusals: {
        ...ALLOWED,
        ...BODY,
        404: `There is no such ${kind}, or the session is not one of its own.`,
        409: 'The key has started a run with another message or session.',
      },
    },
    {
      method: 'get',
      path: `${one}/runs`,
      name: `list${Kind}Runs`,
      does: `Lists the asker's runs of the ${kind}, newest first, at most 100.`,
      query: 'SessionQuery',
      answers: [{ status: 200, what: 'The runs.', schema: 'RunSummary', isList: true }],
      refusals: { ...ALLOWED, ...UNKNOWN, ...WRONG },
    },
    {
      method: 'get',
      path: run,
      name: `get${Kind}Run`,
      does: 'Shows the output of a run so far.',
      query: 'SessionQuery',
      answers: [{ status: 200, what: 'The run.', schema: 'RunOutput' }],
      refusals: { ...ALLOWED, ...UNKNOWN, ...WRONG },
    },
    {
      method: 'get',
      path: `${run}/events`,
      name: `read${Kind}RunEvents`,
      does: "A run's events after an index, for an EventSource or for who polls.",
      query: 'EventsQuery',
      headers: { 'Last-Event-ID': 'The index after which to go on. Counts before `after`.' },
      answers: [
        { status: 200, what: 'The events, to the end of the run.', isStream: true },
        { status: 200, what: 'With `poll`: the events that are there.', schema: 'RunEventsPage' },
        { status: 204, what: 'The run has ended, and there is nothing after the index.' },
      ],
      refusals: { ...ALLOWED, ...UNKNOWN, ...WRONG },
    },
    {
      method: 'post',
      path: `${run}/resume`,
      name: `resume${Kind}Run`,
      does: "A run's events after an index, to its end or its pause. An unknown run gets one event `error`.",
      body: 'ResumeRequest',
      answers: [{ status: 200, what: 'The events.', isStream: true }],
      refusals: { ...ALLOWED, ...BODY, 404: `There is no such ${kind}.` },
    },
    {
      method: 'post',
      path: `${run}/cancel`,
      name: `cancel${Kind}Run`,
      does: 'Ends a run, whatever it does. Idempotent.',
      body: 'CancelRequest',
      answers: [{ status: 200, what: 'It ends, or has ended.', schema: 'JsonObject' }],
      refusals: { ...ALLOWED, ...BODY, ...UNKNOWN },
    },
    {
      method: 'post',
      path: `${run}/continue`,
      name: `continue${Kind}Run`,
      does: 'Answers what a paused run asks, and gives its events from there on.',
      body: 'ContinueRequest',
      answers: [
        { status: 200, what: 'With `stream`: its events.', isStream: true },
        {
          status: 200,
          what: 'Without `stream` and `background`: the run, ended or paused.',
          schema: 'RunOutput',
        },
        { status: 202, what: 'In the background, without `stream`: it was accepted.', schema: 'RunAccepted' },
      ],
      refusals: {
        ...ALLOWED,
        ...BODY,
        ...UNKNOWN,
        409: 'It is not paused, a question stays open, or the arguments are not those that were asked for.',
      },
    },
    {
      method: 'post',
      path: `${run}/steer`,
      name: `steer${Kind}Run`,
      does: 'Sends a message to a running run, which reads it at its next step.',
      body: 'SteerRequest',
      answers: [{ status: 202, what: 'It is stored.', schema: 'SteerAccepted' }],
      refusals: {
        ...ALLOWED,
        ...BODY,
        ...UNKNOWN,
        409: 'It reads no more, or never does.',
        429: 'It has got all the messages that it can take.',
      },
    },
  ];
}

export const RUN_ROUTES: readonly RunRoute[] = [
  ...KINDS.flatMap(ofKind),
  {
    method: 'get',
    path: '/runs',
    name: 'listRuns',
    does: "Lists the asker's runs, newest first, at most 100.",
    query: 'SessionQuery',
    answers: [{ status: 200, what: 'The runs.', schema: 'RunSummary', isList: true }],
    refusals: { ...TOKEN, ...WRONG },
  },
  {
    method: 'get',
    path: '/runs/{run_id}',
    name: 'findRun',
    does: 'Finds a run by its id alone.',
    answers: [{ status: 200, what: 'The run.', schema: 'RunSummary' }],
    refusals: { ...TOKEN, ...UNKNOWN },
  },
  {
    method: 'get',
    path: '/sessions',
    name: 'listSessions',
    does: "Lists the asker's sessions, newest first, at most 100.",
    answers: [{ status: 200, what: 'The sessions.', schema: 'SessionJson', isList: true }],
    refusals: TOKEN,
  },
  {
    method: 'get',
    path: '/sessions/{session_id}/runs',
    name: 'listSessionRuns',
    does: 'Lists the runs of a session, newest first, at most 100.',
    answers: [{ status: 200, what: 'The runs.', schema: 'RunSummary', isList: true }],
    refusals: { ...TOKEN, ...UNKNOWN },
  },
  {
    method: 'get',
    path: '/approvals',
    name: 'listApprovals',
    does: 'Lists what agents ask the asker, newest first, at most 100: what is open, unless `status` says otherwise.',
    query: 'ApprovalsQuery',
    answers: [{ status: 200, what: 'The approvals.', schema: 'ApprovalJson', isList: true }],
    refusals: { ...TOKEN, ...WRONG },
  },
  {
    method: 'get',
    path: '/approvals/{approval_id}',
    name: 'getApproval',
    does: 'Shows one approval.',
    answers: [{ status: 200, what: 'The approval.', schema: 'ApprovalJson' }],
    refusals: { ...TOKEN, ...UNKNOWN },
  },
  {
    method: 'post',
    path: '/approvals/{approval_id}',
    name: 'answerApproval',
    does: 'Answers an approval. The first answer counts, however it is given.',
    body: 'ApprovalRequest',
    answers: [
      { status: 200, what: 'This answer counts.', schema: 'ApprovalJson' },
      {
        status: 409,
        what: 'Another answer came first, or nobody answered in time.',
        schema: 'ApprovalConflict',
      },
    ],
    refusals: { ...TOKEN, ...BODY, ...UNKNOWN },
  },
  {
    method: 'get',
    path: '/memories',
    name: 'listMemories',
    does: 'Lists what agents keep about the asker, oldest first.',
    answers: [{ status: 200, what: 'The memories.', schema: 'MemoryJson', isList: true }],
    refusals: ALLOWED,
  },
  {
    method: 'delete',
    path: '/memories/{memory_id}',
    name: 'forgetMemory',
    does: 'Forgets one memory.',
    answers: [{ status: 204, what: 'It is forgotten.' }],
    refusals: { ...ALLOWED, ...UNKNOWN },
  },
  {
    method: 'delete',
    path: '/memories',
    name: 'forgetMemories',
    does: 'Forgets all memories of the asker.',
    answers: [{ status: 204, what: 'They are forgotten.' }],
    refusals: ALLOWED,
  },
  {
    method: 'get',
    path: '/config',
    name: 'getConfig',
    does: 'Says what runs here, and which store keeps it.',
    answers: [{ status: 200, what: 'The configuration.', schema: 'ConfigJson' }],
    refusals: TOKEN,
  },
  {
    method: 'get',
    path: '/openapi.json',
    name: 'getOpenApi',
    does: 'This document.',
    answers: [{ status: 200, what: 'OpenAPI 3.1.', schema: 'JsonObject' }],
    refusals: ANY,
    isOpen: true,
  },
];
