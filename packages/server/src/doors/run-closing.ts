import type { Head, Logs } from '../ports.ts';

/** A reader of a run's log. */
export interface Leaver {
  readonly log: string;
  readonly head: Head;
  /** The offset it has come to. */
  position(): number;
  /** Its run goes on elsewhere, or waits. */
  end(): void;
}

/** Readers of runs at the end of a server: each has all that was stored by then before it is ended. */
export interface Closing {
  /** `look`: to be called when it has moved. */
  enter(leaver: Leaver): { look(): void; leave(): void };
  /** Resolves when it is known how far each has to come. */
  close(): Promise<void>;
}

export function createClosing(logs: Pick<Logs, 'heads'>): Closing {
  const leavers = new Map<Leaver, number>();
  let closing = false;

  function look(leaver: Leaver): void {
    if (leaver.position() >= (leavers.get(leaver) ?? Number.POSITIVE_INFINITY)) leaver.end();
  }

  /** One whose run has ended comes to its end by itself. */
  function send(leaver: Leaver, head: Head | null): void {
    if (!leavers.has(leaver) || head?.ended) return;
    leavers.set(leaver, head?.offset ?? 0);
    look(leaver);
  }

  return {
    enter(leaver) {
      leavers.set(leaver, Number.POSITIVE_INFINITY);
      if (closing) queueMicrotask(() => send(leaver, leaver.head));
      return {
        look: () => look(leaver),
        leave: () => void leavers.delete(leaver),
      };
    },
    async close() {
      closing = true;
      const all = [...leavers.keys()];
      if (all.length === 0) return;
      const heads = await logs.heads(all.map(({ log }) => log));
      for (const [index, leaver] of all.entries()) send(leaver, heads[index] ?? null);
    },
  };
}
