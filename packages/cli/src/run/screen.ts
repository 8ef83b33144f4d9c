/** The part of a stream that is written to. */
export interface Sink {
  /** False where whoever reads is behind. */
  write(text: string): boolean;
  once(event: string, listener: () => void): unknown;
}

/** Where a run is shown: its words on standard output, what is about it beside them, where a person sees both as one. */
export interface Screen {
  /** Words, as they come. Resolves when whoever reads has room for more. */
  write(text: string): Promise<void>;
  /** A line of its own, whatever stands before it. */
  line(text: string): void;
  /** A line of the command itself. */
  note(text: string): void;
  /** Ends the line that stands. */
  close(): void;
}

export function createScreen({
  isTerminal,
  out,
  aside,
}: {
  readonly isTerminal: boolean;
  readonly out: Sink;
  readonly aside: Sink;
}): Screen {
  let midLine = false;

  function line(text: string): void {
    const before = midLine && isTerminal ? '\n' : '';
    if (isTerminal) midLine = false;
    aside.write(`${before}${text}\n`);
  }

  return {
    async write(text) {
      if (text === '') return;
      midLine = !text.endsWith('\n');
      if (!out.write(text)) await new Promise<void>((resolve) => void out.once('drain', resolve));
    },
    line,
    note: (text) => line(isTerminal ? `[${text}]` : `continuo: ${text}`),
    close() {
      if (midLine) out.write('\n');
      midLine = false;
    },
  };
}
