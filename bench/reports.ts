import { median } from './measure.ts';
import type { AckedRun } from './scenarios/acked.ts';
import type { EchoRun } from './scenarios/echo.ts';
import type { FanOut } from './scenarios/fan-out.ts';
import type { Idle } from './scenarios/idle.ts';
import type { Recovery } from './scenarios/recovery.ts';
import type { RunResume } from './scenarios/run-resume.ts';
import type { TurnRun } from './scenarios/turn.ts';
import {
  type Bar,
  barsTable,
  type Column,
  digits,
  disturbance,
  markdown,
  type Measured,
  percent,
  perSecond,
  shares,
  table,
} from './tables.ts';

/** What is told of each scenario, and the bars that stand in its way. */

const delivering = (name: 'burst' | 'single'): Column<FanOut>[] => [
  { head: 'deliveries/s', show: perSecond, pick: (run) => median(run[name].perSecond) },
  { head: 'server CPU s/M', show: digits(3), pick: (run) => median(run[name].cpuPerMillion) },
  ...shares<FanOut>((run) => run[name].window),
];
const idling: readonly Column<Idle>[] = [
  { head: 'RSS KiB', show: digits(1), pick: (run) => run.rssKib },
  { head: 'heap KiB', show: digits(1), pick: (run) => run.heapKib },
  { head: 'CPU us to join', show: digits(0), pick: (run) => median(run.connectUs) },
  { head: 'idle: core', show: (share) => percent(share, 2), pick: (run) => run.idleShare },
  { head: 'idle: CPU us/s', show: digits(2), pick: (run) => run.idleUs },
  ...shares<Idle>((run) => run.connecting),
];

const burstRate = (control: string, atLeast: number): Bar<FanOut> => ({
  what: 'burst rate',
  control,
  bound: { atLeast },
  pick: (run) => run.burst.perSecond,
});
const singleCpu = (control: string, atMost: number): Bar<FanOut> => ({
  what: 'one at a time, CPU per delivery',
  control,
  bound: { atMost },
  pick: (run) => run.single.cpuPerMillion,
});
const aim = <R>(bar: Bar<R>): Bar<R> => ({ ...bar, aim: true });

/** One at a time the bars are the same for all sizes. */
const singleBars: readonly Bar<FanOut>[] = [
  singleCpu('ws', 0.92),
  singleCpu('Socket.IO', 0.65),
  aim(singleCpu('Bun', 1.3)),
];
const burstBars: Readonly<Record<number, readonly Bar<FanOut>[]>> = {
  1000: [burstRate('ws', 20), burstRate('Socket.IO', 20), aim(burstRate('Bun', 0.85))],
  5000: [burstRate('ws', 6), aim(burstRate('Bun', 0.8))],
};
const sseBars: readonly Bar<FanOut>[] = [
  { ...burstRate('res.write', 20), product: 'continuo, SSE' },
  { ...aim(burstRate('continuo, WebSocket', 1)), product: 'continuo, SSE' },
];

const acking: readonly Column<AckedRun>[] = [
  { head: 'publishes/s', show: perSecond, pick: (run) => median(run.perSecond) },
  { head: 'server CPU s/M', show: digits(1), pick: (run) => median(run.cpuPerMillion) },
  ...shares<AckedRun>((run) => run.window),
];
const ackedCpu = (control: string, atMost: number): Bar<AckedRun> => ({
  what: 'CPU per publish',
  control,
  bound: { atMost },
  pick: (run) => run.cpuPerMillion,
});
const ackedBars: readonly Bar<AckedRun>[] = [
  ackedCpu('ws', 0.85),
  ackedCpu('Socket.IO', 0.5),
  aim(ackedCpu('Bun', 1.35)),
];

const idleBars: readonly Bar<Idle>[] = [
  { what: 'RSS per connection', control: 'ws', bound: { atMost: 1.5 }, pick: (run) => [run.rssKib] },
  { what: 'CPU to connect and join', control: 'ws', bound: { atMost: 1.3 }, pick: (run) => run.connectUs },
];

const echoing = (name: keyof EchoRun): readonly Column<EchoRun>[] => [
  { head: 'answers/s', show: perSecond, pick: (run) => median(run[name].perSecond) },
  { head: 'server CPU s/M', show: digits(2), pick: (run) => median(run[name].cpuPerMillion) },
  ...shares<EchoRun>((run) => run[name].window),
];
const roundTrip: Column<EchoRun> = {
  head: 'p50 us',
  show: digits(1),
  pick: ({ one }) => median(one.p50Us),
};
const echoBars: readonly Bar<EchoRun>[] = [
  { what: 'p50, 1 in flight', control: 'ws', bound: { atMost: 1.1 }, pick: ({ one }) => one.p50Us },
  {
    what: 'CPU per answer, 64 in flight',
    control: 'ws',
    bound: { atMost: 0.9 },
    pick: ({ many }) => many.cpuPerMillion,
  },
];

const turning = (name: keyof TurnRun): readonly Column<TurnRun>[] => [
  { head: 'p50 ms', show: digits(2), pick: (run) => run[name].p50Ms },
  { head: 'turns/s', show: digits(0), pick: (run) => run[name].perSecond },
  { head: 'server CPU us', show: digits(0), pick: (run) => run[name].cpuUs },
  ...shares<TurnRun>((run) => run[name].window),
];

const recovering: readonly Column<Recovery>[] = [
  { head: 'seconds', show: digits(2), pick: (run) => median(run.seconds) },
  { head: 'server CPU s', show: digits(2), pick: (run) => median(run.serverCpu) },
  ...shares<Recovery>((run) => run.window),
];
const recoveryBars: readonly Bar<Recovery>[] = [
  { what: 'time', control: 'Socket.IO, recovery', bound: { atMost: 0.25 }, pick: (run) => run.seconds },
  { what: 'CPU', control: 'Socket.IO, recovery', bound: { atMost: 0.25 }, pick: (run) => run.serverCpu },
];

const resuming: readonly Column<RunResume>[] = [
  { head: 'cold ms', show: digits(1), pick: ({ coldMs }) => coldMs },
  { head: 'warm ms', show: digits(1), pick: ({ warmMs }) => warmMs },
  { head: 'server CPU ms', show: digits(1), pick: ({ cpuMs }) => cpuMs },
  { head: 'KiB', show: digits(0), pick: ({ kib }) => kib },
  ...shares<RunResume>((run) => run.window),
];
/** In ms. There is no control: what must be, and the aim, stand by themselves. */
const resumeTargets: Readonly<Record<string, { readonly atMost: number; readonly aim: number }>> = {
  'continuo, exact': { atMost: 150, aim: 60 },
  'continuo, collapsed': { atMost: 30, aim: 10 },
};

function deliveries(what: string, bars: readonly Bar<FanOut>[], all: readonly Measured<FanOut>[]): string {
  return [
    table(`${what}, bursts of ten`, delivering('burst'), all),
    table(`${what}, one at a time`, delivering('single'), all),
    barsTable(bars, all),
    disturbance(
      all.flatMap(({ runs }) => runs.flatMap(({ burst, single }) => [burst.window, single.window])),
    ),
  ].join('\n\n');
}

export function fanOutTables(subscribers: number, all: readonly Measured<FanOut>[]): string {
  const bars = [...(burstBars[subscribers] ?? []), ...singleBars];
  return deliveries(`${subscribers.toLocaleString('en')} subscribers`, bars, all);
}

export function sseTables(all: readonly Measured<FanOut>[]): string {
  return deliveries('1,000 readers', sseBars, all);
}

export function ackedTables(all: readonly Measured<AckedRun>[]): string {
  return [
    table('1,000 clients on 1,000 channels, acked', acking, all),
    barsTable(ackedBars, all),
    disturbance(all.flatMap(({ runs }) => runs.map(({ window }) => window))),
  ].join('\n\n');
}

export function idleTables(all: readonly Measured<Idle>[]): string {
  return [
    table('10,000 idle connections, of each', idling, all),
    barsTable(idleBars, all),
    disturbance(all.flatMap(({ runs }) => runs.map(({ connecting }) => connecting))),
  ].join('\n\n');
}

export function echoTables(all: readonly Measured<EchoRun>[]): string {
  return [
    table('echo, 1 in flight', [roundTrip, ...echoing('one')], all),
    table('echo, 64 in flight', echoing('many'), all),
    barsTable(echoBars, all),
    disturbance(all.flatMap(({ runs }) => runs.flatMap(({ one, many }) => [one.window, many.window]))),
  ].join('\n\n');
}

export function turnTables(all: readonly Measured<TurnRun>[]): string {
  return [
    table('durable turn, 1 session', turning('one'), all),
    table('durable turn, 64 sessions', turning('many'), all),
    disturbance(all.flatMap(({ runs }) => runs.flatMap(({ one, many }) => [one.window, many.window]))),
  ].join('\n\n');
}

export function recoveryTables(all: readonly Measured<Recovery>[]): string {
  return [
    table('2,000 viewers come back, 100 missed', recovering, all),
    barsTable(recoveryBars, all),
    disturbance(all.flatMap(({ runs }) => runs.map(({ window }) => window))),
  ].join('\n\n');
}

export function runResumeTables(all: readonly Measured<RunResume>[]): string {
  const targets = all.flatMap(({ subject: { name }, runs }) => {
    const target = resumeTargets[name];
    if (!target) return [];
    const row = (what: string, ms: number): string[] => [
      `${name}, ${what}`,
      ms.toFixed(1),
      `at most ${target.atMost}`,
      `at most ${target.aim}`,
      ms <= target.atMost ? 'yes' : 'NO',
    ];
    return [
      row('cold', median(runs.map(({ coldMs }) => coldMs))),
      row('warm', median(runs.map(({ warmMs }) => warmMs))),
    ];
  });
  return [
    table('a run of 10,000 events, resumed', resuming, all),
    markdown([['from the request to the last byte, ms', 'is', 'must be', 'aim', 'met'], ...targets]),
    disturbance(all.flatMap(({ runs }) => runs.map(({ window }) => window))),
  ].join('\n\n');
}
