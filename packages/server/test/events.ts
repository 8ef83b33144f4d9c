import { type ComponentRef, draftOf, type Entry, type MessageEvent, type RunEvent } from '@continuo/protocol';

/** Entries of a session's or a run's log, as the engine would have written them. */

const ECHO: ComponentRef = { kind: 'agent', id: 'echo', name: 'Echo' };

/** A log in the making: each call is its next entry. */
export interface Script {
  readonly entries: readonly Entry[];
  message(messageId: string, content?: string, more?: Partial<MessageEvent>): Entry;
  /** An event of the run that answers a message: `run_<messageId>`. */
  run(messageId: string, event: Said, more?: Partial<RunEvent>): Entry;
  /** What the session of a run with its own log holds of its end. */
  copyOfEnd(messageId: string, content: string): Entry;
}

type WithoutLineage<T> = T extends unknown
  ? Omit<T, 'runId' | 'messageId' | 'attempt' | 'component' | 'parentRunId'>
  : never;
/** An event without whose it is. */
export type Said = WithoutLineage<RunEvent>;

export function createScript(log = 'session:me:s'): Script {
  const entries: Entry[] = [];
  const runIndexes = new Map<string, number>();

  function add(event: MessageEvent | RunEvent, id: string, run?: string): Entry {
    const runIndex = run === undefined ? 0 : (runIndexes.get(run) ?? 0);
    if (run !== undefined) runIndexes.set(run, runIndex + 1);
    const offset = entries.length + 1;
    const entry: Entry = {
      log,
      epoch: 'e',
      offset,
      id,
      at: offset * 1_000,
      ...draftOf(event),
      ...(run !== undefined && { run, runIndex }),
    };
    entries.push(entry);
    return entry;
  }

  return {
    entries,
    message: (messageId, content = `asks ${messageId}`, more = {}) =>
      add({ type: 'message', messageId, runId: `run_${messageId}`, content, ...more }, `msg:${messageId}`),
    run(messageId, event, more = {}) {
      const runId = `run_${messageId}`;
      const whole = { ...event, runId, messageId, attempt: 1, component: ECHO, ...more } as RunEvent;
      return add(whole, `${runId}:${entries.length}`, runId);
    },
    copyOfEnd: (messageId, content) =>
      add(
        {
          type: 'run.ended',
          status: 'completed',
          content,
          copy: true,
          runId: `run_${messageId}`,
          messageId,
          attempt: 1,
          component: ECHO,
        },
        `copy:run_${messageId}:end`,
      ),
  };
}
