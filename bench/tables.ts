import { median, type Window } from './measure.ts';
import type { Subject } from './systems.ts';
import { DISTURBED_SHARE } from './turns.ts';

/** Tables in Markdown: medians of the repeats, and what the product must reach. */

/** What the bars are for. */
const PRODUCT = 'continuo, memory';

/** All repeats of a subject. */
export interface Measured<R> {
  readonly subject: Subject;
  readonly runs: readonly R[];
}

export interface Column<R> {
  readonly head: string;
  /** Of the median over the repeats. */
  readonly show: (figure: number) => string;
  readonly pick: (run: R) => number;
}

export interface Bar<R> {
  readonly what: string;
  readonly control: string;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  /** What it would be good to reach; without it, what must be. */
  readonly aim?: true;
  /** Whose figures these are. Default: the product on its memory store. */
  readonly product?: string;
  /** One figure of each turn, or one of the repeat. */
  readonly pick: (run: R) => readonly number[];
}

export const percent = (share: number, count = 0): string => `${(share * 100).toFixed(count)} %`;
export const digits =
  (count: number) =>
  (figure: number): string =>
    figure.toFixed(count);

export function perSecond(rate: number): string {
  return rate >= 1e6 ? `${(rate / 1e6).toFixed(2)} M` : `${(rate / 1e3).toFixed(0)} k`;
}

/** How busy each side was, as a share of a core: a figure is bound by what is at 100 %. */
export function shares<R>(windowOf: (run: R) => Window): Column<R>[] {
  const share = (head: string, pick: (window: Window) => number): Column<R> => ({
    head,
    show: (figure) => percent(figure),
    pick: (run) => pick(windowOf(run)) / windowOf(run).seconds,
  });
  return [
    share('server', (window) => window.serverCpu),
    share('generator', (window) => window.generatorCpu),
    share('others', (window) => window.othersCpu),
  ];
}

export function markdown(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function table<R>(title: string, columns: readonly Column<R>[], all: readonly Measured<R>[]): string {
  const rows = all.map(({ subject, runs }) => [
    subject.name,
    ...columns.map(({ show, pick }) => show(median(runs.map(pick)))),
  ]);
  return markdown([[title, ...columns.map(({ head }) => head)], ...rows]);
}

/** The product over a control: turn by turn, for that is when the machine was the same for both; one of each repeat. */
function ratiosOf<R>({ control, pick, product = PRODUCT }: Bar<R>, all: readonly Measured<R>[]): number[] {
  const runsOf = (name: string): readonly R[] => all.find(({ subject }) => subject.name === name)?.runs ?? [];
  const controls = runsOf(control);
  return runsOf(product).flatMap((run, repeat) => {
    const below = controls[repeat];
    if (below === undefined) return []; // not measured this time
    const figures = pick(below);
    return [median(pick(run).map((figure, turn) => figure / (figures[turn] ?? Number.NaN)))];
  });
}

export function barsTable<R>(bars: readonly Bar<R>[], all: readonly Measured<R>[]): string {
  const rows = bars.flatMap((bar) => {
    const { what, control, bound, aim } = bar;
    const ratios = ratiosOf(bar, all);
    if (ratios.length === 0) return [];
    const ratio = median(ratios);
    const met = 'atLeast' in bound ? ratio >= bound.atLeast : ratio <= bound.atMost;
    const words = 'atLeast' in bound ? `at least ${bound.atLeast}` : `at most ${bound.atMost}`;
    const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    const verdict = met ? 'yes' : 'NO';
    return [[what, control, ratio.toFixed(2), spread, ...(aim ? ['', words] : [words, '']), verdict]];
  });
  const head = [
    `${bars[0]?.product ?? PRODUCT}, over`,
    'control',
    'ratio',
    'of the repeats',
    'must be',
    'aim',
    'met',
  ];
  return markdown([head, ...rows]);
}

export function disturbance(windows: readonly Window[]): string {
  const most = Math.max(...windows.map((window) => window.othersCpu / window.seconds));
  return most > DISTURBED_SHARE
    ? `DISTURBED: in some run others took ${percent(most)} of a core. Do it again on a quiet machine.`
    : `Others took at most ${percent(most)} of a core in any run.`;
}
