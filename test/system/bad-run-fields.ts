import type { RUN_SCHEMAS } from '@continuo/protocol';

/** What is wrong in the fields of door 4: every field of every body and query. */

const NO_TEXT = [7, true, [], {}, null];
const CONTROL = ['a\u0000b', 'a\nb', 'a\u007f'];
/** Ids that a client makes: 1 to 200 printable characters. */
const NO_ID = [...NO_TEXT, '', 'x'.repeat(201), '\ud800', ...CONTROL];
const NO_SESSION = [...NO_TEXT, 'x'.repeat(201)];
const NO_FLAG = ['maybe', '', 'truee', '2', 7, {}, [], null];
const NO_INDEX = [1.5, 1e300, 'soon', '1.5', '', ' 5', '0x5', '--1', true, [], {}, null];
const NO_MESSAGE = ['', 7, true, [], ['hi'], null];
const NO_NOTE = [...NO_TEXT, 'x'.repeat(2_001)];

type Bodies =
  | 'ApprovalRequest'
  | 'CancelRequest'
  | 'ContinueRequest'
  | 'ResumeRequest'
  | 'RunRequest'
  | 'SteerRequest';
type Queries = 'ApprovalsQuery' | 'EventsQuery' | 'SessionQuery';

export interface FieldRow {
  /** What makes a body that is right. */
  readonly good: Readonly<Record<string, unknown>>;
  /** By field, values that are answered with 422. */
  readonly bad: Readonly<Record<string, readonly unknown[]>>;
  /** Fields of any value. */
  readonly free?: readonly string[];
  /** The field without which there is nothing to do. */
  readonly required?: string;
}

export const BODIES: Readonly<Record<Bodies & keyof typeof RUN_SCHEMAS, FieldRow>> = {
  RunRequest: {
    good: { message: 'hi', stream: false, background: true },
    bad: {
      message: NO_MESSAGE,
      stream: NO_FLAG,
      background: NO_FLAG,
      session_id: NO_ID,
      user_id: NO_SESSION,
      run_id: NO_ID,
    },
    required: 'message',
  },
  ResumeRequest: { good: {}, bad: { last_event_index: NO_INDEX, session_id: NO_SESSION } },
  ContinueRequest: {
    good: { tools: [], stream: false, background: true },
    bad: {
      tools: [
        'text',
        '{}',
        '7',
        '[7]',
        '[{"tool_call_id":"jump"}]',
        '',
        7,
        {},
        null,
        [7],
        [null],
        [{}],
        [{ tool_call_id: 'jump' }],
        [{ tool_call_id: 7, confirmed: true }],
        [{ tool_call_id: 'x'.repeat(201), confirmed: true }],
        [{ tool_call_id: 'jump', confirmed: 'maybe' }],
        [{ tool_call_id: 'jump', confirmed: true, note: 'x'.repeat(2_001) }],
        [{ tool_call_id: 'jump', confirmed: true, tool_name: 7 }],
      ],
      session_id: NO_SESSION,
      stream: NO_FLAG,
      background: NO_FLAG,
    },
  },
  CancelRequest: { good: {}, bad: { session_id: NO_SESSION, reason: [...NO_TEXT, 'x'.repeat(401)] } },
  SteerRequest: {
    good: { message: 'hi' },
    bad: { message: NO_MESSAGE, message_id: NO_ID, session_id: NO_SESSION },
    required: 'message',
  },
  ApprovalRequest: {
    good: { approved: true },
    bad: { approved: NO_FLAG, note: NO_NOTE },
    required: 'approved',
  },
};

/** Queries have text alone. */
export const QUERIES: Readonly<Record<Queries & keyof typeof RUN_SCHEMAS, Omit<FieldRow, 'good'>>> = {
  SessionQuery: { bad: { session_id: ['x'.repeat(201)] } },
  ApprovalsQuery: { bad: { status: ['', 'open', 'PENDING', 'pending,all'] } },
  EventsQuery: {
    bad: {
      after: ['soon', '1.5', '', ' 5'],
      session_id: ['x'.repeat(201)],
      view: ['', 'wide', 'EXACT'],
      poll: ['', '-1', '1.5', '1e3', '30001', 'soon'],
    },
  },
};
