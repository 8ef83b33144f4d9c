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
  /** Whose question it is: the run's own, or a member's. */
  readonly runId: string;
  /** Unix milliseconds. */
  readonly requestedAt: number;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  /** `null`: not answered yet. */
  readonly answer: {
    readonly approved: boolean;
    readonly note?: string;
    readonly by: string;
    /** Nobody answered in time: the run will end. */
    readonly expired?: true;
  } | null;
}

/** What one run may take, members included. Beyond it the run ends `failed`, with a reason and a code that name the limit. */
export interface RunLimits {
  /** From its start or its last continuation, in ms; `time_limit`. */
  readonly timeMs: number;
  /** `tool_call_limit`. */
  readonly toolCalls: number;
  /** Of all answers of models, read and written; `token_limit`. */
  readonly tokens: number;
  /** Members within members: 1 lets a run have members, 2 lets these have some; `depth_limit`. */
  readonly depth: number;
}

/** A message that was sent to a running agent. */
export interface SteerMessage {
  readonly messageId: string;
  readonly content: Content;
}

/** Something an agent keeps about a person, for all conversations with that person. */
export interface Memory {
  readonly memoryId: string;
  readonly text: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** What is kept about the person of a run. */
export interface Memories {
  /** Oldest first. */
  list(): Promise<readonly Memory[]>;
  /** The same `key` twice keeps one, the first. */
  add(text: string, key?: string): Promise<Memory>;
  /** Whether it was there. */
  remove(memoryId: string): Promise<boolean>;
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
  readonly limits: RunLimits;
  /** 0; of a member one more than of the one whose member it is. */
  readonly depth: number;
  readonly memories: Memories;
  /**
   * Messages that were sent to this run while it ran, which `step` (a name of the agent's own) is to read: each is given
   * to one step, and to the same again when the run starts over. With `last`, and when there is none, the run reads no
   * more: from then on a sender is told that it came too late. Only a component that is `steerable` gets any.
   */
  steered(step: string, last?: boolean): Promise<readonly SteerMessage[]>;
  /** The conversation before this message, oldest first, as far as it is kept. */
  history(): Promise<readonly HistoryMessage[]>;
  /**
   * At most once as far as it finished: the stored result is read back when the run starts over. Cut between the
   * work and its storing, the work runs again: give outside systems `key` as their idempotency key. Where the run may be
   * another server's by now the work is not begun, and this rejects when `signal` aborts.
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
  /** The model behind it, for `RunStarted`. */
  readonly model?: string | undefined;
  /** Where they differ from the gateway's own. */
  readonly limits?: Partial<RunLimits>;
  /** Whether a running agent reads messages that are sent to it meanwhile: see `RunContext.steered`. Default false. */
  readonly steerable?: boolean;
  /** Shown by /info: a scripted stand-in, not a model. */
  readonly demo?: boolean;
}
