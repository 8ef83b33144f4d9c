import {
  type AgentOutput,
  type Draft,
  draftOf,
  type EndStatus,
  type EngineEvent,
  type Lineage,
  MAX_ENTRY_DATA,
  type Member,
  type Question,
  type RunEvent,
  type RunMetrics,
  WireError,
} from '@continuo/protocol';
import { type Clock, type Fence, StoreError } from '../ports.ts';
import type { Journal } from './log.ts';
import { endIdOf } from './run.ts';

/** Events waiting for an append above which an agent must wait. */
const QUEUE_EVENTS = 256;
/** A joined delta grows no further, in characters. */
const JOINED_CHARACTERS = 16 * 1024;
/** Bytes of JSON that the whole text of a run may have: it must fit its last entry. */
const TEXT_BYTES = MAX_ENTRY_DATA - 4 * 1024;
/** Bytes of JSON of one question; a run's {@link MAX_QUESTIONS} must fit the entry of its pause. */
const QUESTION_BYTES = 32 * 1024;
/** Questions of a run that may be open at once. */
export const MAX_QUESTIONS = 30;
/** Characters of the reason of an end: with the text it must fit its entry. */
const REASON_CHARACTERS = 400;
/** How long a failed append waits until it is tried again, in ms. */
const RETRY_MS = 200;

export interface RunWriterOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: string;
  readonly ownLog: boolean;
  readonly fence: Fence;
  /** Unlike that of any other writer with this fence: their entries would have the same ids, and be taken for stored. */
  readonly serial: number;
  readonly lineage: Lineage;
  /** What the run said before this server drove it; its deltas go on behind it. */
  readonly said?: string;
  /** Text deltas within this many ms become one entry; 0: each its own. */
  readonly joinMs: number;
  /** Whether the lease is another's: then nothing is tried again. */
  isLost(): boolean;
}

/** Appends a run's events: all of them, once each, in order, gathered while an append is under way. */
export interface RunWriter {
  /** Resolves when there is room for more; rejects when the event, or one before it, cannot be stored. */
  write(event: WritableEvent): Promise<void>;
  /** Resolves when all that was written is stored. */
  settled(): Promise<void>;
  /** The run waits for answers. Resolves when that is stored. */
  pause(questions: readonly Question[]): Promise<void>;
  /** The terminal entry, with the whole text. Resolves when it is stored. */
  end(ending: Ending): Promise<void>;
  /** Says that another server goes on. Resolves when nothing is being stored any more, whatever came of it. */
  handOver(): Promise<void>;
  /** What no later write can mend: the store refused an append. */
  readonly failure: StoreError | null;
}

/** How a run ends. */
export interface Ending {
  readonly status: EndStatus;
  readonly reason?: string;
  /** For programs, where the status alone does not say why. */
  readonly code?: string;
  readonly metrics?: RunMetrics;
}

/** All that a run says of itself and of its members; a question already has its id. */
export type WritableEvent =
  | (EngineEvent & { readonly by?: Member | undefined })
  | Exclude<AgentOutput, { type: 'approval.requested' }>;

const encoder = new TextEncoder();
const jsonBytes = (value: unknown): number => encoder.encode(JSON.stringify(value)).byteLength;

export function createRunWriter(options: RunWriterOptions): RunWriter {
  const { journal, clock, log, ownLog, fence, serial, lineage, joinMs, said = '' } = options;
  const idPrefix = `${lineage.runId}:${fence.token}.${serial}`;
  let queue: RunEvent[] = [];
  let appending: Promise<void> | null = null;
  let stopTimer: (() => void) | null = null;
  let failure: StoreError | null = null;
  let count = 0;
  let text = said;
  let textBytes = jsonBytes(said);
  /** Something was said since the text was last called complete. */
  let isOpen = false;

  function toDraft(event: RunEvent, id: string): Draft {
    return { id, ...draftOf(event), source: event.component.id };
  }

  async function append(drafts: readonly Draft[], end: boolean): Promise<void> {
    for (;;) {
      try {
        await journal.append(log, drafts, { fence, end });
        return;
      } catch (error) {
        // Nothing is known of what was asked: the same ids again store it once, whatever came of it.
        if (!(error instanceof StoreError && error.code === 'unavailable') || options.isLost()) throw error;
        await new Promise<void>((resolve) => clock.schedule(clock.now() + RETRY_MS, resolve));
        if (options.isLost()) throw error;
      }
    }
  }

  async function appendAll(): Promise<void> {
    try {
      while (queue.length > 0 && !failure) {
        const events = queue;
        queue = [];
        await append(
          events.map((event) => toDraft(event, `${idPrefix}.${count++}`)),
          false,
        );
      }
    } catch (error) {
      failure =
        error instanceof StoreError ? error : new StoreError('unavailable', String(error), { cause: error });
    } finally {
      appending = null; // in the same step as the last look at the queue
    }
  }

  function flush(): void {
    stopTimer?.();
    stopTimer = null;
    if (!appending && !failure && queue.length > 0) appending = appendAll();
  }

  function stamp(event: WritableEvent): RunEvent {
    if (!('by' in event) || !event.by) return { ...event, ...lineage } as RunEvent;
    const { by, ...body } = event;
    if (by.runId === lineage.runId) {
      throw new WireError('invalid', `A member of a run needs a run id of its own, not "${by.runId}".`);
    }
    return { ...body, ...lineage, ...by, parentRunId: by.parentRunId ?? lineage.runId } as RunEvent;
  }

  /** Refuses what no store would take, before anything else waits behind it. */
  function check(event: RunEvent): void {
    const own = event.runId === lineage.runId;
    if (event.type === 'text.delta' && own) {
      textBytes += jsonBytes(event.text) - 2; // without its quotes
      if (textBytes > TEXT_BYTES) {
        throw new WireError(
          'too_large',
          `The answer is longer than ${TEXT_BYTES} bytes. Let the agent say less.`,
        );
      }
      text += event.text;
      isOpen = true;
    } else if (event.type === 'text.completed' && own) {
      textBytes = jsonBytes(event.text);
      if (textBytes > TEXT_BYTES) {
        throw new WireError(
          'too_large',
          `The answer is longer than ${TEXT_BYTES} bytes. Let the agent say less.`,
        );
      }
      text = event.text;
      isOpen = false;
    }
    const bytes = event.type === 'text.delta' && event.text.length < JOINED_CHARACTERS ? 0 : jsonBytes(event);
    if (event.type === 'approval.requested' && bytes > QUESTION_BYTES) {
      const message = `A question to a person has ${bytes} bytes, more than ${QUESTION_BYTES}. Ask about less, or about a reference.`;
      throw new WireError('too_large', message);
    }
    if (bytes > MAX_ENTRY_DATA) {
      const message = `An event ${event.type} has ${bytes} bytes, more than ${MAX_ENTRY_DATA}. Return less, or a reference.`;
      throw new WireError('too_large', message);
    }
  }

  /** Adds a delta to the one that waits before it. */
  function join(event: RunEvent): boolean {
    const last = queue.at(-1);
    if (joinMs === 0 || event.type !== 'text.delta' || last?.type !== 'text.delta') return false;
    if (last.runId !== event.runId || last.text.length + event.text.length > JOINED_CHARACTERS) return false;
    queue[queue.length - 1] = { ...last, text: last.text + event.text };
    return true;
  }

  async function settle(): Promise<void> {
    flush();
    while (appending) await appending;
    if (failure) throw failure;
  }

  return {
    async write(output) {
      if (failure) throw failure;
      const event = stamp(output);
      check(event);
      if (!join(event)) queue.push(event);
      if (joinMs === 0 || event.type !== 'text.delta') flush();
      else stopTimer ??= clock.schedule(clock.now() + joinMs, flush);
      if (queue.length < QUEUE_EVENTS) return;
      await settle();
      await new Promise<void>((resolve) => clock.soon(resolve)); // an agent that never waits must not stop the rest
    },

    settled: settle,

    async pause(questions) {
      await settle();
      const paused: RunEvent = { ...lineage, type: 'run.paused', questions };
      await append([toDraft(paused, `${idPrefix}.${count++}`)], false);
    },

    async end({ status, reason, code, metrics }) {
      await settle();
      const completed: RunEvent = { ...lineage, type: 'text.completed', text };
      const ended: RunEvent = {
        ...lineage,
        type: 'run.ended',
        status,
        content: text,
        ...(reason && { reason: reason.slice(0, REASON_CHARACTERS) }),
        ...(code && { code }),
        ...(metrics && { metrics }),
      };
      const drafts = [toDraft(ended, endIdOf(lineage.runId))];
      if (isOpen) drafts.unshift(toDraft(completed, `${idPrefix}.${count++}`));
      await append(drafts, ownLog);
    },

    async handOver() {
      try {
        await settle();
        await append([toDraft({ ...lineage, type: 'run.handed_over' }, `${idPrefix}.${count++}`)], false);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error; // it is then found as if this server had died
      }
    },

    get failure() {
      return failure;
    },
  };
}
