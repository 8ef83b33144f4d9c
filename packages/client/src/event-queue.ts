/** An async iterator over what is pushed. Ends with `end`, or throws the reason given to it. */
export interface EventQueue<T> extends AsyncIterableIterator<T> {
  /** At most once, in order. Beyond `limit` unread items the queue fails: its reader learns that it was too slow. */
  push(item: T): void;
  end(reason?: Error): void;
}

/** `onDone` is told of an item when the one after it is asked for. */
export function createEventQueue<T>(
  limit: number,
  onReturn: () => void,
  onDone?: (item: T) => void,
): EventQueue<T> {
  let items: T[] = [];
  let ended = false;
  let failure: Error | undefined;
  let wake = (): void => {};

  async function* read(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      if (items.length > 0) {
        const item = items.shift() as T;
        yield item;
        onDone?.(item);
      } else if (failure) throw failure;
      else if (ended) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }

  function end(reason?: Error): void {
    if (ended) return;
    ended = true;
    failure = reason;
    wake();
  }

  const reader = read();
  const leave = reader.return.bind(reader);
  return Object.assign(reader, {
    push(item: T) {
      if (ended) return;
      if (items.length < limit) {
        items.push(item);
        return wake();
      }
      end(new Error(`events() has ${limit} unread events: read faster.`));
      onReturn();
    },
    end,
    return() {
      items = [];
      end();
      failure = undefined;
      onReturn();
      return leave();
    },
  });
}
