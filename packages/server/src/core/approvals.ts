import {
  type AgentOutput,
  type Approval,
  type Component,
  draftOf,
  type Question,
  type RunEvent,
  WireError,
} from '@continuo/protocol';
import type { Clock, Fence, Logs, Random, Records } from '../ports.ts';
import { may, type Principal } from './access.ts';
import type { Journal } from './log.ts';
import { keyOf } from './names.ts';
import { endIdOf, openApprovals } from './run.ts';
import type { Task, Workers } from './worker.ts';

/** How long a question and its answer are kept, in ms: as long as a run. */
const KEEP_MS = 7 * 24 * 3_600_000;
/** How long a question can be answered where its agent does not say, in ms. */
const EXPIRES_MS = 24 * 3_600_000;
/** No question outlives what it is asked in, in ms: a run, or a session that nobody looks at. */
const MAX_EXPIRES_MS = { run: 6 * 24 * 3_600_000, turn: 23 * 3_600_000 };
/** How often an answer is tried for while others answer the same. */
const TRIES = 5;
const LIST_PAGE = 200;
/** Questions of an owner that a list looks through at most. */
const LOOKED_THROUGH = 10_000;
/** What a list shows at most. */
const LISTED = 100;
/** Who answers what nobody answered in time. */
const EXPIRY = 'expiry';

export type Answer = NonNullable<Approval['answer']>;

const EXPIRED: Answer = { approved: false, by: EXPIRY, expired: true };

/** The record `approval/<owner>/<id>`: what was asked where, and the one answer that counts. */
export interface ApprovalRecord extends Question {
  readonly log: string;
  readonly component: string;
  /** The run that waits, not the member of it that asked. */
  readonly runId: string;
  readonly sessionId: string;
  readonly messageId: string;
  readonly requestedAt: number;
  readonly answer: Answer | null;
}

export type ApprovalStatus = 'pending' | 'approved' | 'denied' | 'expired';

export interface Approvals {
  /**
   * Makes a question that can be answered; its id goes into the run's log, which tells everybody. Of one that was asked
   * before under the same call, and is open, the same again.
   */
  request(task: Task, asked: AgentOutput & { readonly type: 'approval.requested' }): Promise<Question>;
  /**
   * The one resolver behind every door. Resolves with the answer that counts when it is stored: the run then goes on, on
   * some server. `isNew`: it is this one; otherwise the same was said before. Throws `conflict` with the first answer when
   * this is another one, and `not_found`: also for one of an agent that the asker may not use, and for one that nobody
   * answered before its run ended.
   */
  resolve(
    asker: Principal,
    approvalId: string,
    answer: Answer,
  ): Promise<{ readonly answer: Answer; readonly isNew: boolean }>;
  /** What agents asked of the asker, newest first. */
  list(asker: Principal, status: ApprovalStatus | 'all'): Promise<readonly ApprovalRecord[]>;
  /** As {@link Approvals.list}, one. Throws `not_found`. */
  get(asker: Principal, approvalId: string): Promise<ApprovalRecord>;
  /**
   * Puts answers that came since into the paused run's log, each once; where the time is over, the server's own. True
   * when there was one.
   */
  tell(task: Task, component: Component, fence: Omit<Fence, 'run'>): Promise<boolean>;
}

export function statusOfApproval({ answer }: Pick<ApprovalRecord, 'answer'>): ApprovalStatus {
  if (!answer) return 'pending';
  if (answer.expired) return 'expired';
  return answer.approved ? 'approved' : 'denied';
}

export function createApprovals(options: {
  readonly logs: Logs;
  readonly records: Records;
  readonly journal: Journal;
  readonly workers: () => Workers;
  readonly clock: Clock;
  readonly random: Random;
}): Approvals {
  const { logs, records, journal, workers, clock, random } = options;

  function put(key: string, record: ApprovalRecord, ifVersion: number): Promise<number | null> {
    const expiresAt = Math.max(clock.now(), record.expiresAt) + KEEP_MS;
    return records.put(key, record, { ifVersion, expiresAt });
  }

  /** Whether somebody may answer, or ask for the answer there is. */
  async function isOpenTo(
    asker: Principal,
    { log, component, runId, answer }: ApprovalRecord,
  ): Promise<boolean> {
    const agentId = component.slice(component.indexOf(':') + 1);
    if (!may(asker, 'write', 'agents', agentId)) return false;
    if (answer !== null) return true;
    const [[head], end] = await Promise.all([logs.heads([log]), logs.find(log, endIdOf(runId))]);
    return head !== null && end === null; // without its log there is no run to go on
  }

  async function find(
    asker: Principal,
    approvalId: string,
  ): Promise<{ readonly key: string; readonly record: ApprovalRecord; readonly version: number }> {
    const key = approvalId.isWellFormed() ? keyOf.approval(asker.user, approvalId) : null;
    const stored = key === null ? null : await records.get(key);
    const record = stored?.value as ApprovalRecord | undefined;
    if (key === null || !stored || !record || !(await isOpenTo(asker, record))) {
      throw new WireError('not_found', `There is no approval "${approvalId}" to answer.`);
    }
    return { key, record, version: stored.version };
  }

  /** The answer of the record; nobody's, where the time is over. */
  async function answerOf(user: string, approvalId: string): Promise<Answer | null> {
    const key = keyOf.approval(user, approvalId);
    for (;;) {
      const stored = await records.get(key);
      const record = stored?.value as ApprovalRecord | undefined;
      if (!stored || !record || record.answer || clock.now() < record.expiresAt)
        return record?.answer ?? null;
      if ((await put(key, { ...record, answer: EXPIRED }, stored.version)) !== null) return EXPIRED;
    }
  }

  /** As it stands: its time may be over, and nobody has looked yet. */
  function seenNow(record: ApprovalRecord): ApprovalRecord {
    return record.answer === null && clock.now() >= record.expiresAt
      ? { ...record, answer: EXPIRED }
      : record;
  }

  return {
    async request(task, { callId, name, args, expiresInMs = EXPIRES_MS, by }) {
      const { log, ownLog, component, runId, sessionId, messageId, user } = task;
      const asker = by?.runId ?? runId;
      const now = clock.now();
      const place = { log, component, runId, sessionId, messageId };
      const keep = (asked: Question): Promise<number | null> =>
        put(
          keyOf.approval(user, asked.approvalId),
          { ...asked, ...place, requestedAt: now, answer: null },
          0,
        );
      // Under an id that a run which starts over finds again: a question that no log tells of is nobody's to answer.
      const onceKey = keyOf.once(log, runId, `approval:${asker}:${callId}`);
      const before = (await records.get(onceKey))?.value as Question | undefined;
      const answered = task.state?.approvals.some(
        ({ approvalId, answer }) => approvalId === before?.approvalId && answer !== null,
      );
      if (before && !answered && JSON.stringify(before.args) === JSON.stringify(args)) {
        await keep(before); // also where its server died between the two records
        return before;
      }
      const within = Math.min(expiresInMs, MAX_EXPIRES_MS[ownLog ? 'run' : 'turn']);
      const question: Question = {
        approvalId: `apr_${random.id()}`,
        callId,
        name,
        ...(args !== undefined && { args }),
        expiresAt: now + within,
      };
      await records.put(onceKey, question, { expiresAt: question.expiresAt + KEEP_MS });
      await keep(question);
      return question;
    },

    async resolve(asker, approvalId, answer) {
      for (let tries = 0; tries < TRIES; tries++) {
        const { key, record, version } = await find(asker, approvalId);
        const first = record.answer ?? (await answerOf(asker.user, approvalId));
        if (first && (first.expired || first.approved !== answer.approved)) {
          throw new WireError(
            'conflict',
            first.expired
              ? 'Nobody answered this approval in time: its run ends.'
              : 'This approval has an answer already: the first one counts.',
            { details: { approval_id: approvalId, ...first } },
          );
        }
        // Also where it was answered before: whoever stored that may have died before any worker saw it.
        const isStored = await workers().announce(
          record.log,
          record.component,
          async () => first !== null || (await put(key, { ...record, answer }, version)) !== null,
          'wish',
        );
        if (isStored) return { answer: first ?? answer, isNew: first === null };
      }
      throw new WireError('unavailable', 'Others answer this approval just now. Try again.');
    },

    async list(asker, status) {
      const prefix = keyOf.approval(asker.user, '');
      const found: ApprovalRecord[] = [];
      let seen = 0;
      for (let after = prefix; seen < LOOKED_THROUGH; ) {
        const page = await records.list(prefix, { after, limit: LIST_PAGE });
        seen += page.length;
        const wanted = page
          .map(({ value }) => seenNow(value as ApprovalRecord))
          .filter((record) => status === 'all' || statusOfApproval(record) === status);
        const isOpen = await Promise.all(wanted.map((record) => isOpenTo(asker, record)));
        found.push(...wanted.filter((_record, index) => isOpen[index]));
        const last = page.at(-1);
        if (!last || page.length < LIST_PAGE) break;
        after = last.key;
      }
      return found.sort((a, b) => b.requestedAt - a.requestedAt).slice(0, LISTED);
    },

    get: async (asker, approvalId) => seenNow((await find(asker, approvalId)).record),

    async tell({ log, runId, messageId, user, state }, { kind, id, name }, fence) {
      let told = false;
      for (const { approvalId } of state ? openApprovals(state) : []) {
        const answer = await answerOf(user, approvalId);
        if (!answer) continue;
        const { by: resolvedBy, ...said } = answer;
        const event: RunEvent = {
          type: 'approval.resolved',
          approvalId,
          ...said,
          resolvedBy,
          runId,
          messageId,
          attempt: state?.attempt ?? 1,
          component: { kind, id, name },
        };
        const draft = { id: `${approvalId}:answer`, ...draftOf(event), source: resolvedBy };
        await journal.append(log, [draft], { fence: { ...fence, run: runId } });
        told = true;
      }
      return told;
    },
  };
}
