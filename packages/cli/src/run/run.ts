import {
  ApprovalConflictError,
  type ComponentOption,
  RunClient,
  type RunClientEvent,
  type RunHandle,
} from '@continuo/client';
import { gatewayUrl } from '../channels/options.ts';
import { createLines } from '../chat/lines.ts';
import { answerIn } from '../chat/questions.ts';
import { harmless, plain } from '../chat/transcript.ts';
import { UsageError } from '../fail.ts';
import { createScreen, type Screen } from './screen.ts';
import { createRunTranscript, questionOf, treeOf } from './transcript.ts';

export interface RunOptions extends ComponentOption {
  readonly url?: string;
  readonly token?: string;
  /** Print events, a line of JSON each. */
  readonly json?: boolean;
}

export interface AttachRunOptions extends Omit<RunOptions, keyof ComponentOption> {
  readonly after?: number;
}

/** A person waits: it comes back sooner than a service would. */
const BACKOFF = { initialMs: 250, maxMs: 5_000 };
/** What is asked while a run is told again may have its answer in the next event: a question is put after so many ms. */
const QUIET_MS = 150;
/** Words of a member wait no longer for the end of their line, in ms. */
const BEAT_MS = 200;
const EXIT = { completed: 0, failed: 1, detached: 130 } as const;

/**
 * Starts a run and shows it until it ends. Returns the exit code: 0 when it completed, 1 when it did not, 130 on Ctrl-C,
 * which leaves the run alone. Throws a `UsageError` when the gateway cannot be had, or refuses.
 */
export async function startRun(message: string, options: RunOptions): Promise<number> {
  const { agent, team, workflow } = options;
  const named = [agent, team, workflow].filter((id) => id !== undefined);
  if (named.length !== 1)
    throw new UsageError('Say what to run: one of --agent ID, --team ID and --workflow ID.');
  const visit = open(options);
  const handle = await visit.reach((signal) => visit.client.start({ ...options, message, signal }));
  visit.heard();
  const { runId } = handle;
  visit.screen.note(
    `run ${runId}. Ctrl-C leaves it, back with: continuo run attach ${runId}${whereOf(options)}`,
  );
  return show(handle, visit, options);
}

/** Shows a run that goes on already, or has ended, from an index on. Returns as {@link startRun}. */
export async function attachRun(runId: string, options: AttachRunOptions): Promise<number> {
  const { after = -1 } = options;
  const visit = open(options);
  return show(await visit.reach(async () => visit.client.attach(runId, { after })), visit, options);
}

export async function cancelRun(runId: string, options: RunOptions): Promise<void> {
  const visit = open(options);
  await visit.reach((signal) => visit.client.cancel(runId, 'cancelled in the terminal', signal));
}

/** A gateway, and how it is with the way there. */
interface Visit {
  readonly client: RunClient;
  readonly url: string;
  readonly screen: Screen;
  readonly isInteractive: boolean;
  /** What the gateway refuses, and that there is none, is said in a sentence. */
  reach<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Something came. */
  heard(): void;
}

function open(options: RunOptions): Visit {
  const url = gatewayUrl(options);
  const { stdin, stdout, stderr } = process;
  const isTerminal = !options.json && stdout.isTTY && stderr.isTTY;
  const screen = createScreen({ isTerminal, out: stdout, aside: stderr });
  // Whoever reads one of them may have gone, and every later write fails again.
  for (const stream of [stdout, stderr]) stream.on('error', () => {});
  const { promise: gone, reject } = Promise.withResolvers<never>();
  gone.catch(() => {}); // whoever waits is told
  const abort = new AbortController();
  /** Something answered, whatever it said. */
  let isReached = false;
  let isLost = false;
  const client = usable(
    () =>
      new RunClient({
        url,
        backoff: BACKOFF,
        async fetch(input, init) {
          const response = await fetch(input, init);
          isReached = true; // of a run that waits no event may come for long
          return response;
        },
        ...(options.token !== undefined && { token: options.token }),
        onRetry(error) {
          if (!isReached) {
            const unreachable = new UsageError(
              `No gateway answers at ${url}: start one with continuo serve.`,
            );
            unreachable.cause = error;
            reject(unreachable);
            abort.abort(unreachable);
          } else if (!isLost) screen.note('the connection is lost: coming back');
          isLost = true;
        },
      }),
  );
  return {
    client,
    url,
    screen,
    isInteractive: isTerminal && stdin.isTTY,
    async reach(call) {
      try {
        return await Promise.race([call(abort.signal), gone]);
      } catch (error) {
        throw usageOf(error);
      }
    },
    heard() {
      if (isLost) screen.note('back');
      isLost = false;
    },
  };
}

async function show(
  handle: RunHandle,
  visit: Visit,
  options: RunOptions & AttachRunOptions,
): Promise<number> {
  const { runId } = handle;
  const { screen, url, isInteractive } = visit;
  const transcript = createRunTranscript();
  const where = whereOf(options);
  const { promise: left, resolve: leave } = Promise.withResolvers<'left'>();
  const onInterrupt = (): void => leave('left');
  process.stdout.once('error', onInterrupt); // whoever read along has gone
  process.on('SIGINT', onInterrupt);
  const lines = isInteractive
    ? createLines({ interactive: true, onInterrupt, onCommand: () => false })
    : null;

  /** The question that was put last: what a yes answers. */
  let put: string | null = null;
  let isPolling = false;
  let isFound = false;
  let isOver = false;
  let heardAt = 0;
  let isBeating = false;
  let painted = Promise.resolve();

  function ask(): void {
    if (performance.now() - heardAt < QUIET_MS) return;
    const [asked] = handle.view.approvals;
    if (!asked || asked.approvalId === put) return;
    put = asked.approvalId;
    if (lines) {
      screen.line(`[allow ${questionOf(asked)}? y/n]`);
      lines.prompt();
      return;
    }
    const answer = `POST ${url}/approvals/${put} {"approved":true}`;
    screen.note(
      `${questionOf(asked)} waits for an answer: continuo run attach ${runId}${where}, or ${answer}`,
    );
  }

  async function answer(): Promise<void> {
    for (;;) {
      const line = await lines?.next();
      if (line === null || line === undefined) return;
      const approved = answerIn(line);
      if (put === null || approved === null) {
        screen.note(put === null ? 'nothing is asked' : 'y allows it, n refuses it');
        if (put !== null) lines?.prompt();
        continue;
      }
      const approvalId = put;
      await handle.approve(approvalId, approved).catch((error: unknown) => {
        if (isOver) return;
        if (!(error instanceof ApprovalConflictError)) {
          screen.note(sentenceOf(error));
          lines?.prompt();
          return;
        }
        const { by, approved: allowed } = error.answer;
        screen.note(`${plain(by)} was first and ${allowed ? 'allowed' : 'refused'} it`);
      });
    }
  }

  async function paint(all?: 'all'): Promise<void> {
    if (options.json) return;
    for (const part of transcript.show(handle.view, all)) {
      if (part.kind === 'line') screen.line(part.text);
      else if (part.kind === 'piece') screen.piece(part);
      else await screen.write(harmless(part.text));
    }
  }

  /** In order: what waits for who reads comes before what is new. */
  function paintNext(all?: 'all'): Promise<void> {
    painted = painted.then(() => paint(all));
    return painted;
  }

  async function beat(): Promise<void> {
    if (isBeating) return; // who reads is behind
    isBeating = true;
    // Of a run that waits nothing may come but how it stands.
    if (!isFound && handle.view.status !== 'PENDING') {
      isFound = true;
      visit.heard();
    }
    await paintNext('all'); // a question comes after the words that explain it
    if (!isOver) ask();
    isBeating = false;
  }

  async function take(event: RunClientEvent): Promise<void> {
    isFound = true;
    visit.heard();
    if (options.json) await screen.write(`${JSON.stringify(event)}\n`);
    if (event.event === 'gap') screen.note(`its events ${event.from} to ${event.to - 1} are gone`);
    if (!isPolling && handle.transport === 'polling') {
      isPolling = true;
      screen.note('something on the way holds streams back: asking again and again instead');
    }
    await paintNext();
    heardAt = performance.now();
    if (!handle.view.approvals.some(({ approvalId }) => approvalId === put)) put = null;
  }

  async function follow(): Promise<'ended'> {
    for await (const event of handle) await take(event);
    await paintNext('all'); // how it ended is known without an event, where none was left to read
    return 'ended';
  }

  const beats = setInterval(() => void beat(), BEAT_MS);
  try {
    const answering = answer().then(() => left); // nobody types any more: it is watched all the same
    const how = await visit.reach(() => Promise.race([follow(), left, answering]));
    const { view } = handle;
    if (how === 'left') {
      const seen = Math.max(view.lastEventIndex, options.after ?? -1);
      const back = `continuo run attach ${runId} --after ${seen}${where}`;
      screen.note(`left; the run goes on. Back: ${back}. To end it: continuo run cancel ${runId}${where}`);
      return EXIT.detached;
    }
    screen.close();
    const { team, agent, workflow } = options;
    if (!options.json && view.members.length > 0)
      for (const line of treeOf(view, team ?? workflow ?? agent ?? runId)) screen.line(line);
    return view.status === 'COMPLETED' ? EXIT.completed : EXIT.failed;
  } finally {
    isOver = true;
    clearInterval(beats);
    process.off('SIGINT', onInterrupt);
    lines?.close();
    handle.close();
  }
}

/** What another command needs to find the same gateway. */
function whereOf({ url }: Pick<RunOptions, 'url'>): string {
  return url === undefined ? '' : ` --url ${url}`;
}

/** Throws what is wrong with the options in a sentence. */
function usable<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw usageOf(error);
  }
}

function usageOf(error: unknown): UsageError {
  if (error instanceof UsageError) return error;
  const usage = new UsageError(sentenceOf(error));
  usage.cause = error;
  return usage;
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
