import { median, type Window } from './measure.ts';
import type { FanOut } from './scenarios/fan-out.ts';
import type { Idle } from './scenarios/idle.ts';
import type { System } from './systems.ts';
import { DISTURBED_SHARE } from './turns.ts';

/** The tables, in Markdown: medians of the repeats, and what the product must reach. */

/** What the bars are for. */
const PRODUCT = 'continuo, memory';

/** All repeats of a system. */
export interface Measured<R> {
  readonly system: System;
  readonly runs: readonly R[];
}

interface Column<R> {
  readonly head: string;
  /** Of the median over the repeats. */
  readonly show: (figure: number) => string;
  readonly pick: (run: R) => number;
}

interface Bar<R> {
  readonly what: string;
  readonly control: string;
  readonly must: { readonly atLeast: number } | { readonly atMost: number };
  /** One figure of each turn, or one of the repeat. */
  readonly pick: (run: R) => readonly number[];
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
const digits =
  (count: number) =>
  (figure: number): string =>
    figure.toFixed(count);

function perSecond(rate: number): string {
  return rate >= 1e6 ? `${(rate / 1e6).toFixed(2)} M` : `${(rate / 1e3).toFixed(0)} k`;
}

/** How busy each side was, as a share of a core: a figure is bound by what is at 100 %. */
function shares<R>(windowOf: (run: R) => Window): Column<R>[] {
  const share = (head: string, pick: (window: Window) => number): Column<R> => ({
    head,
    show: percent,
    pick: (run) => pick(windowOf(run)) / windowOf(run).seconds,
  });
  return [
    share('server', (window) => window.serverCpu),
    share('generator', (window) => window.generatorCpu),
    share('others', (window) => window.othersCpu),
  ];
}

const delivering = (name: 'burst' | 'single'): Column<FanOut>[] => [
  { head: 'deliveries/s', show: perSecond, pick: (run) => median(run[name].perSecond) },
  { head: 'server CPU s/M', show: digits(3), pick: (run) => median(run[name].cpuPerMillion) },
  ...shares<FanOut>((run) => run[name].window),
];
const idling: readonly Column<Idle>[] = [
  { head: 'RSS KiB', show: digits(1), pick: (run) => run.rssKib },
  { head: 'heap KiB', show: digits(1), pick: (run) => run.heapKib },
  { head: 'CPU us to join', show: digits(0), pick: (run) => median(run.connectUs) },
  { head: 'idle: core', show: (share) => `${(share * 100).toFixed(2)} %`, pick: (run) => run.idleShare },
  { head: 'idle: CPU us/s', show: digits(2), pick: (run) => run.idleUs },
  ...shares<Idle>((run) => run.connecting),
];

const fanOutBars: readonly Bar<FanOut>[] = [
  { what: 'burst rate', control: 'ws', must: { atLeast: 20 }, pick: (run) => run.burst.perSecond },
  { what: 'burst rate', control: 'Socket.IO', must: { atLeast: 20 }, pick: (run) => run.burst.perSecond },
  {
    what: 'one at a time, CPU per delivery',
    control: 'ws',
    must: { atMost: 0.92 },
    pick: (run) => run.single.cpuPerMillion,
  },
  {
    what: 'one at a time, CPU per delivery',
    control: 'Socket.IO',
    must: { atMost: 0.65 },
    pick: (run) => run.single.cpuPerMillion,
  },
];
const idleBars: readonly Bar<Idle>[] = [
  { what: 'RSS per connection', control: 'ws', must: { atMost: 1.5 }, pick: (run) => [run.rssKib] },
  { what: 'CPU to connect and join', control: 'ws', must: { atMost: 1.3 }, pick: (run) => run.connectUs },
];

function markdown(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function table<R>(title: string, columns: readonly Column<R>[], all: readonly Measured<R>[]): string {
  const rows = all.map(({ system, runs }) => [
    system.name,
    ...columns.map(({ show, pick }) => show(median(runs.map(pick)))),
  ]);
  return markdown([[title, ...columns.map(({ head }) => head)], ...rows]);
}

/** The product over a control: turn by turn, for that is when the machine was the same for both; one of each repeat. */
function ratiosOf<R>({ control, pick }: Bar<R>, all: readonly Measured<R>[]): number[] {
  const runsOf = (name: string): readonly R[] => all.find(({ system }) => system.name === name)?.runs ?? [];
  const controls = runsOf(control);
  return runsOf(PRODUCT).flatMap((run, repeat) => {
    const below = controls[repeat];
    if (below === undefined) return []; // not measured this time
    const figures = pick(below);
    return [median(pick(run).map((figure, turn) => figure / (figures[turn] ?? Number.NaN)))];
  });
}

function barsTable<R>(bars: readonly Bar<R>[], all: readonly Measured<R>[]): string {
  const rows = bars.flatMap((bar) => {
    const { what, control, must } = bar;
    const ratios = ratiosOf(bar, all);
    if (ratios.length === 0) return [];
    const ratio = median(ratios);
    const met = 'atLeast' in must ? ratio >= must.atLeast : ratio <= must.atMost;
    const words = 'atLeast' in must ? `at least ${must.atLeast}` : `at most ${must.atMost}`;
    const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    return [[what, control, ratio.toFixed(2), spread, words, met ? 'yes' : 'NO']];
  });
  return markdown([[`${PRODUCT}, over`, 'control', 'ratio', 'of the repeats', 'must be', 'met'], ...rows]);
}

function disturbance(windows: readonly Window[]): string {
  const most = Math.max(...windows.map((window) => window.othersCpu / window.seconds));
  return most > DISTURBED_SHARE
    ? `DISTURBED: in some run others took ${percent(most)} of a core. Do it again on a quiet machine.`
    : `Others took at most ${percent(most)} of a core in any run.`;
}

export function fanOutTables(all: readonly Measured<FanOut>[]): string {
  return [
    table('1,000 subscribers, bursts of ten', delivering('burst'), all),
    table('1,000 subscribers, one at a time', delivering('single'), all),
    barsTable(fanOutBars, all),
    disturbance(
      all.flatMap(({ runs }) => runs.flatMap(({ burst, single }) => [burst.window, single.window])),
    ),
  ].join('\n\n');
}

export function idleTables(all: readonly Measured<Idle>[]): string {
  return [
    table('5,000 idle connections, of each', idling, all),
    barsTable(idleBars, all),
    disturbance(all.flatMap(({ runs }) => runs.map(({ connecting }) => connecting))),
  ].join('\n\n');
}
