import { createSseReader } from '@continuo/protocol';
import type { FakeClock, SeededRandom } from '@continuo/testing';
import { type Counters, must } from './counters.ts';
import type { Truth } from './truth.ts';

/** Door 4 from outside: starts a run, loses its stream again and again, and goes on from the last index. */
export interface RunViewer {
  /** Nothing more is lost from now on. */
  readonly done: boolean;
  checkComplete(): void;
}

export interface RunViewerOptions {
  readonly clock: FakeClock;
  readonly random: SeededRandom;
  readonly truth: Truth;
  readonly counters: Counters;
  readonly path: string;
  readonly message: string;
  /**
   * A streamed answer, cut somewhere or not: `onText` gets what arrives; resolves when it ended, with whether its server
   * is about to close; rejects when it was cut or there was no answer.
   */
  stream(path: string, body: object, onText: (text: string) => void): Promise<boolean>;
  violated(error: unknown): void;
}

export function createRunViewer(options: RunViewerOptions): RunViewer {
  const { clock, random, truth, counters, path, message, stream } = options;
  let runId: string | null = null;
  let last = -1;
  let ended = false;
  let gaveUp = false;
  const seen: string[] = [];

  function handle(event: Record<string, unknown>): void {
    if (event.event === 'gap') {
      counters.resets++;
      last = Number(event.to) - 1;
      return;
    }
    if (event.event === 'error') must(false, `R-4: the run ${runId} is not known any more`);
    if (event.event_index === undefined) return;
    counters['events checked']++;
    runId ??= String(event.run_id);
    must(event.event_index === last + 1, `R-3: index ${event.event_index} came after ${last}`);
    must(!ended, `R-1: index ${event.event_index} came after the end`);
    last += 1;
    seen[last] = String(event.event);
    const isOwn = event.parent_run_id === undefined;
    ended = isOwn && ['RunCompleted', 'RunError', 'RunCancelled'].includes(String(event.event));
  }

  async function follow(): Promise<void> {
    for (let first = true; !ended && !gaveUp; first = false) {
      const reader = createSseReader();
      const onText = (text: string): void => {
        for (const event of reader.push(text)) handle(JSON.parse(event.data));
      };
      const body = first ? { message, stream: true, background: true } : { last_event_index: last };
      if (!first) counters['runs resumed']++;
      try {
        const isClosing = await stream(first ? path : `${path}/${runId}/resume`, body, onText);
        must(ended || isClosing, 'R-1: the stream ended before the run');
      } catch (error) {
        if ((error as Error).name === 'Violation') return options.violated(error);
      }
      if (runId === null) gaveUp = true; // it was never told which run it is
      await new Promise<void>((resolve) => void clock.schedule(clock.now() + random.int(20, 800), resolve));
    }
  }
  follow().catch(options.violated);

  return {
    get done() {
      return ended || gaveUp;
    },
    checkComplete() {
      if (gaveUp || runId === null) return;
      must(ended, `R-1: a viewer of ${runId} has seen no end`);
      const log = `run:local:${runId}`;
      const entries = truth.entries(log, truth.epochs(log).at(-1) ?? '');
      must(
        entries.size === last + 1,
        `R-3: a viewer has ${last + 1} of the ${entries.size} events of ${runId}`,
      );
    },
  };
}
