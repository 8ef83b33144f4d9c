/** An async iterator over what is pushed. Ends with `end`, or throws the reason given to it. */
export interface EventQueue<T> extends AsyncIterableIterator<T> {
  /** At most once, in order. Beyond `limit` unread items the queue fails: its reader learns that it was too slow. */
  push(item: T): void;
  end(reason?: Error): void;
}

export function createEventQueue<T>(limit: number, onReturn: () => void): EventQueue<T> {
  let items: T[] = [];
  let ended = false;
  let failure: Error | undefined;
  let wake: (() => void) | null = null;

  function end(reason?: Error): void {
    if (ended) return;
    ended = true;
    failure = reason;
    wake?.();
  }

  return {
    push(item) {
      if (ended) return;
      if (items.length >= limit) {
        end(new Error(`events() has ${limit} unread events: read faster, or do the slow work elsewhere.`));
        onReturn();
        return;
      }
      items.push(item);
      wake?.();
    },
    end,
    async next() {
      while (items.length === 0 && !ended) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = null;
      }
      const [value] = items;
      if (items.length > 0) {
        items.shift();
        return { done: false, value: value as T };
      }
      if (failure) {
        const reason = failure;
        failure = undefined;
        throw reason;
      }
      return { done: true, value: undefined };
    },
    async return() {
      items = [];
      end();
      onReturn();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
