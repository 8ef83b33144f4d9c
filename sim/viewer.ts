import { ApprovalConflictError, type ClientEvent, GatewayClient, type SocketLike } from '@continuo/client';
import type { FakeClock, SeededRandom } from '@continuo/testing';
import { type Counters, must } from './counters.ts';
import type { Truth } from './truth.ts';

/** A person at door 1, with the shipped client: what reaches the handler is held against the log. */
export interface Viewer {
  readonly client: GatewayClient;
  readonly log: string | null;
  /** Message ids whose `send` resolved. */
  readonly accepted: ReadonlySet<string>;
  send(text: string): void;
  /** Wants the turn under way to end. */
  abort(): void;
  /** From now on it answers whatever is open. */
  behave(): void;
  /** Everything up to the head of the log was handed over, or its loss was shown. */
  checkComplete(): void;
}

export interface ViewerOptions {
  readonly clock: FakeClock;
  readonly random: SeededRandom;
  readonly truth: Truth;
  readonly counters: Counters;
  readonly agentId: string;
  /** The answer that counts, by approval: the same for everybody. */
  readonly answers: Map<string, boolean>;
  /** Milliseconds an event may take from its append to the handler now; `null`: any. */
  maxLagMs(): number | null;
  dial(): SocketLike;
  violated(error: unknown): void;
}

export function createViewer(options: ViewerOptions): Viewer {
  const { clock, random, truth, counters, answers } = options;
  let cursor = 0;
  let connectedAt: number | null = null;
  let resets = 0;
  let messages = 0;
  let behaves = false;
  const accepted = new Set<string>();

  const client = new GatewayClient({
    url: 'ws://world/',
    agentId: options.agentId,
    platform: {
      now: clock.now,
      timer: (ms, run) => clock.schedule(clock.now() + ms, run),
      random: random.next,
      id: random.id,
      dial: options.dial,
    },
    backoff: { initialMs: 200, maxMs: 3_000 },
    onStateChange(state) {
      connectedAt = state === 'connected' ? clock.now() : null;
      if (state === 'connected' && (client.joined?.resumed ?? false) && cursor < (client.joined?.head ?? 0)) {
        counters.replays++;
      }
    },
    onGap() {
      resets++;
    },
    onError: options.violated,
  });

  function log(): string | null {
    return client.sessionId === null ? null : `session:local:${client.sessionId}`;
  }

  function handle(event: ClientEvent): void {
    if (event.type === 'snapshot') {
      must(resets > 0, 'G-10: a snapshot came without onGap');
      counters.resets++;
      cursor = event.data?.event_cursor ?? 0;
      return;
    }
    must(
      event.sequence === cursor + 1,
      `G-6: sequence ${event.sequence} reached the handler after ${cursor}`,
    );
    cursor = event.sequence;
    counters['events checked']++;
    const entry = truth.entries(log() ?? '', client.position?.epoch ?? '').get(event.sequence);
    must(
      entry?.id === event.event_id,
      `G-5: event ${event.sequence} is ${event.event_id}, the log has ${entry?.id}`,
    );
    if (event.type === 'response') counters['messages answered']++;
    if (event.type === 'approval_requested') answerLater(String(event.data.approval_id));
    if (event.type === 'approval_resolved')
      judge(String(event.data.approval_id), Boolean(event.data.approved));
    const lag = clock.now() - event.timestamp * 1000;
    const limit = options.maxLagMs();
    const settled = connectedAt !== null && event.timestamp * 1000 - connectedAt > 1_500;
    must(
      limit === null || !settled || lag <= limit,
      `L-3: event ${event.sequence} took ${lag} ms though nothing was in its way`,
    );
  }

  function judge(approvalId: string, approved: boolean): void {
    const first = answers.get(approvalId) ?? approved;
    answers.set(approvalId, first);
    must(first === approved, `G-19: ${approvalId} has two answers`);
  }

  /** Not always, not at once, and not what everybody else says. */
  function answerLater(approvalId: string): void {
    if (!behaves && random.chance(0.3)) return;
    clock.schedule(clock.now() + random.int(0, behaves ? 10 : 4_000), () => {
      client.approve(approvalId, random.chance(0.5)).then(
        ({ approved }) => {
          counters['approvals answered']++;
          judge(approvalId, approved);
        },
        (error: unknown) => {
          if (!(error instanceof ApprovalConflictError)) return; // the session is over, or its log was lost
          counters['approvals in conflict']++;
          judge(approvalId, error.answer.approved);
        },
      );
    });
  }

  function answerAll(): void {
    for (const { approval_id } of client.pending) answerLater(approval_id);
    clock.schedule(clock.now() + 3_000, answerAll);
  }

  async function read(): Promise<void> {
    for await (const event of client.events()) handle(event);
  }
  read().catch(options.violated);

  return {
    client,
    get log() {
      return log();
    },
    accepted,
    send(text) {
      const messageId = `m${++messages}-${random.id().slice(0, 6)}`;
      client.send(text, { messageId }).then(
        (id) => void accepted.add(id),
        () => {}, // the session is over: nothing was promised
      );
    },
    abort() {
      client.abort().catch(() => {}); // it is sent once, and may be lost
    },
    behave() {
      behaves = true;
      answerAll();
    },
    checkComplete() {
      const name = log();
      if (name === null) return;
      const { epoch = '' } = client.position ?? {};
      must(client.state === 'connected', `G-11: a client is ${client.state} though the servers are back`);
      must(
        truth.epochs(name).length === 0 ||
          truth.epochs(name).at(-1) === epoch ||
          (truth.isLost(name) && epoch === ''),
        `G-10: a client stands in epoch ${epoch} of ${name}, which has ${truth.epochs(name)}`,
      );
      const head = Math.max(0, ...truth.entries(name, epoch).keys());
      must(cursor === head, `G-6: the handler of ${name} has ${cursor} of ${head} events`);
      if (truth.isLost(name)) return;
      const entries = [...truth.entries(name, epoch).values()];
      for (const messageId of accepted) {
        const asked = entries.filter((entry) => entry.id === `msg:${messageId}`);
        const [message] = asked;
        const once = asked.length === 1 && message !== undefined;
        must(once, `G-8: ${messageId} was accepted and is in the log ${asked.length} times`);
        const { runId } = message.data as { runId: string };
        const ends = entries.filter((entry) => entry.id === `${runId}:end`);
        must(ends.length === 1, `G-9: ${messageId} has ${ends.length} ends`);
      }
    },
  };
}
