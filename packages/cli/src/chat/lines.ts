import { createInterface, type Interface } from 'node:readline';

/** Lines that may wait until the one before them was answered; above, nothing more is read. */
const MAX_WAITING = 100;

export interface Lines {
  /** The next line; `null` at the end of the input. */
  next(): Promise<string | null>;
  prompt(): void;
  close(): void;
}

export interface LinesOptions {
  readonly interactive: boolean;
  /** Takes a line before it waits its turn: `true` when it was a command and is done. */
  onCommand(line: string): boolean;
  /** Ctrl-C. */
  onInterrupt(): void;
}

/** What is typed, or comes through a pipe, line by line and in order. */
export function createLines({ interactive, onCommand, onInterrupt }: LinesOptions): Lines {
  const { stdin, stdout } = process;
  const reader: Interface = createInterface(
    interactive ? { input: stdin, output: stdout, prompt: '> ' } : { input: stdin, terminal: false },
  );
  const waiting: string[] = [];
  let ended = false;
  let wake = (): void => {};

  reader.on('line', (text) => {
    const line = text.trim();
    if (line === '') {
      if (interactive) reader.prompt();
      return;
    }
    if (onCommand(line)) return;
    if (waiting.push(line) >= MAX_WAITING) reader.pause();
    wake();
  });
  reader.on('SIGINT', onInterrupt);
  reader.on('close', () => {
    ended = true;
    wake();
  });
  process.on('SIGINT', onInterrupt);

  return {
    async next() {
      while (waiting.length === 0) {
        if (ended) return null;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const line = waiting.shift() ?? null;
      if (waiting.length === 0 && !ended) reader.resume();
      return line;
    },
    prompt() {
      if (interactive && !ended) reader.prompt();
    },
    close() {
      process.off('SIGINT', onInterrupt);
      reader.close();
      stdin.destroy(); // a pipe that stays open would keep the process
    },
  };
}
