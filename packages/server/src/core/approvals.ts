import { type Approval, type Component, draftOf, type RunEvent, WireError } from '@continuo/protocol';
import type { Clock, Fence, Logs, Random, Records } from '../ports.ts';
import { may, type Principal } from './access.ts';
import type { Journal } from './log.ts';
import { keyOf } from './names.ts';
import { endIdOf } from './run.ts';
import type { Task, Workers } from './worker.ts';

/** How long a question and its answer are kept, in ms: as long as a run. */
const KEEP_MS = 7 * 24 * 3_600_000;
/** How often an answer is tried for while others answer the same. */
const TRIES = 5;

export type Answer = NonNullable<Approval['answer']>;

/** The record `approval/<owner>/<id>`: where a question was asked, and the one answer that counts. */
interface ApprovalRecord {
  readonly log: string;
  readonly component: string;
  readonly runId: string;
  readonly answer: Answer | null;
}

export interface Approvals {
  /** Makes an approval that can be answered. Its id goes into the run's log, which tells everybody. */
  request(task: Task): Promise<string>;
  /**
   * The one resolver behind every door. Resolves with the answer when it is stored: the run then goes on, on some server.
   * The same answer again resolves too. Throws `conflict` with the first answer when this is another one, and `not_found`:
   * also for one of an agent that the asker may not use, and for one that nobody answered before its run ended.
   */
  resolve(asker: Principal, approvalId: string, answer: Answer): Promise<Answer>;
  /** Puts answers that came since into the paused run's log, each once. True when there was one. */
  tell(task: Task, component: Component, fence: Omit<Fence, 'run'>): Promise<boolean>;
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
    return records.put(key, record, { ifVersion, expiresAt: clock.now() + KEEP_MS });
  }

  /** Whether somebody may answer, or ask for the answer there is. */
  async function isOpenTo(
    asker: Principal,
    { log, component, runId, answer }: ApprovalRecord,
  ): Promise<boolean> {
    const agentId = component.slice(component.indexOf(':') + 1);
    if (!may(asker, 'write', 'agents', agentId)) return false;
    return answer !== null || (await logs.find(log, endIdOf(runId))) === null;
  }

  return {
    async request({ log, component, runId, user }) {
      const approvalId = `apr_${random.id()}`;
      await put(keyOf.approval(user, approvalId), { log, component, runId, answer: null }, 0);
      return approvalId;
    },

    async resolve(asker, approvalId, answer) {
      const key = approvalId.isWellFormed() ? keyOf.approval(asker.user, approvalId) : null;
      for (let tries = 0; tries < TRIES; tries++) {
        const stored = key === null ? null : await records.get(key);
        const record = stored?.value as ApprovalRecord | undefined;
        if (key === null || !stored || !record || !(await isOpenTo(asker, record))) {
          throw new WireError('not_found', `There is no approval "${approvalId}" to answer.`);
        }
        const { log, component, answer: first } = record;
        if (first && first.approved !== answer.approved) {
          throw new WireError('conflict', 'This approval has another answer already: the first one counts.', {
            details: { approval_id: approvalId, ...first },
          });
        }
        // Also where it was answered before: whoever stored that may have died before any worker saw it.
        const isStored = await workers().announce(
          log,
          component,
          async () => first !== null || (await put(key, { ...record, answer }, stored.version)) !== null,
        );
        if (isStored) return first ?? answer;
      }
      throw new WireError('unavailable', 'Others answer this approval just now. Try again.');
    },

    async tell({ log, runId, messageId, user, state }, { kind, id, name }, fence) {
      const open = state?.approvals.filter(({ answer }) => answer === null) ?? [];
      let told = false;
      for (const { approvalId } of open) {
        const stored = await records.get(keyOf.approval(user, approvalId));
        const { answer = null } = (stored?.value as ApprovalRecord | undefined) ?? {};
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
