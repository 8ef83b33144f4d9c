import type { GatewayEvent, PendingApproval } from '@continuo/protocol';

/** What a person sees of a session, as a pure machine: events go in, text comes out. Every text is shown once. */
export interface Transcript {
  /** The text of a new event, to be written as it is. */
  show(event: GatewayEvent): string;
  /** The whole answer to a message, where its events are gone: what stands there already is not said again. */
  answer(messageId: string, content: unknown): string;
  /** A question to a person, who answers with yes or no. */
  question(open: Pick<PendingApproval, 'tool_call'>): string;
  /** A line of its own, whatever stands before it. */
  line(text: string): string;
}

export interface TranscriptOptions {
  /** Whether the answer to this message is shown: a pipe sees the answers to its own lines alone. */
  isShown(messageId: string): boolean;
  /** Whether this message was typed here: it stands on the screen already. */
  isOwn(messageId: string): boolean;
}

/** Characters of a tool's arguments. */
const MAX_ARGS = 100;
/**
 * Control characters, and those that turn the direction of writing: an answer must not move the cursor, rename the terminal
 * or make a line look like another one.
 */
const UNSAFE = /(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu;

/** What stands there of an answer. */
interface Told {
  /** Over all attempts. */
  shown: string;
  /** What the attempt under way has said; `null`: it is the first. */
  retold: string | null;
}

export function createTranscript({ isShown, isOwn }: TranscriptOptions): Transcript {
  /** Answers that have begun and not ended: one that waits for a person goes on behind others. */
  const begun = new Map<string, Told>();
  /** The one that is being written. */
  let told: Told | null = null;
  let midLine = false;

  function write(text: string): string {
    const safe = harmless(text);
    if (safe !== '') midLine = !safe.endsWith('\n');
    return safe;
  }
  function newLine(): string {
    const before = midLine ? '\n' : '';
    midLine = false;
    return before;
  }
  function line(text: string): string {
    const before = newLine();
    return `${before}${harmless(text)}\n`;
  }

  function begin(messageId: string): Told {
    const answer = begun.get(messageId) ?? { shown: '', retold: null };
    begun.set(messageId, answer);
    return answer;
  }

  /** Every answer has lines of its own. */
  function turnTo(answer: Told): string {
    const before = told === answer ? '' : newLine();
    told = answer;
    return before;
  }

  /** An attempt that starts over says again what stands there: only what goes beyond is new. */
  function more(answer: Told, text: string): string {
    const { shown } = answer;
    if (answer.retold === null) {
      answer.shown += text;
      return turnTo(answer) + write(text);
    }
    const retold = answer.retold + text;
    answer.retold = retold;
    if (shown.startsWith(retold)) return '';
    const before =
      turnTo(answer) + (retold.startsWith(shown) ? '' : line('[it says something else this time]'));
    const fresh = retold.startsWith(shown) ? retold.slice(shown.length) : retold;
    answer.shown = retold;
    answer.retold = null;
    return before + write(fresh);
  }

  function end(messageId: string, { content, outcome }: Readonly<Record<string, unknown>>): string {
    const answer = begin(messageId);
    const { status, reason } = recordOf(outcome);
    const written = turnTo(answer) + rest(answer.shown, textOf(content));
    const closed = newLine();
    const after = status === 'ok' ? '' : line(`[${textOf(status)}${reason ? `: ${oneLine(reason)}` : ''}]`);
    begun.delete(messageId);
    return written + closed + after;
  }

  /** Where nothing was streamed, or the stream was lost, the end has it all. */
  function rest(shown: string, whole: string): string {
    if (whole.startsWith(shown)) return write(whole.slice(shown.length));
    const stands = shown.startsWith(whole) || shown.endsWith(whole);
    return stands ? '' : newLine() + write(whole);
  }

  return {
    line,
    question: (open) => line(`[allow ${callOf(open)}? y/n]`),
    answer: (messageId, content) => end(messageId, { content, outcome: { status: 'ok' } }),
    show(event) {
      const data = recordOf(event.data);
      const messageId = String(data.message_id);
      if (!isShown(messageId)) return '';
      // A member of a team speaks to its team: what it says comes back in the team's own words.
      const isMember = data.parent_run_id !== undefined;
      switch (event.type) {
        case 'message':
          return isOwn(messageId) ? '' : line(`> ${textOf(data.content)}`);
        case 'token_stream':
          if (isMember) return '';
          return more(begin(messageId), textOf(data.content));
        case 'tool_call_stream':
          return line(`[${callOf(data)}]`);
        case 'tool_result_stream':
          return data.error === undefined
            ? ''
            : line(`[${textOf(data.name)} failed: ${oneLine(data.error)}]`);
        case 'stream_error':
          if (isMember) return '';
          begin(messageId).retold = '';
          return '';
        case 'error':
          return line(`[error: ${oneLine(data.message)}]`);
        case 'response':
          return end(messageId, data);
        case 'reasoning_stream':
        case 'tool_progress_stream':
        case 'stream_end':
        case 'approval_requested': // asked one at a time, by whoever takes the answers
        case 'approval_resolved':
        case 'status':
          return '';
        default:
          return event.type satisfies never;
      }
    },
  };
}

/** A tool and its arguments, in one line: `search {"q":"a"}`. */
export function callOf({ tool_call }: { readonly tool_call?: unknown }): string {
  const { name, args } = recordOf(tool_call);
  return `${textOf(name)}${args === undefined ? '' : ` ${oneLine(args)}`}`;
}

/** A text that someone else chose, without what a terminal would obey. */
export function harmless(text: string): string {
  return text.replace(UNSAFE, '');
}

/** A text that someone else chose, in one line and without what a terminal would obey. */
export function plain(text: string): string {
  return harmless(text.replace(/\s+/g, ' '));
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function oneLine(value: unknown): string {
  const text = textOf(value).replace(/\s+/g, ' ');
  return text.length > MAX_ARGS ? `${text.slice(0, MAX_ARGS)}...` : text;
}
