import { randomUUID } from 'node:crypto';
import { type ClientEvent, GatewayClient, GatewayError, type ResetEvent } from '@continuo/client';
import { DEFAULTS } from '../config/settings.ts';
import { UsageError } from '../fail.ts';
import { createLines } from './lines.ts';
import { createTranscript } from './transcript.ts';

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
 * Talks to an agent in the terminal, over any number of broken connections: every text is shown once. Returns when the
 * input has ended and everything is answered, or on Ctrl-C. Throws a `UsageError` when the gateway cannot be had.
 */
export async function chat(options: ChatOptions): Promise<void> {
  const { agent, session, wait = false } = options;
  const url = checkUrl(options.url ?? `http://${DEFAULTS.host}:${DEFAULTS.port}`);
  const interactive = process.stdin.isTTY && process.stdout.isTTY;
  /** Answers that are waited for. */
  const open = new Map<string, () => void>();
  const transcript = createTranscript({
    isShown: (messageId) => interactive || open.has(messageId),
    isOwn: (messageId) => open.has(messageId),
  });
  /** To whom the screen belongs: what is not an answer goes past standard output. */
  const note = (text: string): void => {
    process.stderr.write(interactive ? transcript.line(`[${text}]`) : `continuo: ${text}\n`);
  };

  let joined = false;
  let over = false;
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

  function settle(messageId: string): void {
    open.get(messageId)?.();
    open.delete(messageId);
  }

  function onReset({ data, reason }: ResetEvent): void {
    note(RESETS[reason]);
    for (const messageId of [...open.keys()]) {
      const answer = data?.messages.find(
        (each) => each.role === 'assistant' && each.message_id === messageId,
      );
      if (answer) process.stdout.write(transcript.answer(messageId, answer.content));
      else if (reason === 'session') note('the answer is lost: ask again');
      if (answer || reason === 'session') settle(messageId);
    }
  }

  function onEvent(event: ClientEvent): void {
    if (event.type === 'snapshot') return onReset(event);
    process.stdout.write(transcript.show(event));
    if (event.type === 'response') settle(String(event.data.message_id));
  }

  async function listen(): Promise<void> {
    for await (const event of events) onEvent(event);
  }

  async function ask(line: string): Promise<void> {
    const messageId = randomUUID();
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    open.set(messageId, resolve);
    try {
      await client.send(line, { messageId });
    } catch (error) {
      open.delete(messageId);
      if (!over) note(sentenceOf(error));
      return;
    }
    await answered;
  }

  async function talk(): Promise<void> {
    for (lines.prompt(); ; lines.prompt()) {
      const line = await lines.next();
      if (line === null) {
        if (interactive) process.stdout.write('\n'); // the prompt stands on the line
        return;
      }
      await ask(line);
    }
  }

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
    if (interactive) note(`to go on: continuo chat --agent ${agent}${where} --session ${sessionId}`);
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
