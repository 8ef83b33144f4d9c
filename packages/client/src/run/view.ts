import type { ApprovalJson, RunOutput, RunStatus, RunStreamEvent } from '@continuo/protocol';

/** A call of a tool, of the run or of a member. */
export interface ToolCallView {
  readonly id: string;
  /** Whose call it is. */
  readonly runId: string;
  readonly name: string;
  readonly args?: unknown;
  readonly result?: unknown;
  readonly error?: string;
  readonly status: 'running' | 'completed' | 'failed';
}

/** A member of the run, or of a member. */
export interface MemberView {
  readonly runId: string;
  readonly parentRunId: string;
  readonly name: string;
  /** The step of a workflow within which it works. */
  readonly step?: string;
  readonly text: string;
  readonly status: RunStatus;
}

/** A question that waits for a person. */
export interface OpenApproval {
  readonly approvalId: string;
  /** Whose question it is. */
  readonly runId: string;
  readonly toolCallId: string;
  readonly toolName: string;
  readonly args?: unknown;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** A run as its events so far say. Never changed: a new one takes its place. */
export interface RunView {
  /** `PENDING` until the first event. */
  readonly status: RunStatus;
  /** So far; of an ended run all of it. */
  readonly text: string;
  /** In the order in which they began, like members. */
  readonly toolCalls: readonly ToolCallView[];
  readonly members: readonly MemberView[];
  readonly approvals: readonly OpenApproval[];
  /** From 1. */
  readonly attempt: number;
  /** -1 before the first. */
  readonly lastEventIndex: number;
  /** Why it ended, unless it completed. `type` is the wire's `error_type`, or `cancelled`. */
  readonly error?: { readonly type: string; readonly message: string };
}

export const NO_VIEW: RunView = {
  status: 'PENDING',
  text: '',
  toolCalls: [],
  members: [],
  approvals: [],
  attempt: 1,
  lastEventIndex: -1,
};

const ENDS: Readonly<Record<string, RunStatus>> = {
  Completed: 'COMPLETED',
  Error: 'ERROR',
  Cancelled: 'CANCELLED',
};

/** The status with which an event ends whose event it is. */
export function endOf({ event }: { readonly event: string }): RunStatus | undefined {
  return ENDS[/^(?:(?:Team)?Run|Workflow)(Completed|Error|Cancelled)$/.exec(event)?.[1] ?? ''];
}

export function isEnded({ status }: Pick<RunView, 'status'>): boolean {
  return Object.values(ENDS).includes(status);
}

interface Tool {
  readonly tool_call_id: string;
  readonly tool_name: string;
  readonly approval_id?: string | undefined;
  readonly tool_args?: unknown;
  readonly result?: unknown;
}

/** An event, with all that is looked at. */
interface Fields {
  readonly event: string;
  readonly event_index: number;
  readonly run_id: string;
  readonly parent_run_id?: string | undefined;
  readonly step_name?: string | undefined;
  readonly agent_name?: string | undefined;
  readonly team_name?: string | undefined;
  readonly workflow_name?: string | undefined;
  readonly content?: unknown;
  readonly partial_content?: string;
  readonly error_type?: string;
  readonly reason?: string;
  readonly error?: string;
  readonly attempt?: number;
  readonly tool?: Tool;
  readonly tools?: readonly Tool[];
  readonly approval_id?: string;
  readonly expires_at?: number;
  readonly requirements?: readonly {
    readonly approval_id: string;
    readonly tool_call_id: string;
    readonly expires_at: number;
  }[];
}

/** What the run and its members have in common. */
type Speaker = Pick<RunView, 'text' | 'status'>;

/** The view after one more event. One that it does not know changes nothing but the index. */
export function viewEvent(before: RunView, runId: string, told: RunStreamEvent): RunView {
  const event: Fields = told;
  const { run_id, content, tool } = event;
  const isOwn = run_id === runId;
  const end = endOf(event);
  const view: RunView = { ...before, lastEventIndex: event.event_index };
  const { members } = before;
  const known = members.find((each) => each.runId === run_id);
  const member = known ?? newMember(event);
  const speaker: Speaker = isOwn ? view : member;

  function say(fields: Partial<Speaker>): RunView {
    const status = speaker.status === 'PENDING' ? 'RUNNING' : speaker.status;
    if (isOwn) return { ...view, status, ...fields };
    return { ...view, members: put(members, known, { ...member, status, ...fields }) };
  }

  if (end) {
    const text = String(event.partial_content ?? content ?? '');
    const after = say({ status: end, text: text || speaker.text });
    if (!isOwn) return after;
    return {
      ...after,
      approvals: [],
      // What a member had to say is over with the run.
      members: members.map((each) => (isEnded(each) ? each : { ...each, status: end })),
      ...(end !== 'COMPLETED' && {
        error: { type: event.error_type ?? 'cancelled', message: String(event.reason ?? content) },
      }),
    };
  }
  switch (event.event.replace(/^Team/, '')) {
    case 'RunContent':
      return say({ text: speaker.text + content });
    case 'RunPaused':
      return { ...say({ status: 'PAUSED' }), approvals: asked(view, event) };
    case 'RunContinued':
      return { ...say({ status: 'RUNNING' }), ...(isOwn && { members: members.map(goOn) }) };
    case 'RunAttempt':
      if (!isOwn) return say({ text: '' });
      return {
        ...view,
        status: 'RUNNING',
        text: '',
        toolCalls: [],
        members: [],
        attempt: event.attempt ?? view.attempt + 1,
      };
    case 'ApprovalRequested':
      // A run that asks goes on until it pauses, and its member waits.
      return { ...say(isOwn ? {} : { status: 'PAUSED' }), approvals: asked(view, event) };
    case 'ApprovalResolved':
      return {
        ...say({}),
        approvals: view.approvals.filter((open) => open.approvalId !== event.approval_id),
      };
    case 'ToolCallStarted':
    case 'ToolCallProgress':
      return { ...say({}), toolCalls: called(view, run_id, tool, { status: 'running' }) };
    case 'ToolCallCompleted':
      return {
        ...say({}),
        toolCalls: called(view, run_id, tool, { status: 'completed', result: tool?.result }),
      };
    case 'ToolCallError':
      return {
        ...say({}),
        toolCalls: called(view, run_id, tool, { status: 'failed', error: String(event.error) }),
      };
    default:
      return say({});
  }
}

/** The view of a run of which no event was read: as it stands, with what it waits for. */
export function viewStanding(view: RunView, status: RunStatus, open: readonly ApprovalJson[]): RunView {
  return {
    ...view,
    status,
    approvals: open.map(({ approval_id: approvalId, run_id: runId, tool, expires_at }) => ({
      approvalId,
      runId,
      toolCallId: tool.tool_call_id,
      toolName: tool.tool_name,
      args: tool.tool_args,
      expiresAt: expires_at * 1_000,
    })),
  };
}

/** The view of a run that ended before what was asked for: as the server reports it. */
export function viewOutput(view: RunView, { status, content, error_type, ...output }: RunOutput): RunView {
  const message = 'error' in output ? String(output.error) : status;
  return {
    ...view,
    status,
    text: content,
    approvals: [],
    ...(status !== 'COMPLETED' && { error: { type: error_type ?? 'cancelled', message } }),
  };
}

/** The list with an item in the place of the one that it was made of, or at its end. */
function put<T>(list: readonly T[], known: T | undefined, item: T): readonly T[] {
  return known ? list.with(list.indexOf(known), item) : [...list, item];
}

/** A run goes on when all its questions are answered. */
function goOn(member: MemberView): MemberView {
  return member.status === 'PAUSED' ? { ...member, status: 'RUNNING' } : member;
}

function newMember(event: Fields): MemberView {
  const { run_id, parent_run_id = '', step_name, agent_name, team_name, workflow_name } = event;
  return {
    runId: run_id,
    parentRunId: parent_run_id,
    name: agent_name ?? team_name ?? workflow_name ?? run_id,
    ...(step_name !== undefined && { step: step_name }),
    text: '',
    status: 'PENDING',
  };
}

function called(
  { toolCalls }: RunView,
  runId: string,
  tool: Tool | undefined,
  fields: Partial<ToolCallView>,
): RunView['toolCalls'] {
  if (!tool) return toolCalls;
  const { tool_call_id: id, tool_name: name, tool_args: args } = tool;
  const known = toolCalls.find((each) => each.id === id && each.runId === runId); // members choose ids by themselves
  return put(toolCalls, known, { ...(known ?? { id, runId, name, args, status: 'running' }), ...fields });
}

/** With the question, or the questions, of an event. */
function asked({ approvals }: RunView, event: Fields): RunView['approvals'] {
  const { run_id: runId, tool, tools = [], requirements } = event;
  const all = requirements ?? [{ ...event, tool_call_id: tool?.tool_call_id }];
  let open = approvals;
  for (const { approval_id: approvalId = '', tool_call_id: toolCallId = '', expires_at = 0 } of all) {
    const { tool_name: toolName = '', tool_args: args } =
      tool ??
      tools.find(
        (each) => each.tool_call_id === toolCallId && (each.approval_id ?? approvalId) === approvalId,
      ) ??
      {};
    const expiresAt = expires_at * 1_000;
    const known = open.some((each) => each.approvalId === approvalId);
    if (!known) open = [...open, { approvalId, runId, toolCallId, toolName, args, expiresAt }];
  }
  return open;
}
