/** An async iterator over what is pushed. Ends with `end`, or throws the reason given to it. */
export interface EventQueue<T> extends AsyncIterableIterator<T> {
  /** At most once, in order. Beyond `limit` unread items the queue fails: its reader learns that it was too slow. */
  push(item: T): void;
  end(reason?: Error): void;
}

interface Reader<T> {
  resolve(result: IteratorResult<T>): void;
  reject(reason: Error): void;
}

export function createEventQueue<T>(limit: number, onReturn: () => void): EventQueue<T> {
  const items: T[] = [];
  /** Reads that wait, first come first served. There are none while there are items. */
  let readers: Reader<T>[] = [];
  let ended = false;
  let failure: Error | undefined;

  function end(reason?: Error): void {
    if (ended) return;
    ended = true;
    failure = reason;
    const waiting = readers;
    readers = [];
    for (const reader of waiting) finish(reader);
  }

  /** The reason is told once: whoever reads on learns that there is no more. */
  function finish({ resolve, reject }: Reader<T>): void {
    if (!failure) return resolve({ done: true, value: undefined });
    const reason = failure;
    failure = undefined;
    reject(reason);
  }

  return {
    push(item) {
      if (ended) return;
      const reader = readers.shift();
      if (reader) return reader.resolve({ done: false, value: item });
      if (items.length < limit) {
        items.push(item);
        return;
      }
      end(new Error(`events() has ${limit} unread events: read faster, or do the slow work elsewhere.`));
      onReturn();
    },
    end,
    next() {
      return new Promise((resolve, reject) => {
        if (items.length > 0) return resolve({ done: false, value: items.shift() as T });
        if (ended) return finish({ resolve, reject });
        readers.push({ resolve, reject });
      });
    },
    async return() {
      items.length = 0;
      end();
      onReturn();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
