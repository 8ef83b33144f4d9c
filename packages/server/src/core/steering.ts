import { type Component, type Content, type SteerMessage, WireError } from '@continuo/protocol';
import type { Clock, Logs, Random, Records } from '../ports.ts';
import { keyOf } from './names.ts';
import { endIdOf } from './run.ts';
import { createTurns } from './turns.ts';

/** How long messages to a run are kept, in ms: as long as a run. */
const KEEP_MS = 7 * 24 * 3_600_000;
/** Messages to one run in all, and their bytes: they are one record. */
const MAX_MESSAGES = 100;
const MAX_BYTES = 256 * 1024;
/**
 * How often a change is tried for while other servers change the same. A try fails only where another change is made, and
 * a record takes no more of them than this: each message comes once and is read once, and one look is the last.
 */
const TRIES = 2 * MAX_MESSAGES + 2;
/** Messages to one run that may wait for their turn to be stored, in one process. */
const MAX_WAITING = 1_000;

/** The run that is spoken to. */
interface Target {
  readonly log: string;
  readonly runId: string;
}

interface Steered extends SteerMessage {
  /** Which step of the run has it; `null`: none yet. */
  readonly step: string | null;
}

/** The record `steer/<log>/<run>`: messages to a running agent, and whether it reads any more. */
interface SteerRecord {
  readonly messages: readonly Steered[];
  readonly closed: boolean;
}

/**
 * Messages to a running agent. They and the agent's last look are changes of one record, each at the version it read: a
 * message is either read by a step of the run or refused, never accepted and left lying.
 */
export interface Steering {
  /** Stored when it resolves, once for one id. Throws `too_late` when the run reads no more. */
  send(
    target: Target,
    message: { readonly content: Content; readonly messageId?: string | undefined },
  ): Promise<{ readonly messageId: string }>;
  /** The messages of a step: those it had before, and all that no step had. With `last` and none, there will be no more. */
  take(target: Target, step: string, last: boolean): Promise<readonly SteerMessage[]>;
}

/** Throws `conflict` for an agent that reads no messages while it runs. */
export function demandSteerable(component: Component | undefined): void {
  if (component?.steerable) return;
  const name = component ? `The ${component.kind} "${component.id}"` : 'It';
  throw new WireError('conflict', `${name} reads no messages while it runs. Send it as a new message.`);
}

export function createSteering(options: {
  readonly logs: Logs;
  readonly records: Records;
  readonly clock: Clock;
  readonly random: Random;
}): Steering {
  const { logs, records, clock, random } = options;

  const inTurn = createTurns();
  /** Messages that wait for their turn, by the key of their record. */
  const waiting = new Map<string, number>();

  /** Changes the record, one change of this process after the other; `null` from `change`: it stays as it is. */
  function update(
    { log, runId }: Target,
    change: (record: SteerRecord) => SteerRecord | null,
  ): Promise<SteerRecord> {
    const key = keyOf.steer(log, runId);
    return inTurn(key, () => tryToChange(key, change));
  }

  /** Until no other server changed it meanwhile. */
  async function tryToChange(
    key: string,
    change: (record: SteerRecord) => SteerRecord | null,
  ): Promise<SteerRecord> {
    for (let tries = 0; tries < TRIES; tries++) {
      const stored = await records.get(key);
      const before = (stored?.value as SteerRecord | undefined) ?? { messages: [], closed: false };
      const after = change(before);
      if (!after) return before;
      const expiresAt = clock.now() + KEEP_MS;
      if ((await records.put(key, after, { ifVersion: stored?.version ?? 0, expiresAt })) !== null)
        return after;
    }
    throw new WireError('unavailable', 'Others speak to this run just now. Try again.');
  }

  /** Only so many at a time: what waits is in memory. */
  async function admitted<T>({ log, runId }: Target, work: () => Promise<T>): Promise<T> {
    const key = keyOf.steer(log, runId);
    const count = waiting.get(key) ?? 0;
    if (count >= MAX_WAITING) throw inboxFull('Too many messages come to this run at once. Try again.');
    waiting.set(key, count + 1);
    try {
      return await work();
    } finally {
      const left = (waiting.get(key) ?? 0) - 1;
      if (left > 0) waiting.set(key, left);
      else waiting.delete(key);
    }
  }

  async function store(
    target: Target,
    { messageId, content }: SteerMessage,
  ): Promise<{ readonly messageId: string }> {
    const ended = await logs.find(target.log, endIdOf(target.runId));
    await update(target, ({ messages, closed }) => {
      if (messages.some((known) => known.messageId === messageId)) return null;
      if (closed || ended) {
        throw new WireError('too_late', 'The agent reads no more in this run. Send it as a new message.');
      }
      const after = [...messages, { messageId, content, step: null }];
      if (after.length > MAX_MESSAGES || JSON.stringify(after).length > MAX_BYTES) {
        throw inboxFull('This run has got all the messages it can take. Send it as a new one.');
      }
      return { messages: after, closed };
    });
    return { messageId };
  }

  return {
    send: (target, { content, messageId = `msg_${random.id()}` }) =>
      admitted(target, () => store(target, { messageId, content })),

    async take(target, step, last) {
      const { messages } = await update(target, (record) => {
        const isNew = record.messages.some((message) => message.step === null);
        const isLast = last && !isNew && !record.messages.some((message) => message.step === step);
        if (!isNew && (!isLast || record.closed)) return null;
        const given = record.messages.map((message) => ({ ...message, step: message.step ?? step }));
        return { messages: given, closed: record.closed || isLast };
      });
      return messages
        .filter((message) => message.step === step)
        .map(({ messageId, content }) => ({ messageId, content }));
    },
  };
}

function inboxFull(problem: string): WireError {
  return new WireError('inbox_full', problem);
}
