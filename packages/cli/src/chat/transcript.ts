import type { GatewayEvent } from '@continuo/protocol';

/** What a person sees of a session, as a pure machine: events go in, text comes out. Every text is shown once. */
export interface Transcript {
  /** The text of a new event, to be written as it is. */
  show(event: GatewayEvent): string;
  /** The whole answer to a message, where its events are gone: what stands there already is not said again. */
  answer(messageId: string, content: unknown): string;
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
/** Control characters: an answer must not move the cursor, or rename the terminal, of whoever reads it. */
const UNSAFE = /(?![\n\t])\p{Cc}/gu;

export function createTranscript({ isShown, isOwn }: TranscriptOptions): Transcript {
  /** The message whose answer is being written. */
  let answering: string | null = null;
  /** What of its answer stands there, over all attempts. */
  let shown = '';
  /** What the attempt under way has said; `null`: it is the first. */
  let retold: string | null = null;
  let midLine = false;

  function write(text: string): string {
    const safe = text.replace(UNSAFE, '');
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
    return `${before}${text.replace(UNSAFE, '')}\n`;
  }

  function begin(messageId: string): void {
    if (answering === messageId) return;
    answering = messageId;
    shown = '';
    retold = null;
  }

  /** An attempt that starts over says again what stands there: only what goes beyond is new. */
  function more(text: string): string {
    if (retold === null) {
      shown += text;
      return write(text);
    }
    retold += text;
    if (shown.startsWith(retold)) return '';
    const before = retold.startsWith(shown) ? '' : line('[it says something else this time]');
    const fresh = before === '' ? retold.slice(shown.length) : retold;
    shown = retold;
    retold = null;
    return before + write(fresh);
  }

  function end({ content, outcome }: Readonly<Record<string, unknown>>): string {
    const whole = textOf(content);
    const { status, reason } = recordOf(outcome);
    const written = rest(whole);
    const closed = newLine();
    const after = status === 'ok' ? '' : line(`[${textOf(status)}${reason ? `: ${oneLine(reason)}` : ''}]`);
    answering = null;
    shown = '';
    retold = null;
    return written + closed + after;
  }

  /** Where nothing was streamed, or the stream was lost, the end has it all. */
  function rest(whole: string): string {
    if (whole.startsWith(shown)) return write(whole.slice(shown.length));
    const stands = shown.startsWith(whole) || shown.endsWith(whole);
    return stands ? '' : newLine() + write(whole);
  }

  return {
    line,
    answer(messageId, content) {
      begin(messageId);
      return end({ content, outcome: { status: 'ok' } });
    },
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
          begin(messageId);
          return more(textOf(data.content));
        case 'tool_call_stream': {
          const { name, args } = recordOf(data.tool_call);
          return line(`[${textOf(name)}${args === undefined ? '' : ` ${oneLine(args)}`}]`);
        }
        case 'tool_result_stream':
          return data.error === undefined
            ? ''
            : line(`[${textOf(data.name)} failed: ${oneLine(data.error)}]`);
        case 'approval_requested': {
          const { name, args } = recordOf(data.tool_call);
          return line(
            `[waits until somebody allows ${textOf(name)} ${oneLine(args)}: ${textOf(data.approval_id)}]`,
          );
        }
        case 'stream_error':
          if (isMember) return '';
          begin(messageId);
          retold = '';
          return '';
        case 'error':
          return line(`[error: ${oneLine(data.message)}]`);
        case 'response':
          begin(messageId);
          return end(data);
        case 'reasoning_stream':
        case 'tool_progress_stream':
        case 'stream_end':
        case 'approval_resolved':
        case 'status':
          return '';
        default:
          return event.type satisfies never;
      }
    },
  };
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
