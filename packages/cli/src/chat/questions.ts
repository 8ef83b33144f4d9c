import type { PendingApproval } from '@continuo/protocol';

/** The open questions of a session, asked one at a time: a yes answers what stands on the screen, and nothing else. */
export interface Questions {
  /** What the next yes or no answers, the oldest; `null` where nothing is asked. */
  readonly asked: PendingApproval | null;
  /** Whether the turn of a message waits for an answer. */
  isOpen(messageId: string): boolean;
  add(question: PendingApproval): void;
  /** A question has its answer. */
  resolve(approvalId: string): void;
  /** A turn has ended: nobody needs the answers to its questions. */
  end(messageId: string): void;
  /** These are open, and no others. */
  reset(questions: readonly PendingApproval[]): void;
}

export function createQuestions(): Questions {
  let open: readonly PendingApproval[] = [];
  return {
    get asked() {
      return open[0] ?? null;
    },
    isOpen: (messageId) => open.some(({ message_id }) => message_id === messageId),
    add(question) {
      const known = open.some(({ approval_id }) => approval_id === question.approval_id);
      if (!known) open = [...open, question];
    },
    resolve(approvalId) {
      open = open.filter(({ approval_id }) => approval_id !== approvalId);
    },
    end(messageId) {
      open = open.filter(({ message_id }) => message_id !== messageId);
    },
    reset(questions) {
      open = questions;
    },
  };
}

/** `true` for yes, `false` for no, `null` for a line that is neither. */
export function answerIn(line: string): boolean | null {
  const word = line.trim().toLowerCase();
  if (word === 'y' || word === 'yes') return true;
  return word === 'n' || word === 'no' ? false : null;
}
