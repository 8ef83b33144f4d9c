import { median } from './measure.ts';
import type { EchoRun } from './scenarios/echo.ts';
import type { FanOut } from './scenarios/fan-out.ts';
import type { Idle } from './scenarios/idle.ts';
import type { Recovery } from './scenarios/recovery.ts';
import type { TurnRun } from './scenarios/turn.ts';
import {
  type Bar,
  barsTable,
  type Column,
  digits,
  disturbance,
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
  { what: 'p50, 1 in flight', control: 'ws', must: { atMost: 1.1 }, pick: ({ one }) => one.p50Us },
  {
    what: 'CPU per answer, 64 in flight',
    control: 'ws',
    must: { atMost: 0.9 },
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
  { what: 'time', control: 'Socket.IO', must: { atMost: 0.25 }, pick: (run) => run.seconds },
  { what: 'CPU', control: 'Socket.IO', must: { atMost: 0.25 }, pick: (run) => run.serverCpu },
];

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
