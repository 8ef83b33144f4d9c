import { type Approval, type ConfirmedTool, ContinueRequest, WireError } from '@continuo/protocol';
import type { Principal } from '../core/access.ts';
import type { Approvals } from '../core/approvals.ts';
import { openApprovals, type RunState } from '../core/run.ts';
import type { Run, Runs } from '../core/runs.ts';
import type { Head, Logs } from '../ports.ts';
import { parseBody, readBody } from './http.ts';
import { sameJson } from './json.ts';
import type { AnswerRun } from './run-answer.ts';
import { findRun, headOf, type RunAsked } from './run-asked.ts';
import { STATUS } from './run-json.ts';

/** `POST .../runs/{run_id}/continue`: R-17. */

/** A question, and what the client says to it. */
interface Answered {
  readonly question: Approval;
  readonly tool: ConfirmedTool;
}

export function createContinueRun(options: {
  readonly runs: Runs;
  readonly logs: Logs;
  readonly approvals: Approvals;
  readonly answer: AnswerRun;
}): (asked: RunAsked) => Promise<Response> {
  const { runs, logs, approvals, answer } = options;

  /** Throws `conflict` for questions that nobody has answered yet, here or elsewhere. */
  async function demandNoneOpen(principal: Principal, state: RunState): Promise<void> {
    const asked = openApprovals(state).map(({ approvalId }) => approvals.get(principal, approvalId));
    const open = (await Promise.all(asked)).filter((record) => record.answer === null);
    if (open.length === 0) return;
    const calls = open.map(({ callId }) => `"${callId}"`).join(', ');
    throw new WireError('conflict', `The run waits for more answers: to ${calls}.`, {
      details: { open: open.map(({ callId }) => callId) },
    });
  }

  /** What the log says, and where it ended when it said so. */
  async function standingOf(run: Run): Promise<{ readonly before: Head; readonly state: RunState | null }> {
    for (;;) {
      const before = await headOf(logs, run);
      const state = await runs.state(run);
      if (state?.status !== 'paused' || (await headOf(logs, run)).offset === before.offset)
        return { before, state };
    }
  }

  return async (asked) => {
    const { c, principal } = asked;
    const request = parseBody(ContinueRequest, await readBody(c), 'invalid');
    const { tools, session_id, stream, background } = request;
    const run = await findRun(runs, asked, session_id);
    const { before, state } = await standingOf(run);
    if (state?.status !== 'paused') {
      const status = state ? STATUS[state.status] : 'PENDING';
      throw new WireError(
        'conflict',
        `Only a run that waits for answers can be continued: this one is ${status}.`,
      );
    }
    const answers = match(tools, state.approvals);
    let isOwn = false;
    for (const { question, tool } of answers) {
      const { isNew } = await approvals.resolve(principal, question.approvalId, {
        approved: tool.confirmed,
        by: principal.subject,
        ...(tool.note !== undefined && { note: tool.note }),
      });
      if (isNew) isOwn = true;
    }
    await demandNoneOpen(principal, state);
    const head = await headOf(logs, run);
    return answer(asked, { run, head, after: before.offset, stream, background, isOwn, status: 'RUNNING' });
  };
}

/** Which question each tool answers. Throws `conflict` for one that was not asked, or not with these arguments. */
function match(tools: readonly ConfirmedTool[], questions: readonly Approval[]): Answered[] {
  // What is open first: a call may have been asked for before under the same id.
  const left = new Set(questions.toSorted((a, b) => Number(a.answer !== null) - Number(b.answer !== null)));
  return tools.map((tool) => {
    const { tool_call_id: callId, tool_name: name, approval_id: id } = tool;
    const known = [...left].filter(
      (question) =>
        question.callId === callId &&
        (name === undefined || question.name === name) &&
        (id === undefined || question.approvalId === id),
    );
    if (known.length === 0) {
      const call = name === undefined ? `"${callId}"` : `"${callId}" of "${name}"`;
      throw new WireError('conflict', `The run does not wait for an answer to the call ${call}.`);
    }
    const question = known.find(
      ({ args }) => tool.tool_args === undefined || sameJson(tool.tool_args, args ?? null),
    );
    if (!question) {
      throw new WireError(
        'conflict',
        `"tool_args" of "${callId}" are not those that were asked for: the answer is for these alone.`,
      );
    }
    left.delete(question);
    return { question, tool };
  });
}
