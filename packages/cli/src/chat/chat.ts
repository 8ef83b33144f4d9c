import { randomUUID } from 'node:crypto';
import {
  ApprovalConflictError,
  type ClientEvent,
  GatewayClient,
  GatewayError,
  type ResetEvent,
} from '@continuo/client';
import type { GatewayEvent, PendingApproval } from '@continuo/protocol';
import { DEFAULTS } from '../config/settings.ts';
import { UsageError } from '../fail.ts';
import { createLines } from './lines.ts';
import { answerIn, createQuestions } from './questions.ts';
import { callOf, createTranscript, plain } from './transcript.ts';

export interface ChatOptions {
  readonly agent: string;
  readonly url?: string;
  readonly token?: string;
  readonly session?: string;
  /** Waits for a gateway that is not there yet. */
  readonly wait?: boolean;
}

/** How long a gateway may take to answer at all, in ms, where nobody said that it is to be waited for. */
const ANSWER_MS = 5_000;
/** A person waits: it comes back sooner than a service would. */
const BACKOFF = { initialMs: 250, maxMs: 5_000 };

const RESETS: Readonly<Record<ResetEvent['reason'], string>> = {
  session: 'the gateway does not know the session any more: this is a new one',
  trimmed: 'the older part of the session is gone',
  epoch: 'the gateway lost a part of the session',
  ahead: 'the gateway lost a part of the session',
  gap: 'the gateway lost a part of the session',
};

/**
 * Talks to an agent in the terminal, over any number of broken connections: every text is shown once. A yes or no answers
 * the question that stands there. Returns when the input has ended and everything is answered but such questions, or on
 * Ctrl-C. Throws a `UsageError` when the gateway cannot be had.
 */
export async function chat(options: ChatOptions): Promise<void> {
  const { agent, session, wait = false } = options;
  const url = checkUrl(options.url ?? `http://${DEFAULTS.host}:${DEFAULTS.port}`);
  const interactive = process.stdin.isTTY && process.stdout.isTTY;
  /** Messages whose answers belong here and have not ended, and who waits for them. */
  const open = new Map<string, () => void>();
  const isShown = (messageId: string): boolean => interactive || open.has(messageId);
  const transcript = createTranscript({
    isShown,
    isOwn: (messageId) => open.has(messageId),
  });
  /** To whom the screen belongs: what is not an answer goes past standard output. */
  const note = (text: string): void => {
    process.stderr.write(interactive ? transcript.line(`[${text}]`) : `continuo: ${text}\n`);
  };

  let joined = false;
  let over = false;
  let atPrompt = false;
  let unanswered = false;
  const giveUp = (): void => {
    unanswered = true;
    client.disconnect();
  };
  const client = new GatewayClient({
    url,
    agentId: agent,
    backoff: BACKOFF,
    ...(options.token !== undefined && { token: options.token }),
    onError: (error) => note(sentenceOf(error)),
    onStateChange(state) {
      if (state === 'reconnecting') {
        if (joined) note('the connection is lost: coming back');
        else if (wait) note(`waiting for ${url}`);
        else giveUp();
      } else if (state === 'connected' && joined) note('back');
    },
  });

  const events = client.events();
  const timer = wait ? undefined : setTimeout(giveUp, ANSWER_MS);
  try {
    await (session === undefined ? client.connect() : client.resume({ sessionId: session, cursor: 0 }));
  } catch (error) {
    if (!unanswered) throw new UsageError(sentenceOf(error));
    throw new UsageError(
      `No gateway answers at ${url}: start one with continuo serve, or wait for it with --wait.`,
    );
  } finally {
    clearTimeout(timer);
  }
  joined = true;
  const questions = createQuestions();
  /** The question that was put last: what a yes answers. */
  let put: string | null = null;
  /** Something was said below it since. */
  let isBuried = false;
  /** Questions that were answered here: what became of them is known. */
  const answered = new Set<string>();

  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  process.stdout.on('error', () => leave()); // whoever read along has gone
  const lines = createLines({
    interactive,
    onInterrupt: leave,
    onCommand(line) {
      if (line === '/stop') client.abort().catch(() => {}); // it is over with the connection
      return line === '/stop';
    },
  });

  /** Resolves when the message is answered, or when its turn asks and waits for a person. */
  function waitFor(messageId: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    open.set(messageId, resolve);
    return promise;
  }

  function settle(messageId: string): void {
    open.get(messageId)?.();
    open.delete(messageId);
  }

  function show(text: string): void {
    if (text === '') return;
    process.stdout.write(text);
    isBuried = true;
  }

  /** What a yes would answer is the last thing before the prompt, whatever came in between. */
  function prompt(): void {
    const { asked } = questions;
    if (asked && (isBuried || put !== asked.approval_id)) {
      show(transcript.question(asked));
      isBuried = false;
      put = asked.approval_id;
    }
    lines.prompt();
  }

  function onReset({ data, reason }: ResetEvent): void {
    note(RESETS[reason]);
    for (const messageId of [...open.keys()]) {
      if (data?.pending.some(({ message_id }) => message_id === messageId)) {
        open.get(messageId)?.();
        continue;
      }
      const answer = data?.messages.find(
        (each) => each.role === 'assistant' && each.message_id === messageId,
      );
      if (answer) show(transcript.answer(messageId, answer.content));
      else if (reason === 'session') note('the answer is lost: ask again');
      if (answer || reason === 'session') settle(messageId);
    }
    questions.reset(client.pending.filter(({ message_id }) => isShown(message_id)));
    if (atPrompt) prompt();
  }

  function onEvent(event: ClientEvent): void {
    if (event.type === 'snapshot') return onReset(event);
    show(transcript.show(event));
    const { head = 0 } = client.joined ?? {};
    if (!follow(event) && event.sequence !== head) return;
    if (atPrompt && event.sequence >= head) prompt(); // in the middle of a replay it would stand before other text
  }

  /** What an event means for who waits for whom. Returns whether a person is to say something now. */
  function follow({ type, data }: GatewayEvent): boolean {
    const messageId = String(data.message_id);
    const approvalId = String(data.approval_id);
    let isPromptDue = true;
    switch (type) {
      case 'approval_requested': {
        // A replay also has questions that were answered since.
        const question = client.pending.find(({ approval_id }) => approval_id === approvalId);
        if (question && isShown(messageId)) questions.add(question);
        break;
      }
      case 'approval_resolved':
        if (approvalId === questions.asked?.approval_id && !answered.has(approvalId))
          note(`${plain(String(data.by))} ${data.approved === true ? 'allowed' : 'refused'} it`);
        questions.resolve(approvalId);
        isPromptDue = questions.asked !== null; // else its turn goes on and has more to say
        break;
      case 'response':
        settle(messageId);
        questions.end(messageId);
        break;
      default:
        return false;
    }
    if (questions.isOpen(messageId)) open.get(messageId)?.(); // a person is asked: nobody waits for the turn
    return isPromptDue;
  }

  async function listen(): Promise<void> {
    for await (const event of events) onEvent(event);
  }

  async function ask(line: string): Promise<void> {
    const messageId = randomUUID();
    const ended = waitFor(messageId);
    try {
      await client.send(line, { messageId });
    } catch (error) {
      open.delete(messageId);
      if (!over) note(sentenceOf(error));
      return;
    }
    await ended;
  }

  /** The first answer of all who see the question counts. */
  async function answer({ approval_id, message_id }: PendingApproval, approved: boolean): Promise<void> {
    const ended = waitFor(message_id);
    answered.add(approval_id);
    try {
      await client.approve(approval_id, approved);
    } catch (error) {
      if (over) return;
      if (!(error instanceof ApprovalConflictError)) {
        answered.delete(approval_id);
        return note(sentenceOf(error));
      }
      const first = error.answer;
      note(`${plain(first.by)} was first and ${first.approved ? 'allowed' : 'refused'} it`);
    }
    await ended;
  }

  async function talk(): Promise<void> {
    if (taken.length > 0) await Promise.race(taken);
    for (;;) {
      prompt();
      atPrompt = true;
      const line = await lines.next();
      atPrompt = false;
      if (line === null) {
        if (interactive) process.stdout.write('\n'); // the prompt stands on the line
        return;
      }
      const { asked } = questions;
      const approved = answerIn(line);
      if (asked && asked.approval_id === put && approved !== null) await answer(asked, approved);
      else await ask(line);
    }
  }

  /** To a pipe belong the turns that wait for an answer: the first line may be one, so the question comes before it. */
  const taken = interactive
    ? []
    : [...new Set(client.pending.map(({ message_id }) => message_id))].map(waitFor);
  if (interactive) note(`${agent} at ${url}. /stop ends an answer, Ctrl-C leaves, Ctrl-D ends`);
  try {
    await Promise.race([talk(), listen(), left]);
  } catch (error) {
    throw new UsageError(sentenceOf(error));
  } finally {
    const { sessionId } = client;
    over = true;
    lines.close();
    client.disconnect();
    const where = options.url === undefined ? '' : ` --url ${url}`;
    const again = `continuo chat --agent ${agent}${where} --session ${sessionId}`;
    const { asked } = questions;
    if (interactive) note(`to go on: ${again}`);
    else if (asked) note(`${plain(callOf(asked))} waits for a yes or no: ${again}`);
  }
}

function checkUrl(text: string): string {
  const known = ['http:', 'https:', 'ws:', 'wss:'];
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && known.includes(url.protocol) && url.hash === '') return text;
  throw new UsageError(`--url is "${text}": write it as http://127.0.0.1:8765.`);
}

function sentenceOf(error: unknown): string {
  if (error instanceof GatewayError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
