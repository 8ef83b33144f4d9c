import type { Window } from './measure.ts';

/** Short slices of all systems in turn, so that what the machine does meanwhile meets all of them alike. */

/** A slice in which others took more than this share of a core is disturbed. */
export const DISTURBED_SHARE = 0.25;

export interface TurnsOptions<S, W extends Window> {
  readonly stages: readonly S[];
  /** Slices that count, of each stage. */
  readonly turns: number;
  /** From then on (of `performance.now()`) no turn is done again. */
  readonly deadlineMs: number;
  /** One slice of one stage. */
  run(stage: S): Promise<W>;
}

interface Turn<W> {
  readonly slices: readonly W[];
  readonly disturbedShare: number;
}

/**
 * Returns the slices of each stage, in the order of `stages`. A turn with a disturbed slice is done again, up to twice as
 * many turns as count; then the least disturbed ones do.
 */
export async function takeTurns<S, W extends Window>(options: TurnsOptions<S, W>): Promise<W[][]> {
  const { stages, turns, deadlineMs, run } = options;
  const done: Turn<W>[] = [];
  const quiet = (): number => done.filter((turn) => turn.disturbedShare <= DISTURBED_SHARE).length;
  while (
    done.length < turns ||
    (quiet() < turns && done.length < turns * 2 && performance.now() < deadlineMs)
  ) {
    const slices: W[] = [];
    for (const index of stages.keys()) {
      const at = (index + done.length) % stages.length; // another one begins each time
      const stage = stages[at];
      if (stage !== undefined) slices[at] = await run(stage);
    }
    const shares = slices.map((slice) => slice.othersCpu / slice.seconds);
    done.push({ slices, disturbedShare: Math.max(...shares) });
  }
  const best = done.toSorted((a, b) => a.disturbedShare - b.disturbedShare).slice(0, turns);
  return stages.map((_, index) => best.flatMap((turn) => turn.slices[index] ?? []));
}
