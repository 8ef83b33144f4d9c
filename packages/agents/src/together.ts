import type { AgentOutput } from '@continuo/protocol';

/** Events that wait to be taken, above which who sends must wait. */
const WAITING = 64;

/** Where work says what it does. */
export interface Emit {
  /**
   * In order, none lost. Resolves when there is room for more; for `tool.started` not before the event was taken and the
   * next was asked for: then the engine has counted it, and did not end the run. Rejects when nobody takes events any more.
   */
  send(event: AgentOutput): Promise<void>;
  /** Never waits: without room it takes the place of the last such event of the same call, or is dropped. */
  offer(event: AgentOutput & { readonly type: 'tool.progress' }): void;
}

/** Who waits for an event of its own, or for room. */
interface Sender {
  resolve(): void;
  reject(reason: Error): void;
}

/**
 * Does `work` and yields what it emits, in the order in which it happened; returns what the work returns. An abort ends
 * it at once, whatever the work does then.
 */
export async function* together<T>(
  signal: AbortSignal,
  work: (emit: Emit) => Promise<T>,
): AsyncGenerator<AgentOutput, T> {
  const queue: { readonly event: AgentOutput; readonly sender?: Sender }[] = [];
  let senders: Sender[] = [];
  /** Of the event that was yielded last. */
  let taken: Sender | undefined;
  let outcome: { readonly value: T } | { readonly error: unknown } | null = null;
  let closed = false;
  let wake = (): void => {};

  const emit: Emit = {
    async send(event) {
      if (closed) throw new Error('The run was stopped.');
      if (event.type === 'tool.started') {
        const { promise, ...sender } = Promise.withResolvers<void>();
        queue.push({ event, sender });
        wake();
        return promise;
      }
      queue.push({ event });
      wake();
      if (queue.length > WAITING)
        await new Promise<void>((resolve, reject) => senders.push({ resolve, reject }));
    },
    offer(event) {
      if (closed) return;
      if (queue.length < WAITING) queue.push({ event });
      else {
        const last = queue.findLastIndex(
          ({ event: each }) => each.type === event.type && each.callId === event.callId,
        );
        if (last >= 0) queue[last] = { event };
      }
      wake();
    },
  };

  const onAbort = (): void => {
    outcome ??= { error: new Error('The run was stopped.') };
    wake();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else {
    work(emit).then(
      (value) => {
        outcome ??= { value };
        wake();
      },
      (error: unknown) => {
        outcome ??= { error };
        wake();
      },
    );
  }

  try {
    for (;;) {
      const next = signal.aborted ? undefined : queue.shift();
      if (next) {
        if (queue.length < WAITING) {
          for (const { resolve } of senders) resolve();
          senders = [];
        }
        taken = next.sender;
        yield next.event;
        if (!signal.aborted) taken?.resolve();
        continue;
      }
      const ended = outcomeOf();
      if (ended && 'error' in ended) throw ended.error;
      if (ended) return ended.value;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    closed = true;
    signal.removeEventListener('abort', onAbort);
    for (const sender of [taken, ...queue.map((each) => each.sender), ...senders]) {
      sender?.reject(new Error('The run was stopped.')); // for one that was resolved it is nothing
    }
  }

  /** Read through a function: the compiler does not see that callbacks write it. */
  function outcomeOf(): typeof outcome {
    return outcome;
  }
}
