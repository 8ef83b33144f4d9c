import type { AgentOutput, Content } from './events.ts';

/** One message of a conversation, oldest first in a history. */
export interface HistoryMessage {
  readonly role: 'user' | 'assistant';
  readonly content: Content;
  readonly messageId: string;
  /** Unix milliseconds. */
  readonly at: number;
}

/** A question that a run put to a person with `approval.requested`, and what was answered. */
export interface Approval {
  readonly approvalId: string;
  /** The agent's own name for what it asked about. */
  readonly callId: string;
  readonly name: string;
  readonly args?: unknown;
  /** Unix milliseconds. */
  readonly requestedAt: number;
  /** `null`: not answered yet. */
  readonly answer: { readonly approved: boolean; readonly note?: string; readonly by: string } | null;
}

/** What a run is given. Everything that waits ends early when `signal` aborts. */
export interface RunContext {
  readonly runId: string;
  readonly sessionId: string;
  readonly messageId: string;
  /** The owner on whose behalf the run acts. */
  readonly user: string;
  readonly input: Content;
  /** From 1; above 1 the run starts over after its server died. */
  readonly attempt: number;
  /** What this run has asked so far. Empty at its first start; with answers when it goes on after a pause. */
  readonly approvals: readonly Approval[];
  /**
   * It goes on after a pause: all that it yielded before in this attempt is stored and stands, so only what is new is to
   * be yielded. False at a run's start and when it starts over (a higher attempt), also with approvals.
   */
  readonly continues: boolean;
  readonly signal: AbortSignal;
  /** The conversation before this message, oldest first, as far as it is kept. */
  history(): Promise<readonly HistoryMessage[]>;
  /**
   * At most once as far as it finished: the stored result is read back when the run starts over. Cut between the
   * work and its storing, the work runs again: give outside systems `key` as their idempotency key.
   */
  once<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Milliseconds on the engine's clock; rejects when the run is aborted. */
  sleep(ms: number): Promise<void>;
  /** For the log of the server, with the names of the agent and the run: what no person is told and the run survives. */
  report(error: unknown): void;
}

/**
 * An error whose `message` is made for the person whom a run answers. An agent that throws one, or a `WireError`, ends its
 * run with that message as the reason; it says what was wrong and what to do, and holds no secret. Of any other error the
 * person is told nothing but that there was one. The server's log gets either, with its `cause`.
 */
export interface TellsUser extends Error {
  readonly tellsUser: true;
}

/** Runs an agent: what it yields is appended, in order, before anyone sees it. */
export type AgentRunner = (context: RunContext) => AsyncIterable<AgentOutput>;

/** An agent, a team or a workflow as the gateway knows it. */
export interface Component {
  readonly kind: 'agent' | 'team' | 'workflow';
  readonly id: string;
  readonly name: string;
  readonly description?: string;
  readonly run: AgentRunner;
  /** Teams only. */
  readonly mode?: 'coordinate' | 'route' | 'broadcast';
  /** Teams only: ids and names of the members. */
  readonly members?: readonly { readonly id: string; readonly name: string }[];
  /** Text deltas that come within this many milliseconds are stored as one. Default 30; 0 joins none. */
  readonly deltaJoinMs?: number;
  /** What happens to a run whose server died: it ends `interrupted` (default) or starts over. */
  readonly onInterrupt?: 'end' | 'restart';
  /** Shown by /info: a scripted stand-in, not a model. */
  readonly demo?: boolean;
}
