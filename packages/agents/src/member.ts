import {
  type AgentOutput,
  type Component,
  type Content,
  MAX_ENTRY_DATA,
  type Member,
  type RunContext,
  WireError,
} from '@continuo/protocol';
import { depthError, isLimit, toldOf } from './failure.ts';
import { Paused } from './paused.ts';
import { errorOf } from './thrown.ts';
import type { Emit } from './together.ts';
import { addUsed, UNUSED, type Used, usageOf } from './used.ts';

/** Bytes of JSON that a member's text may have: it must fit its entry, and the one of the call that asked for it. */
const TEXT_BYTES = MAX_ENTRY_DATA - 16 * 1024;
/** Characters of a part of a run id. */
const PART_CHARACTERS = 64;

/** A component that is to work within a run. */
export interface MemberRun {
  readonly component: Component;
  readonly input: Content;
  /** From `memberIdOf`: the same when the run starts over. */
  readonly runId: string;
  /** The step of the workflow within which it works. */
  readonly step?: string;
}

/** How a member ended. */
type Ending =
  | { readonly status: 'completed'; readonly content: string }
  | {
      readonly status: 'failed';
      readonly content: string;
      /** For a person. */
      readonly reason: string;
      readonly code?: string;
    };

/** Stored as it is. */
type Ended = Ending & {
  /** In all its work, its members included. Without: nothing. */
  readonly used?: Used;
};

export type MemberResult = Ending & {
  readonly used: Used;
  /** It ended before the pause after which the run goes on: nothing was emitted. */
  readonly silent: boolean;
};

/** The id of a member's run: that of the run it works in, and what tells it from the other members there. */
export function memberIdOf(runId: string, ...parts: readonly string[]): string {
  return `${runId}.${partsOf(parts)}`;
}

/** Words as one, which no other words give. */
export function partsOf(parts: readonly string[]): string {
  return parts.map(partOf).join('.');
}

/**
 * Runs a component as a member of the run of `context`, and emits its events between its start and its end. Its failure
 * is a result. A finished member is stored: when the run starts over it is shown in brief, with what it took, and not run
 * again. Throws
 * `Paused` when it has asked a person and is not finished, and the limit of the run that it has come to.
 */
export async function runMember(context: RunContext, member: MemberRun, emit: Emit): Promise<MemberResult> {
  const { component, runId } = member;
  if (context.depth >= context.limits.depth) throw depthError(context.limits.depth, component);
  const by = lineageOf(member, context);
  let isNew = false;
  await context.once(`begun:${context.attempt}:${runId}`, async () => {
    isNew = true;
    return true;
  });
  /** Its start was shown in this attempt, and stands. */
  const seen = context.continues && !isNew;
  if (!seen) {
    const { model } = component;
    await emit.send({ type: 'run.started', ...(model !== undefined && { model }), by });
  }
  let runs = false;
  try {
    const { used = UNUSED, ...ending } = await context.once<Ended>(`member:${runId}`, () => {
      runs = true;
      const send = (event: AgentOutput): Promise<void> => emit.send(withLineage(event, by));
      return perform(memberContextOf(context, member, seen), component, send);
    });
    const silent = seen && !runs;
    if (!silent) {
      if (!runs && ending.content) await emit.send({ type: 'text.completed', text: ending.content, by });
      if (!runs) for (const usage of usageOf(used)) await emit.send({ ...usage, by });
      await emit.send({ type: 'run.ended', ...ending, by });
    }
    return { ...ending, used, silent };
  } catch (error) {
    if (isLimit(error)) {
      const told = toldOf(error, component);
      await emit.send({ type: 'run.ended', status: 'failed', content: '', ...told, by });
    }
    throw error;
  }
}

function memberContextOf(context: RunContext, { runId, input }: MemberRun, seen: boolean): RunContext {
  return {
    ...context,
    runId,
    input,
    depth: context.depth + 1,
    continues: seen,
    // Its own members' are its too: their run ids begin with its own.
    approvals: context.approvals.filter((each) => each.runId === runId || each.runId.startsWith(`${runId}.`)),
    steered: async () => [],
    history: async () => [], // a member sees what it is given
    memories: {
      ...context.memories,
      add: (text, key) => context.memories.add(text, key === undefined ? undefined : `${runId}.${key}`),
    },
    once: (key, work) => context.once(`${runId}:${key}`, work),
  };
}

/**
 * Runs it to its end, or to where it waits for a person: also where it failed with a question open, or nobody would be
 * there for the answer. It fails when it goes on and fails again.
 */
async function perform(
  context: RunContext,
  component: Component,
  send: (event: AgentOutput) => Promise<void>,
): Promise<Ended> {
  const { signal, attempt, approvals, continues } = context;
  /** What was said and taken before each pause, by how much had been asked until then: the text of a run is one. */
  const pauseKey = (asked: number): string => `pause:${attempt}:${asked}`;
  const before = { text: '', used: UNUSED };
  let { text, used } = continues
    ? await context.once(pauseKey(approvals.length), async () => before)
    : before;
  const ended = (ending: Ending): Ended => (usageOf(used).length === 0 ? ending : { ...ending, used });
  let asked = approvals.length;
  let waits = approvals.some(({ answer }) => answer === null);
  try {
    for await (const event of component.run(context)) {
      signal.throwIfAborted();
      const own = !event.by;
      if (own && event.type === 'text.delta') text += event.text;
      if (own && event.type === 'text.completed') text = event.text;
      used = addUsed(used, event);
      if (event.type === 'approval.requested') {
        waits = true;
        if (!isOpen(event, context)) asked++;
      }
      await send(event);
    }
    signal.throwIfAborted();
    checkSize(text, component);
  } catch (thrown) {
    const error = errorOf(thrown);
    if (signal.aborted || isLimit(error)) throw error;
    const { kind, id } = component;
    context.report(new Error(`The ${kind} "${id}" in run ${context.runId} failed.`, { cause: error }));
    if (!waits) {
      return ended({ status: 'failed', content: fits(text) ? text : '', ...toldOf(error, component) });
    }
  }
  if (!waits) return ended({ status: 'completed', content: text });
  // What is too long stays too long: it is told when the member goes on.
  await context.once(pauseKey(asked), async () => ({ text: text.slice(0, TEXT_BYTES), used }));
  throw new Paused();
}

/** Whether it was asked before and nobody has answered: then it is the same question. */
function isOpen(
  { by, callId }: Extract<AgentOutput, { type: 'approval.requested' }>,
  { approvals, runId }: RunContext,
): boolean {
  const asker = by?.runId ?? runId;
  return approvals.some((each) => each.runId === asker && each.callId === callId && each.answer === null);
}

/** An event of a member's member keeps its lineage; within a step of nobody else's it is in ours. */
function withLineage(event: AgentOutput, own: Member): AgentOutput {
  const by = event.by ? { ...event.by, parentRunId: event.by.parentRunId ?? own.runId } : own;
  if (event.type === 'step.started' || event.type === 'step.completed') {
    const { step: _, ...whose } = by; // the event names the step of its own workflow
    return { ...event, by: { ...whose, workflowRunId: whose.runId } };
  }
  const { step, workflowRunId } = own;
  if (by.step !== undefined || step === undefined) return { ...event, by };
  return { ...event, by: { ...by, step, ...(workflowRunId !== undefined && { workflowRunId }) } };
}

function lineageOf({ component, runId, step }: MemberRun, { runId: parentRunId, depth }: RunContext): Member {
  const { kind, id, name } = component;
  return {
    runId,
    component: { kind, id, name },
    parentRunId,
    ...(step !== undefined && { step }),
    ...(step !== undefined && depth > 0 && { workflowRunId: parentRunId }),
  };
}

function fits(text: string): boolean {
  return new TextEncoder().encode(JSON.stringify(text)).byteLength <= TEXT_BYTES;
}

function checkSize(text: string, { kind, id }: Component): void {
  if (fits(text)) return;
  const message = `The answer of the ${kind} "${id}" is longer than ${TEXT_BYTES} bytes. Let it say less.`;
  throw new WireError('too_large', message);
}

/** Without a dot, which parts the parts; long ones, as some endpoints make ids of calls, by a hash. */
function partOf(text: string): string {
  const plain = text.replace(/[^\w-]/gu, (sign) => `~${sign.codePointAt(0)?.toString(16)}~`);
  if (plain.length <= PART_CHARACTERS) return plain;
  let hash = 0x811c9dc5; // FNV-1a
  for (const sign of text) hash = Math.imul(hash ^ (sign.codePointAt(0) ?? 0), 0x01000193);
  return `${plain.slice(0, PART_CHARACTERS)}~${(hash >>> 0).toString(16)}`;
}
