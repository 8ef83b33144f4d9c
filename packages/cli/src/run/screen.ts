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
  /** A part of somebody's line: it goes on where that one's line stands, else on a line of its own. */
  piece(piece: Piece): void;
  /** A line of the command itself. */
  note(text: string): void;
  /** Ends the line that stands. */
  close(): void;
}

/** Words of one of several who speak at once. */
export interface Piece {
  /** Whose words they are. */
  readonly of: string;
  /** What his lines begin with. */
  readonly lead: string;
  /** `\n` alone at its end, where the line ends. */
  readonly text: string;
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
  /** Whose line stands unfinished beside the run's words; on a terminal, where these do not. */
  let speaker: string | null = null;

  /** Ends the line on which something else is to stand. */
  function breakLine(): string {
    const before = speaker !== null || (midLine && isTerminal) ? '\n' : '';
    speaker = null;
    if (isTerminal) midLine = false;
    return before;
  }

  function line(text: string): void {
    aside.write(`${breakLine()}${text}\n`);
  }

  return {
    async write(text) {
      if (text === '') return;
      if (isTerminal && speaker !== null) aside.write(breakLine());
      midLine = !text.endsWith('\n');
      if (!out.write(text)) await new Promise<void>((resolve) => void out.once('drain', resolve));
    },
    line,
    piece({ of, lead, text }) {
      if (speaker !== of && text === '\n') return; // its line was ended by another one
      aside.write(`${speaker === of ? '' : breakLine() + lead}${text}`);
      speaker = text.endsWith('\n') ? null : of;
    },
    note: (text) => line(isTerminal ? `[${text}]` : `continuo: ${text}`),
    close() {
      if (speaker !== null) aside.write(breakLine());
      if (midLine) out.write('\n');
      midLine = false;
    },
  };
}
